import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

/** What only an owner of the lane may write. */
const OWNED = /^spine\.(?:delivery|step|timer|runs|call)\./

/** I11: after another process has claimed the lane, nothing that only an owner may write comes from the one before. */
export function checkFencing({ records, history }: Evidence): readonly Finding[] {
  const writerOf = new Map<number, number>()
  for (const { process, first, last } of history.written)
    for (let sequence = first; sequence <= last; sequence++) writerOf.set(sequence, process)
  const findings: Finding[] = []
  let owner = 0
  for (const { sequence, type, agent } of records) {
    const writer = writerOf.get(sequence)
    if (writer === undefined) findings.push({ invariant: 'I11', what: `nobody wrote record ${sequence}` })
    if (type === 'spine.lane.claimed') owner = writer as number
    else if (OWNED.test(type) && agent !== undefined && writer !== owner)
      findings.push({
        invariant: 'I11',
        what: `process ${writer} wrote ${type} at ${sequence}, owned by process ${owner}`,
      })
  }
  return findings
}
