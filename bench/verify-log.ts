/** Whether a closed log holds what a load was about: nothing missing, nothing twice, in order. */
import { sqlite } from 'event-spine/sqlite'

const PAGE_RECORDS = 1_000
const COMPLETED = 'spine.delivery.completed'

export interface ExpectedLog {
  readonly requests: number
  /** Types of the user's events of one request, in the order in which they must stand. */
  readonly events: readonly string[]
  /** Deliveries of one request that must have ended well. */
  readonly completed: number
  /** Requests that do not belong to the load. */
  readonly aside?: readonly string[]
}

/** @throws when sequences have a gap, or a request has other events, another order or other ends than expected */
export async function verifyLog(path: string, expected: ExpectedLog): Promise<void> {
  const aside = new Set(expected.aside)
  const requests = new Map<string, { events: number; completed: number }>()
  const engine = sqlite(path, { readOnly: true })
  await engine.open()
  try {
    let at = 0
    for (;;) {
      const page = await engine.read({ after: at, limit: PAGE_RECORDS })
      if (page.length === 0) break
      for (const { sequence, type, request } of page) {
        if (sequence !== at + 1) throw new Error(`Record ${sequence} follows record ${at}.`)
        at = sequence
        if (aside.has(request) || (type.startsWith('spine.') && type !== COMPLETED)) continue
        const seen = requests.get(request) ?? { events: 0, completed: 0 }
        requests.set(request, seen)
        if (type === COMPLETED) seen.completed++
        else if (expected.events[seen.events++] !== type)
          throw new Error(
            `Record ${sequence} is '${type}', event ${seen.events} of its request: out of order or twice.`,
          )
      }
    }
  } finally {
    await engine.close()
  }
  for (const [request, { events, completed }] of requests) {
    if (events !== expected.events.length || completed !== expected.completed)
      throw new Error(
        `Request ${request} has ${events} events and ${completed} deliveries completed; it should have ${expected.events.length} and ${expected.completed}.`,
      )
  }
  if (requests.size !== expected.requests)
    throw new Error(`The log holds ${requests.size} requests; ${expected.requests} were published.`)
}
