import type { Row } from '../coordination/delivery-table.ts'
import type { Sequence } from '../event/sequence.ts'
import { joinedEvent, joinedOf } from './joined-event.ts'
import type { RunHost } from './run-host.ts'
import { toEvent } from './to-event.ts'

/** What the handler of a delivery is given, for options of its agent that are asked about it. */
export async function workEvent(host: RunHost, row: Row, source: Sequence): Promise<unknown> {
  const event = toEvent(await host.records.get(source), host.types)
  const joined = await joinedOf(host.state, host.records, row)
  return joined === undefined ? event : joinedEvent(event, joined, host.types)
}
