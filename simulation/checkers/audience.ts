import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import { greetingOf } from '../office.ts'
import type { Finding } from './index.ts'

/** P7, I8: who watches everything is given every event of others, once; what is deduplicated is done once. */
export function checkAudience({ records, open }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const since = records.find(
    ({ type, data }) => type === 'spine.agent.registered' && (data as { name: string }).name === 'watcher',
  )?.sequence
  const watched = new Map<number, number>()
  const greeted = new Map<string, number>()
  for (const { type, agent, cause, sequence } of records) {
    // Crashes by chance may make a dead letter of it, which someone gives up.
    if (agent === 'watcher' && type === 'spine.delivery.discarded') watched.set(cause, (watched.get(cause) ?? 0) + 1)
    if (type !== 'spine.delivery.completed') continue
    if (agent === 'watcher') watched.set(cause, (watched.get(cause) ?? 0) + 1)
    if (agent !== 'greeter') continue
    const greeting = greetingOf(((records[cause - 1] as LogRecord).data as { id: number }).id)
    const other = greeted.get(greeting)
    if (other !== undefined)
      findings.push({ invariant: 'I8', what: `'${greeting}' was done for ${other}, and at ${sequence}` })
    greeted.set(greeting, cause)
  }
  if (since === undefined || open > 0) return findings
  for (const { type, sequence } of records) {
    const times = watched.get(sequence) ?? 0
    const wanted = type.startsWith('spine.') || sequence < since ? 0 : 1
    if (times !== wanted) findings.push({ invariant: 'P7', what: `the watcher was given ${sequence} ${times} times` })
  }
  return findings
}
