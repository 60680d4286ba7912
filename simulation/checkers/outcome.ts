import { isDeepStrictEqual } from 'node:util'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

/** I15, I18, I22: every order has ended with the right results, once; nothing is open; every fold agrees. */
export function checkOutcome(evidence: Evidence): readonly Finding[] {
  const { records, expected, mayEndEarly, owner, observer, open } = evidence
  const findings: Finding[] = []
  if (owner !== observer)
    findings.push({
      invariant: 'I18',
      what: `the owner's state differs from a fold of the log: ${difference(owner, observer)}`,
    })
  if (open > 0) findings.push({ invariant: 'I22', what: `${open} deliveries are open at the end` })
  const results = new Map<number, (readonly string[])[]>()
  for (const { type, data } of records) {
    if (type !== 'order.finished') continue
    const { id, results: found } = data as { id: number; results: readonly string[] }
    results.set(id, [...(results.get(id) ?? []), found])
  }
  for (const [id, wanted] of expected) {
    const found = results.get(id) ?? []
    if (found.length > 1) findings.push({ invariant: 'P4', what: `order ${id} was finished ${found.length} times` })
    if (found.length === 0 && !mayEndEarly.has(id))
      findings.push({ invariant: 'I15', what: `order ${id} was never finished` })
    for (const each of found)
      if (!isDeepStrictEqual(each, wanted))
        findings.push({
          invariant: 'P3',
          what: `order ${id} came to ${JSON.stringify(each)} instead of ${JSON.stringify(wanted)}`,
        })
  }
  return findings
}

function difference(left: string, right: string): string {
  const at = [...left].findIndex((character, index) => character !== right[index])
  return `…${left.slice(Math.max(0, at - 60), at + 60)}… / …${right.slice(Math.max(0, at - 60), at + 60)}…`
}
