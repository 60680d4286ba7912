/**
 * Agents that someone has paused. Used by `evolve.ts` and by whoever starts work.
 *
 * States of an agent: `resumed` (as registered) → `paused` by `spine.agent.paused` → `resumed` by `spine.agent.resumed`, or
 * by its removal. A rename into a new name takes the pause along; a registration leaves it as it is.
 *
 * B1  A paused agent enters no handler anew: no delivery starts, and no further attempt at one does.
 * B2  An attempt that the log knows of goes on: its suspended run is resumed, also by the next process.
 * B3  Pausing is no end: what waits keeps its order, its deadline and its attempts.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Row } from './delivery-table.ts'
import { type AgentState, agentNamed, type SpineState } from './state.ts'

/** Twice is once: the first one stands. */
export function foldPaused(state: SpineState, record: LogRecord): void {
  const { name, why } = record.data as SystemData<'spine.agent.paused'>
  const agent = agentNamed(state, name)
  if (agent?.registration !== undefined) agent.paused ??= { since: record.sequence, why }
}

export function foldResumed(state: SpineState, record: LogRecord): void {
  const { name } = record.data as SystemData<'spine.agent.resumed'>
  const agent = agentNamed(state, name)
  if (agent?.paused === undefined) return
  agent.paused = undefined
  state.marks?.push({ kind: 'resumed', agent: name })
}

/** Whether a delivery that could start has to wait because its agent is paused (B1, B2). */
export function isHeldByPause({ agents, deliveries }: SpineState, row: Row): boolean {
  const { paused } = agents[deliveries.agent[row] as number] as AgentState
  return paused !== undefined && deliveries.began[row] === 0
}
