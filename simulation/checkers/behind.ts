import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

const HEARD = new Set(['order.finished', 'note.taken'])
const END = /^spine\.delivery\.(?:completed|cancelled|expired)$/

/** Who begins with the first event, or falls behind, is given every event once, and those of a key in their order. */
export function checkBehind({ records, open }: Evidence): readonly Finding[] {
  const findings: Finding[] = [...checkAdmissions(records)]
  if (open > 0 || !records.some(({ data }) => (data as { name?: string } | null)?.name === 'historian')) return findings
  const ended = new Set<string>()
  const completed = new Map<number, number>()
  for (const { type, request, cause, agent } of records) {
    if (type === 'spine.request.cancelled' || type === 'spine.request.expired') ended.add(request)
    if (agent !== 'historian') continue
    // Crashes by chance may make a dead letter of it, which someone gives up.
    if (END.test(type) || type === 'spine.delivery.discarded') completed.set(cause, (completed.get(cause) ?? 0) + 1)
  }
  for (const { type, sequence, request } of records) {
    const times = completed.get(sequence) ?? 0
    const mayBeNone = ended.has(request)
    if (HEARD.has(type) ? times > 1 || (times === 0 && !mayBeNone) : times > 0)
      findings.push({ invariant: 'behind', what: `the historian was given ${sequence} ${times} times` })
  }
  return findings
}

/** Windows follow each other, and none has an event of another. */
function checkAdmissions(records: readonly LogRecord[]): readonly Finding[] {
  const findings: Finding[] = []
  const cursors = new Map<string, number>()
  for (const { type, sequence, data } of records) {
    if (type !== 'spine.agent.admitted') continue
    const { name, upTo, events } = data as { name: string; upTo: number; events: readonly number[] }
    let before = cursors.get(name) ?? 0
    for (const event of [...events, upTo + 1]) {
      if (event <= before || event > upTo + 1)
        findings.push({ invariant: 'behind', what: `${sequence} admits ${event} of '${name}' after ${before}` })
      before = event
    }
    cursors.set(name, upTo)
  }
  return findings
}
