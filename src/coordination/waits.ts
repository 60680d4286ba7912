/**
 * Runs that wait for an event of their session. Used by `evolve.ts` and what it uses; the owner decides what matches.
 *
 * States of a wait: `open` (entered by `spine.wait.opened`, or with a dead letter that is redriven) → `matched` by
 * `spine.wait.matched`, or `expired` by `spine.wait.expired`, whichever is first on the log. An open wait also ends with
 * its run, and is set aside with it in the dead letters.
 *
 * W1  The fold never looks into an event: it tells who might be waiting for it, and the owner records what it found.
 * W2  Every event that follows the opening of a wait of its session and type is marked, once however many they are: whoever
 *     reads the marks asks the index for whom it may be. So none is lost.
 * W3  in `wait-index.ts`.
 * W4  What a wait has taken, the same agent is not given a second time, unless it has begun with it already.
 */

import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { endCommand, endDelivery } from './deliveries.ts'
import type { Row } from './delivery-table.ts'
import type { Command, RunState, SpineState } from './state.ts'

export function openWait(state: SpineState, row: Row, run: RunState, record: LogRecord): void {
  const data = record.data as unknown as SystemData<'spine.wait.opened'>
  const { command, event, after = 0, cause, match, others, due = 0 } = data
  if (run.commands.has(command)) return
  const wait = {
    event,
    after,
    ...(cause === undefined ? {} : { cause }),
    ...(match === undefined ? {} : { match }),
    ...(others === undefined ? {} : { others }),
  }
  const asked = record.sequence
  run.commands.set(command, { kind: 'wait', asked, ended: 0, ok: false, carried: false, row: 0, due, wait })
  beginWait(state, row, command, run.commands.get(command) as Command)
}

/** On opening, and when a dead letter that waited is open again. */
export function beginWait(state: SpineState, row: Row, name: string, { wait, due }: Command): void {
  if (wait === undefined || wait.isLate === true) return
  const source = state.deliveries.source[row] as Sequence
  // The record that opens it is not folded to its end yet: nothing that is to be waited for lies between.
  state.waits.add(state.deliveries.session[row] as string, wait, { row, command: name, since: state.at })
  if (due !== 0) state.due?.push({ at: due, kind: 'timer', row, source, name })
  state.marks?.push({ kind: 'waiting', row, source, command: name })
}

/** W2 */
export function tellWaiters(state: SpineState, record: LogRecord): void {
  if (state.marks !== undefined && state.waits.isAwaited(record)) state.marks.push({ kind: 'awaited', record })
}

export function endWait(state: SpineState, row: Row, record: LogRecord): void {
  const { command: name } = record.data as unknown as SystemData<'spine.wait.matched'>
  const command = state.runs.get(row)?.commands.get(name)
  if (command?.wait === undefined || command.ended !== 0 || command.wait.isLate === true) return
  state.waits.remove(state.deliveries.session[row] as string, command.wait, row, name)
  endCommand(state, row, name, command, record, true)
}

/** A gather went on without it. It stays in the journal as what it is: open, and waited for by nobody. */
export function dropWait(state: SpineState, row: Row, run: RunState, name: string): void {
  const command = run.commands.get(name)
  if (command?.wait === undefined || command.wait.isLate === true) return
  state.waits.remove(state.deliveries.session[row] as string, command.wait, row, name)
  command.wait = { ...command.wait, isLate: true }
}

/** W4 */
export function foldTaken(state: SpineState, row: Row, record: LogRecord): void {
  const { by, command } = record.data as unknown as SystemData<'spine.delivery.taken'>
  const waiting = state.deliveries.find(by, state.deliveries.agent[row] as number)
  // Its gather went on without that wait before this record came.
  if (command !== undefined && state.runs.get(waiting)?.commands.get(command)?.wait?.isLate === true) return
  // What a join gathers is more than this event.
  if (!state.runs.has(row) && state.joins.of(row) === undefined) endDelivery(state, row, record, false)
}
