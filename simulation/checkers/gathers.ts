import { isDeepStrictEqual } from 'node:util'
import type { Evidence, Gathered } from '../history.ts'
import type { Finding } from './index.ts'
import { startedOver } from './started-over.ts'

/** I12: a gather fires once, counts each branch once, and stops when its rule says so. */
export function checkGathers({ history, records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const told = new Map<string, Gathered>()
  const anew = startedOver(records)
  for (const gathered of history.gathers) {
    const name = `${gathered.source} ${gathered.op.name}`
    const before = told.get(name)
    if (before !== undefined && !anew.has(gathered.source) && !isDeepStrictEqual(before, gathered))
      findings.push({ invariant: 'I12', what: `gather ${name} came to ${text(before)}, then to ${text(gathered)}` })
    if (before !== undefined) continue
    told.set(name, gathered)
    const flaw = flawIn(gathered)
    if (flaw !== undefined) findings.push({ invariant: 'I12', what: `gather ${name} ${flaw}: ${text(gathered)}` })
  }
  return findings
}

function flawIn({ op, values, missing, reached }: Gathered): string | undefined {
  const counted = [...values, ...missing.map(({ branch }) => branch)].sort()
  const all = op.branches.map((_, index) => `${index}`).sort()
  if (!isDeepStrictEqual(counted, all)) return 'does not count each branch once'
  const isLate = missing.some(({ reason }) => reason === 'late')
  const failed = missing.filter(({ reason }) => reason === 'failed').length
  if (op.until === 'settled') {
    if (reached === isLate) return 'is reached though a branch is late, or the other way round'
    return missing.some(({ reason }) => reason === 'cancelled') ? 'cancelled what it waits for' : undefined
  }
  const quorum = op.until === 'first' ? 1 : op.until
  if (reached !== values.length >= quorum) return 'has another quorum'
  const isOutOfReach = op.branches.length - failed < quorum
  return reached || isOutOfReach || isLate ? undefined : 'stopped too early'
}

function text({ values, missing, reached }: Gathered): string {
  return JSON.stringify({ values, missing, reached })
}
