/**
 * `after`: a delivery that waits for its session to have events of certain types. Used by `evolve.ts` and what it uses.
 *
 * - `held`: at the head of its key, or unordered, and lacking a type. Entered when it would have become `ready`. Leaves to
 *   `ready` when nothing is missing any more. Behind another of its key it is `queued` all the same, so the order is kept.
 *
 * B1  An event of the session that comes after the opening is ticked off by the fold itself.
 * B2  What lies before the opening the owner looks up, and records as `spine.wait.matched` of `@after <type>`.
 * B3  What is held goes by the terms that were in force when it opened; a new registration can only ask for less.
 * B4  A delivery that has started is never held again: what its session has had stays had.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import { makeReady } from './deliveries.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { SpineState } from './state.ts'

const AFTER = '@after '

/** Command of the wait for an event of a type. */
export function afterWait(type: string): string {
  return `${AFTER}${type}`
}

/** Whether a record of a wait that matched is of this kind of wait. */
export function isAfterWait(record: LogRecord): boolean {
  return (record.data as unknown as SystemData<'spine.wait.matched'>).command.startsWith(AFTER)
}

/** B1 */
export function tickOffEvent(state: SpineState, record: LogRecord): void {
  for (const row of state.held.waitingFor(record.session, record.type)) tickOff(state, row, record.type)
}

/** B2 */
export function foldAfterMatched(state: SpineState, row: Row, record: LogRecord): void {
  const { command } = record.data as unknown as SystemData<'spine.wait.matched'>
  tickOff(state, row, command.slice(AFTER.length))
}

/** B3 */
export function askForLess(state: SpineState, agent: number, after: readonly string[]): void {
  for (const row of state.held.rows()) {
    if (state.deliveries.agent[row] !== agent) continue
    for (const type of state.held.missingOf(row)) if (!after.includes(type)) tickOff(state, row, type)
  }
}

function tickOff(state: SpineState, row: Row, type: string): void {
  const { deliveries, held } = state
  if (held.tickOff(row, deliveries.session[row] as string, type) && deliveries.status[row] === STATUS.held)
    makeReady(state, row)
}
