import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

/** Who reacts to what; both are ordered by the key of the event. */
const REACTIONS: Readonly<Record<string, readonly string[]>> = {
  'order.placed': ['clerk'],
  'order.finished': ['filing'],
  'note.taken': ['filing'],
}
const ENDS = /^spine\.delivery\.(?:completed|dead|cancelled|expired|skipped|taken|superseded)$/

interface Delivery {
  readonly source: LogRecord
  /** Sequence of the first record that tells of it. */
  first: number
  /** Sequence of the first record that ended it. */
  ended: number
}

/** I7: of one key nothing is begun before what came earlier has ended, by itself or with its request. */
export function checkOrder({ records }: Evidence): readonly Finding[] {
  const deliveries = new Map<string, Delivery>()
  const queues = new Map<string, Delivery[]>()
  const byRequest = new Map<string, Delivery[]>()
  for (const record of records) {
    // What is delayed takes its place when it is due (waits.ts).
    for (const agent of record.due === undefined ? (REACTIONS[record.type] ?? []) : []) {
      const delivery = { source: record, first: Number.POSITIVE_INFINITY, ended: Number.POSITIVE_INFINITY }
      deliveries.set(`${record.sequence}/${agent}`, delivery)
      append(queues, `${agent} ${record.key}`, delivery)
      append(byRequest, record.request, delivery)
    }
    if (record.type === 'spine.request.cancelled' || record.type === 'spine.request.expired')
      for (const delivery of byRequest.get(record.request) ?? [])
        delivery.ended = Math.min(delivery.ended, record.sequence)
    const delivery = deliveries.get(`${record.cause}/${record.agent}`)
    if (delivery === undefined) continue
    delivery.first = Math.min(delivery.first, record.sequence)
    if (ENDS.test(record.type)) delivery.ended = Math.min(delivery.ended, record.sequence)
  }
  return [...queues].flatMap(([queue, members]) => overlaps(queue, members))
}

function overlaps(queue: string, members: readonly Delivery[]): readonly Finding[] {
  const findings: Finding[] = []
  for (const [index, later] of members.entries()) {
    const earlier = members[index - 1]
    if (earlier === undefined || later.first >= earlier.ended) continue
    const what = `${queue}: ${later.source.sequence} was begun at ${later.first}, ${earlier.source.sequence} ended at ${earlier.ended}`
    findings.push({ invariant: 'I7', what })
  }
  return findings
}

function append<Item>(lists: Map<string, Item[]>, name: string, item: Item): void {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [item])
  else list.push(item)
}
