/**
 * Ends the gathers that a record has decided, with that same record. Used by `evolve.ts`, once the record has been folded,
 * so that everything which it ended counts, in whatever order it was found.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { endCommand } from './deliveries.ts'
import type { Row } from './delivery-table.ts'
import { addGather, gatherOf, isDecided, isPlain, lateCalls, lateWaits, tallyOf, touchGathers } from './gather.ts'
import type { RunState, SpineState } from './state.ts'
import { dropWait } from './waits.ts'

/** A branch may have ended before: then it counts from the start. */
export function openGather(state: SpineState, row: Row, run: RunState, record: LogRecord): void {
  const data = record.data as unknown as SystemData<'spine.gather.opened'>
  const { command, due = 0 } = data
  if (run.commands.has(command)) return
  const asked = record.sequence
  run.commands.set(command, { kind: 'gather', asked, ended: 0, ok: false, carried: false, row: 0, due })
  addGather(run, command, gatherOf(data))
  if (due !== 0) {
    const source = state.deliveries.source[row] as Sequence
    state.due?.push({ at: due, kind: 'timer', row, source, name: command })
  }
  touchGathers(state, row)
}

/** G1. Inner ones stand before outer ones, so one pass sees what one record does to all of them. */
export function settleGathers(state: SpineState, record: LogRecord): void {
  const touched = state.touched as ReadonlyMap<RunState, Row>
  for (const [run, row] of touched) {
    const { gathers } = run
    if (gathers === undefined || state.runs.get(row) !== run) continue
    gathers.open = gathers.open.filter((name) => !isFired(state, row, run, name, record))
  }
  state.touched = undefined
}

function isFired(state: SpineState, row: Row, run: RunState, name: string, record: LogRecord): boolean {
  const gather = run.gathers?.all.get(name)
  const command = run.commands.get(name)
  if (gather === undefined || command === undefined) return true
  // Its time may have come: then this record is its own.
  if (command.ended === 0) {
    const tally = tallyOf(gather, run.commands)
    if (!isDecided(gather, tally)) return false
    endCommand(state, row, name, command, record, !isPlain(gather, command.due) || tally.failed === 0)
  }
  if (state.waits.size > 0) for (const wait of [...lateWaits(run, name)]) dropWait(state, row, run, wait)
  if (state.marks !== undefined && !lateCalls(run, name, 'cancel').next().done)
    state.marks.push({ kind: 'late', row, source: state.deliveries.source[row] as Sequence, command: name })
  return true
}
