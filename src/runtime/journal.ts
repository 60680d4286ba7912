import { byOutcome } from '../coordination/gather.ts'
import type { Row } from '../coordination/delivery-table.ts'
import type { SpineState } from '../coordination/state.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
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
  /** Ids of `ctx.patched` that this run has passed with the new code. */
  readonly patches: ReadonlySet<string>
  /** Commands of `ctx.spend` that are charged already. */
  readonly spendings: ReadonlySet<string>
}

/** How a passed `ctx.patched` stands on the log; it is no outcome that anyone waits for. */
export const PATCHED = '@patched '

/** How the claimed key of a delivery stands on the log (claim-dedupe-key.ts); nothing that the handler asks for either. */
export const DEDUPED = '@dedupe#0'

/** What stands in a journal without the handler having asked for it. */
/** How `ctx.spend` stands on the log, after the prefix of its branch. */
export const SPEND = '@spend'

function isSpending(command: string): boolean {
  return command.includes(`${SPEND}#`) && /(?:^|\/)@spend#\d+$/.test(command)
}

export function isUnasked(command: string): boolean {
  return command === DEDUPED || command.startsWith(PATCHED) || isSpending(command)
}

export function patchCommand(id: string): string {
  return `${PATCHED}${id}#0`
}

/** The event that a wait took, from the record that ended it. */
export function takenBy({ type, data }: LogRecord): Sequence | undefined {
  return type === 'spine.wait.matched' ? (data as unknown as SystemData<'spine.wait.matched'>).event : undefined
}

/** Of a run that has recorded nothing yet. */
export const NO_JOURNAL: Journal = {
  basis: 0,
  ids: new Set(),
  outcomes: [],
  carried: new Set(),
  patches: new Set(),
  spendings: new Set(),
}

/** At once when there is none, which is the common case; else with the records read. */
export function journalOf(state: SpineState, records: Records, row: Row): Journal | Promise<Journal> {
  return state.runs.has(row) ? loadJournal(state, records, row) : NO_JOURNAL
}

async function loadJournal(state: SpineState, records: Records, row: Row): Promise<Journal> {
  const run = state.runs.get(row)
  if (run === undefined) return NO_JOURNAL
  const { basis } = run
  const names = [...run.commands.keys()]
  const patches = new Set(
    names.filter((name) => name.startsWith(PATCHED)).map((name) => name.slice(PATCHED.length, -2)),
  )
  const ended = [...run.commands].filter(([name, { ended }]) => ended !== 0 && !isUnasked(name))
  ended.sort(byOutcome)
  const ids = new Set(names.filter((name) => !isUnasked(name)))
  const carried = new Set([...run.commands].filter(([, command]) => command.carried).map(([name]) => name))
  const outcomes: Outcome[] = []
  for (const [command, { ended: sequence }] of ended) {
    const record = await records.get(sequence)
    const taken = takenBy(record)
    outcomes.push(taken === undefined ? { command, record } : { command, record, event: await records.get(taken) })
  }
  const spendings = new Set(names.filter(isSpending))
  return { basis, ids, outcomes, carried, patches, spendings }
}
