import { type Declared, findAfterCircle } from '../coordination/after-circles.ts'
import { agentNamed, type SpineState } from '../coordination/state.ts'
import type { Engine } from '../engine/engine.ts'
import type { NewRecord } from '../event/record.ts'
import { canonicalJson, type Json } from '../kernel/json.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import { type HostedAgent, registrationOf } from './hosted-agent.ts'
import { fact, systemHeader } from './record-draft.ts'

/** What the log does not know yet of these agents, in parts that each fit into a commit. */
export function changedRegistrations(
  hosted: Iterable<HostedAgent>,
  state: SpineState,
  time: number,
): readonly (readonly NewRecord[])[] {
  const parts: NewRecord[][] = []
  let characters = Number.POSITIVE_INFINITY
  for (const agent of hosted) {
    const registration = registrationOf(agent)
    const known = agentNamed(state, agent.name)?.registration
    const text = canonicalJson(registration as unknown as Json)
    if (known !== undefined && canonicalJson(known as unknown as Json) === text) continue
    characters += text.length
    if (characters > limits.commitBytesMax / 4) {
      parts.push([])
      characters = text.length
    }
    parts.at(-1)?.push(fact('spine.agent.registered', systemHeader(time), registration))
  }
  return parts
}

/** @throws SPINE_TRIMMED for a new agent that begins where the log begins no more */
export async function requireRetained(hosted: Iterable<HostedAgent>, state: SpineState, engine: Engine): Promise<void> {
  for (const { name, options } of hosted) {
    const isNew = agentNamed(state, name)?.registration === undefined
    if (isNew && typeof options.from === 'number') await engine.read({ after: options.from - 1, limit: 1 })
  }
}

/**
 * Agents of other processes count too: what they emit may come, and what they wait for may be what these emit.
 *
 * @throws SPINE_AGENT_INVALID
 */
export function requireNoCircle(hosted: Iterable<HostedAgent>, state: SpineState): void {
  const declared = new Map<string, Declared>()
  for (const { name, registration } of state.agents) if (registration !== undefined) declared.set(name, registration)
  for (const agent of hosted) declared.set(agent.name, registrationOf(agent))
  const circle = findAfterCircle([...declared.values()])
  if (circle === undefined) return
  const waits = circle.map(({ agent, type }) => `'${agent}' waits for '${type}'`)
  throw new SpineError(
    'SPINE_AGENT_INVALID',
    `Agents that wait for each other could never start: ${waits.join('; ')}; each is emitted only by the next, the last by the first.`,
    {
      value: circle.map(({ agent }) => agent),
      fix: "Take one of the types out of 'after', or let another agent emit it.",
    },
  )
}
