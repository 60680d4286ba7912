import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

const ENDS = /^spine\.delivery\.(?:completed|dead|cancelled|expired|skipped|taken|superseded)$/
/** Written by whoever owns the lane, also of what was never entered. */
const FROM_OUTSIDE =
  /^spine\.(?:timer\.fired|wait\.matched|wait\.expired|delivery\.(?!completed|retried|preempted|paused))/
const HOLD = 'advising'
/** May still come of a run that stands still, or of an earlier life. */
const LATE = new Set(['spine.step.recorded', 'spine.delivery.preempted', 'spine.delivery.retried'])

interface Work {
  readonly id: string
  readonly agent: string
  readonly place: string
  readonly request: string
  readonly caller: Work | undefined
  readonly called: Set<Work>
}

/**
 * `exclusive`: of the agents of one name, one at most has begun and not ended in a session, save what it called itself, and
 * unless it stands still for a newer turn; and no two of them ever execute at once in one process.
 */
export function checkExclusives(evidence: Evidence): readonly Finding[] {
  const names = namesOf(evidence.records)
  return names.size === 0 ? [] : [...onTheLog(evidence.records, names), ...inProcesses(evidence, names)]
}

function namesOf(records: readonly LogRecord[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const { type, data } of records) {
    const { name, exclusive } = (data ?? {}) as { readonly name?: string; readonly exclusive?: string }
    if (type === 'spine.agent.registered' && exclusive !== undefined) names.set(name as string, exclusive)
  }
  return names
}

function onTheLog(records: readonly LogRecord[], names: ReadonlyMap<string, string>): readonly Finding[] {
  const findings: Finding[] = []
  const open = new Map<string, Work>()
  /** What still comes of them changes nothing. */
  const over = new Set<string>()
  /** And an effect of an earlier life may bring its outcome late. */
  const redriven = new Set<string>()
  const holders = new Map<string, Set<Work>>()
  const begin = (work: Work, at: number) => {
    const others = holders.get(work.place) ?? new Set()
    if (work.place === '' || others.has(work)) return
    for (const other of others)
      if (!calledBy(work, other))
        findings.push({ invariant: 'exclusive', what: `${work.id} began at ${at}, and ${other.id} had not ended` })
    holders.set(work.place, others.add(work))
  }
  const end = (work: Work | undefined) => {
    if (work === undefined || open.get(work.id) !== work) return
    open.delete(work.id)
    over.add(work.id)
    holders.get(work.place)?.delete(work)
    for (const each of work.called) end(each)
  }
  const opened = (record: LogRecord, agent: string, caller: Work | undefined) => {
    const name = names.get(agent)
    const place = name === undefined ? '' : `${name} ${record.session}`
    const id = `${record.sequence}/${agent}`
    const work: Work = { id, agent, place, request: record.request, caller, called: new Set() }
    open.set(id, work)
    caller?.called.add(work)
  }
  for (const record of records) {
    const { type, sequence, cause, agent, request } = record
    const id = `${cause}/${agent}`
    // What reacts is known when it is first told of.
    if (type === 'spine.delivery.redriven') {
      over.delete(id)
      redriven.add(id)
    }
    if (agent !== undefined && !open.has(id) && !over.has(id) && records[cause - 1] !== undefined)
      opened(records[cause - 1] as LogRecord, agent, undefined)
    const work = open.get(id)
    const isLate = LATE.has(type) && (agent === HOLD || redriven.has(id))
    if (work !== undefined && !isLate && !FROM_OUTSIDE.test(type)) begin(work, sequence)
    // Where it stands still for a newer turn, it takes its place anew.
    if (type === 'order.placed')
      for (const [place, works] of holders)
        if (place.endsWith(` ${record.session}`)) for (const each of works) if (each.agent === HOLD) works.delete(each)
    const data = (record.data ?? {}) as {
      readonly target?: string
      readonly command?: string
      readonly handoff?: { readonly target: string }
      readonly generation?: number
      readonly events?: readonly number[]
      readonly agents?: readonly string[]
    }
    if (type === 'spine.call.requested')
      opened(record, data.target as string, data.command === undefined ? undefined : work)
    if (type === 'spine.runs.started')
      for (const [index, source] of (data.events ?? []).entries()) {
        const started = open.get(`${source}/${data.agents?.[index]}`)
        // It may have been entered while it has to stand still.
        if (started !== undefined && started.agent !== HOLD) begin(started, sequence)
      }
    if (type === 'spine.request.cancelled' || type === 'spine.request.expired')
      for (const each of [...open.values()]) if (each.request === request) end(each)
    if (work !== undefined && data.generation !== undefined && type.startsWith('spine.delivery.'))
      for (const each of work.called) end(each)
    if (work === undefined || !ENDS.test(type)) continue
    end(work)
    if (data.handoff !== undefined) opened(record, data.handoff.target, work.caller)
  }
  return findings
}

function calledBy(work: Work, other: Work): boolean {
  for (let each = work.caller; each !== undefined; each = each.caller) if (each === other) return true
  return false
}

function inProcesses({ records, history }: Evidence, names: ReadonlyMap<string, string>): readonly Finding[] {
  const findings: Finding[] = []
  const last = new Map<string, (typeof history.visits)[number]>()
  for (const visit of history.visits) {
    const name = names.get(visit.agent)
    if (name === undefined) continue
    const place = `${visit.process} ${name} ${records[visit.source - 1]?.session}`
    const before = last.get(place)
    if (before !== undefined && before.source !== visit.source && (before.left ?? Number.POSITIVE_INFINITY) > visit.at)
      findings.push({
        invariant: 'exclusive',
        what: `${visit.source}/${visit.agent} executed at ${visit.at} in process ${visit.process}, and ${before.source}/${before.agent} from ${before.at} to ${before.left}`,
      })
    last.set(place, visit)
  }
  return findings
}
