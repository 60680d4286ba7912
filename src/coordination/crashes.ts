/**
 * Which deliveries were being worked on when a process died, and what follows for them. Used by `evolve.ts` and `decide.ts`.
 *
 * A handler may take its process down with it. The log then shows a lane that was claimed and never released, and runs
 * that were started and did not end. Each of those counts one crash, which is no attempt: most of them are neighbours.
 * Whoever has crashed twice runs alone from then on, so that the next crash has one possible culprit.
 *
 * K1  Only what the log says was started counts a crash; a run that waits for the log (call, timer) is not started.
 * K2  A crash beside others never kills: death takes `crashesAloneMax` crashes of a run that had its process to itself.
 * K3  Progress clears the count: an outcome on the log that was not there before means that this code did not crash.
 * K4  So does coming to rest: a run that was entered, and waits for the log again, has done all that it does before the next
 *     outcome. Else a caller that waits through many deaths of others would be a suspect in the end.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { makeReady } from './deliveries.ts'
import { holdExclusive } from './hold-exclusive.ts'
import { foldCut, foldRatedStarts } from './rates.ts'
import type { LaneState, SpineState } from './state.ts'

/**
 * - `plain`: the handler is entered at once.
 * - `careful`: its start is durable first, so that a crash in it is seen.
 * - `alone`: careful, and nothing else runs in the process meanwhile.
 */
export type StartMode = 'plain' | 'careful' | 'alone'

export function startMode(state: SpineState, row: Row, lane: LaneState | undefined): StartMode {
  const { crashes, source } = state.deliveries
  if ((crashes[row] as number) >= limits.crashesBesideOthersMax) return 'alone'
  const older = lane?.careful === true && (source[row] as number) <= lane.claimed
  return older || (crashes[row] as number) > 0 ? 'careful' : 'plain'
}

/** Whether a delivery has shown that it takes down whatever process it runs in. */
export function isCrashLoop(state: SpineState, row: Row): boolean {
  const crashes = state.deliveries.crashes[row] as number
  return crashes >= limits.crashesBesideOthersMax + limits.crashesAloneMax
}

export function foldRunsStarted(state: SpineState, record: LogRecord): void {
  const { events, agents, suspendedEvents, suspendedAgents, rates } = record.data as SystemData<'spine.runs.started'>
  if (rates !== undefined) foldRatedStarts(state, record)
  setStarted(state, events, agents, 1)
  setStarted(state, suspendedEvents ?? [], suspendedAgents ?? [], 0)
}

function setStarted(state: SpineState, events: readonly number[], agents: readonly string[], started: 0 | 1): void {
  for (const [index, source] of events.entries()) {
    const agent = state.agentIndex.get(agents[index] ?? '')
    const row = agent === undefined ? 0 : state.deliveries.find(source, agent)
    if (row === 0) continue
    state.deliveries.started[row] = started
    if (started === 0) state.deliveries.crashes[row] = 0
    state.deliveries.began[row] = 1
    if (state.exclusives.size > 0) holdExclusive(state, row)
  }
}

/** A claim over a lane that was not released: its owner died, and with it whatever it had started. */
export function countCrashes(state: SpineState, record: LogRecord): void {
  const { lane, owner } = record.data as SystemData<'spine.lane.claimed'>
  const before = state.lanes.get(lane)
  const careful = before !== undefined && !before.released
  state.lanes.set(lane, { claimed: record.sequence, owner, released: false, careful })
  const { deliveries } = state
  for (const row of deliveries.rows()) {
    if (careful && deliveries.started[row] === 1 && (deliveries.crashes[row] as number) < 255)
      deliveries.crashes[row] = (deliveries.crashes[row] as number) + 1
    if (deliveries.started[row] === 1) foldCut(state, row)
    deliveries.started[row] = 0
    // A new owner may host new code: what stood still for a mismatch gets another look.
    if (deliveries.status[row] === STATUS.paused && !state.budgets.paused.has(row)) makeReady(state, row)
  }
}
