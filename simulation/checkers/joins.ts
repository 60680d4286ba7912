import { isDeepStrictEqual } from 'node:util'
import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

/** I12: a join gives each of its events once, all of one request, the first of their kind; a retry is given the same. */
export function checkJoins({ records, history }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const told = new Map<number, readonly number[]>()
  const taken = new Map<number, number>()
  for (const { source, events, missing } of history.joins) {
    const before = told.get(source)
    if (before !== undefined) {
      if (!isDeepStrictEqual(before, events))
        findings.push({ invariant: 'I12', what: `join ${source} was given ${before}, then ${events}` })
      continue
    }
    told.set(source, events)
    const joined = events.map((sequence) => records[sequence - 1] as LogRecord)
    if (new Set(joined.map(({ request }) => request)).size !== 1)
      findings.push({ invariant: 'I12', what: `join ${source} mixes requests: ${events}` })
    if (new Set([...joined.map(({ type }) => type), ...missing]).size !== events.length + missing.length)
      findings.push({ invariant: 'I12', what: `join ${source} has a type twice: ${events}, missing ${missing}` })
    for (const sequence of events) {
      const other = taken.get(sequence)
      if (other !== undefined)
        findings.push({ invariant: 'I12', what: `joins ${other} and ${source} were both given ${sequence}` })
      taken.set(sequence, source)
    }
  }
  return findings
}
