/** What the handler of a join is given: the events of its round, read from the log by their sequences. */
import type { AnyEventType, SpineEvent } from '../agent/event-type.ts'
import type { JoinedEvent } from '../agent/join.ts'
import type { Row } from '../coordination/delivery-table.ts'
import type { SpineState } from '../coordination/state.ts'
import type { LogRecord } from '../event/record.ts'
import type { Records } from './records.ts'
import { toEvent } from './to-event.ts'

export interface Joined {
  /** In sequence order. */
  readonly records: readonly LogRecord[]
  /** Types of which no event came. */
  readonly missing: readonly string[]
}

/** `undefined` for a delivery of a single event. A round that has fired does not change any more. */
export async function joinedOf({ joins }: SpineState, records: Records, row: Row): Promise<Joined | undefined> {
  const round = joins.of(row)
  if (round === undefined) return undefined
  const sequences = [...round.seen.values()].sort((left, right) => left - right)
  const missing = round.spec.types.filter((type) => !round.seen.has(type))
  const found: LogRecord[] = []
  for (const sequence of sequences) found.push(await records.get(sequence))
  return { records: found, missing }
}

/** `first`: the event that began the round, whose place the joined event has. */
export function joinedEvent(
  first: SpineEvent,
  { records, missing }: Joined,
  types: ReadonlyMap<string, AnyEventType>,
): JoinedEvent {
  const events = records.map((record) => [record.type, toEvent(record, types)] as const)
  return Object.freeze({ ...first, type: 'spine.join', data: Object.freeze(Object.fromEntries(events)), missing })
}
