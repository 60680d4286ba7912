import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

interface Work {
  /** The delivery that owns it now. */
  owner: string
  ended: number
}

/**
 * I10: asked for work has exactly one owner at every sequence, from the call over every handoff to one end. Work that died
 * may be redriven: whoever asked has been told, so what comes then is owed to nobody.
 */
export function checkOwners({ records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const byOwner = new Map<string, Work>()
  for (const record of records) {
    const asked = record.type === 'spine.call.requested'
    if (asked) {
      const owner = `${record.sequence}/${(record.data as { target: string }).target}`
      byOwner.set(owner, { owner, ended: 0 })
      continue
    }
    const name = `${record.cause}/${record.agent}`
    const work = byOwner.get(name)
    if (work === undefined || !record.type.startsWith('spine.delivery.')) continue
    findings.push(...follow(byOwner, work, name, record))
  }
  return findings
}

function follow(byOwner: Map<string, Work>, work: Work, name: string, record: LogRecord): readonly Finding[] {
  const { type, sequence } = record
  if (type === 'spine.delivery.completed') {
    if (work.owner !== name)
      return [{ invariant: 'I10', what: `${name} completed at ${sequence} what ${work.owner} owns` }]
    const { handoff } = record.data as { handoff?: { target: string } }
    if (handoff !== undefined) {
      work.owner = `${sequence}/${handoff.target}`
      byOwner.set(work.owner, work)
      return []
    }
    work.ended++
    return work.ended > 1 ? [{ invariant: 'I10', what: `work of ${name} ended twice, last at ${sequence}` }] : []
  }
  if (type === 'spine.delivery.redriven') {
    // The one who asked was told of the death; the redriven work stands for itself.
    byOwner.set(name, { owner: name, ended: 0 })
  }
  return []
}
