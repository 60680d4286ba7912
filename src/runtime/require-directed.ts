import type { AnyAgent, AnyOptions } from '../agent/agent.ts'
import { SpineError } from '../kernel/errors.ts'
import { requireAgent } from './require-agent.ts'

/** The schema of what a target is asked. @throws SPINE_AGENT_INVALID for an agent that reacts to events. */
export function requireDirected(target: AnyAgent, what: string): NonNullable<AnyOptions['input']> {
  const schema = target?.options?.input
  if (schema !== undefined) return schema
  requireAgent(target, what)
  throw new SpineError(
    'SPINE_AGENT_INVALID',
    `'${target.name}' reacts to events and cannot be called, handed to or started.`,
    {
      value: target.name,
      fix: "Only an agent with 'input' and 'output' does directed work; publish an event for the others.",
    },
  )
}
