import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

/** I9, I20: an effect starts after its start is on the log, under one key; nothing is entered after its deadline. */
export function checkEffects({ records, history }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const started = new Set<string>()
  for (const { type, cause, agent, data } of records) {
    if (type === 'spine.step.started') started.add(`${cause}/${agent} ${(data as { command: string }).command}`)
  }
  const keys = new Map<string, string>()
  for (const { kind, agent, source, name, idempotencyKey } of history.tools) {
    const place = `${source}/${agent} ${name}#0`
    if (kind === 'effect' && !started.has(place))
      findings.push({ invariant: 'I9', what: `${place} took effect and its start is not on the log` })
    const known = keys.get(place)
    if (known !== undefined && known !== idempotencyKey)
      findings.push({ invariant: 'I9', what: `${place} had the keys ${known} and ${idempotencyKey}` })
    keys.set(place, idempotencyKey)
  }
  for (const { agent, source, at, deadline } of history.entries) {
    if (deadline !== undefined && at >= deadline)
      findings.push({ invariant: 'I20', what: `${source}/${agent} was entered ${at - deadline} ms after its deadline` })
  }
  return findings
}
