import { agentNamed, type SpineState } from '../coordination/state.ts'
import type { NewRecord } from '../event/record.ts'
import { canonicalJson, type Json } from '../kernel/json.ts'
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
