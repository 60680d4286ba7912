import { agentNamed, type SpineState } from '../coordination/state.ts'
import { SpineError } from '../kernel/errors.ts'
import { nearest } from '../kernel/nearest.ts'

/** @throws SPINE_AGENT_UNKNOWN for a name that no process has ever registered on this log */
export function requireRegistered(state: SpineState, agent: string): void {
  if (agentNamed(state, agent)?.registration !== undefined) return
  const names = state.agents.filter((known) => known.registration !== undefined).map((known) => known.name)
  const meant = nearest(agent, names)
  const hint = meant === undefined ? '' : ` Did you mean '${meant}'?`
  throw new SpineError('SPINE_AGENT_UNKNOWN', `No agent named '${agent}' is registered on this log.${hint}`, {
    value: agent,
    limit: names,
    fix: 'Pass it in createSpine({ agents }) of some process that runs on this log, at least once.',
  })
}
