import type { AnyAgent } from '../agent/agent.ts'
import { SpineError } from '../kernel/errors.ts'
import { fixOfImport, shown } from '../kernel/shown.ts'

/** What `agent()` returned. `what` was given it. @throws SPINE_AGENT_INVALID */
export function requireAgent(given: unknown, what: string): asserts given is AnyAgent {
  const { name, options } = (given ?? {}) as Partial<AnyAgent>
  if (typeof name === 'string' && typeof options === 'object' && options !== null) return
  throw new SpineError('SPINE_AGENT_INVALID', `${what} was given ${shown(given)} for an agent.`, {
    value: given,
    fix: fixOfImport(given, 'Pass what agent(name, options, handler) returned.'),
  })
}
