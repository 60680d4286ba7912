import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

const AGENT = 'advising'
const ENDS = /^spine\.delivery\.(?:completed|dead|cancelled|expired|skipped|superseded)$/

/**
 * P11: where freshness is declared, no effect starts and nothing is committed on an overtaken turn. An order overtakes the
 * advice on an earlier one of its session; it lets it go on only when its own handling has ended and asked for no advice.
 */
export function checkFreshness({ records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const roots = new Map<string, LogRecord>()
  const turns = new Map<string, LogRecord[]>()
  /** Requests that an end has been seen of, and such that asked for advice. */
  const ended = new Set<string>()
  const advised = new Set<string>()
  /** Where a run was started over: what it knows since then. */
  const anew = new Map<number, number>()
  const superseded = new Set<number>()
  /** Somebody wanted it all the same: that is a turn of its own. */
  const redriven = new Map<string, number>()
  const died = new Set<string>()
  /** Their turn was over by the death of their order; what comes of its redrive overtakes nothing that was there then. */
  const wasOver = new Set<string>()
  let then = 'hold'
  for (const record of records) {
    const { type, sequence, session, request, cause, agent, data } = record
    if (type === 'spine.agent.registered' && (data as { name: string }).name === AGENT)
      then = (data as unknown as { freshness: { then: string } }).freshness.then
    if (type === 'order.placed') {
      roots.set(request, record)
      turns.set(session, [...(turns.get(session) ?? []), record])
    }
    if (type === 'spine.delivery.dead') died.add(request)
    // One redrive brings back all that was parked behind it.
    if (type === 'spine.delivery.redriven')
      for (const each of died) {
        redriven.set(each, sequence)
        if (ended.has(each)) wasOver.add(each)
      }
    if (type === 'order.finished') advised.add(request)
    if (agent === 'clerk' && ENDS.test(type)) ended.add(request)
    if (type === 'spine.request.cancelled' || type === 'spine.request.expired') ended.add(request)
    if (agent !== AGENT) continue
    const isRestart = (data as { generation?: number }).generation !== undefined && type.startsWith('spine.delivery.')
    if (isRestart) anew.set(cause, sequence)
    if (type === 'spine.delivery.superseded') superseded.add(cause)
    const isEffect = type === 'spine.step.started'
    if (!isEffect && type !== 'spine.delivery.completed' && type !== 'advice.given') continue
    const since = Math.max(roots.get(request)?.sequence ?? 0, redriven.get(request) ?? 0, anew.get(cause) ?? 0)
    // What had come by the opening of a run that begins anew is what it begins on.
    const known = then === 'restart' ? Math.max(since, cause) : since
    const overtaken = (turns.get(session) ?? []).filter((turn) => turn.request !== request && turn.sequence > known)
    const blocking = overtaken.filter(
      (turn) =>
        then !== 'hold' || !ended.has(turn.request) || (advised.has(turn.request) && !wasOver.has(turn.request)),
    )
    const [newer] = blocking
    if (newer !== undefined && then !== 'restart')
      findings.push({
        invariant: 'P11',
        what: `${cause}/${agent} wrote ${type} at ${sequence}, overtaken by ${newer.sequence}`,
      })
    if (superseded.has(cause))
      findings.push({ invariant: 'P11', what: `${cause}/${agent} wrote ${type} at ${sequence}, superseded before` })
  }
  return findings
}
