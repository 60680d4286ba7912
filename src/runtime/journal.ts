import type { Row } from '../coordination/delivery-table.ts'
import type { SpineState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Records } from './records.ts'
import type { Outcome } from './replay.ts'

/** What the log holds of a run that had begun before this attempt. */
export interface Journal {
  /** 0 when nothing was recorded yet. */
  readonly basis: Sequence
  /** Every command, ended or open. */
  readonly ids: ReadonlySet<string>
  /** The ended ones, in sequence order. */
  readonly outcomes: readonly Outcome[]
  /** Those that an earlier attempt left open: this one may never ask for them. */
  readonly carried: ReadonlySet<string>
}

const EMPTY: Journal = { basis: 0, ids: new Set(), outcomes: [], carried: new Set() }

/** At once when there is none, which is the common case; else with the records read. */
export function journalOf(state: SpineState, records: Records, row: Row): Journal | Promise<Journal> {
  return state.runs.has(row) ? loadJournal(state, records, row) : EMPTY
}

async function loadJournal(state: SpineState, records: Records, row: Row): Promise<Journal> {
  const run = state.runs.get(row)
  if (run === undefined) return EMPTY
  const ended = [...run.commands].filter(([, command]) => command.ended !== 0)
  ended.sort(([, left], [, right]) => left.ended - right.ended)
  const ids = new Set(run.commands.keys())
  const carried = new Set([...run.commands].filter(([, command]) => command.carried).map(([name]) => name))
  const outcomes: Outcome[] = []
  for (const [command, { ended: sequence }] of ended) outcomes.push({ command, record: await records.get(sequence) })
  return { basis: run.basis, ids, outcomes, carried }
}
