import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import { RATE } from '../office.ts'
import type { Finding } from './index.ts'

/** Between the moment at which a run may start and its basis lie a few turns, in which a batch may be folded. */
const BATCH_RECORDS = 40

/** While a breaker is open nothing begins but its probe, and no window of time has more starts than a rate allows. */
export function checkProtection({ records, history }: Evidence): readonly Finding[] {
  return [...checkBreakers(records), ...checkRate(records), ...checkStarts(records, history.entries)]
}

function checkBreakers(records: readonly LogRecord[]): readonly Finding[] {
  const findings: Finding[] = []
  /** By sequence: since when it is open or half-open, and for whom not. */
  const states: { since: number; probe: number | undefined }[] = [{ since: 0, probe: undefined }]
  let state = states[0] as (typeof states)[number]
  /** Where the log first said that the present attempt was started: what began before goes on. */
  const announced = new Map<number, number>()
  for (const { type, sequence, cause, agent, data } of records) {
    const { name, probe } = (data ?? {}) as { name?: string; probe?: number }
    // A probe that was on its way when somebody closed the breaker opens nothing.
    const isVoid = probe !== undefined && state.since === 0
    if (type === 'spine.breaker.opened' && name === 'billing' && !isVoid) state = { since: sequence, probe }
    if (type === 'spine.breaker.closed' && name === 'billing') state = { since: 0, probe: undefined }
    states[sequence] = state
    if (type === 'spine.runs.started') {
      const { events, agents } = data as { events: readonly number[]; agents: readonly string[] }
      for (const [at, event] of events.entries())
        if (agents[at] === 'billing' && !announced.has(event)) announced.set(event, sequence)
    }
    // What made room goes on with the attempt that it had begun.
    const isPreempted = type === 'spine.delivery.preempted'
    if (agent === 'billing' && isPreempted && !announced.has(cause)) announced.set(cause, 0)
    if (agent === 'billing' && type.startsWith('spine.delivery.') && !isPreempted) announced.delete(cause)
    const { basis } = (data ?? {}) as { basis?: number }
    if (agent !== 'billing' || basis === undefined) continue
    const then = states[basis] as typeof state
    const isEarlier = (announced.get(cause) ?? basis) - then.since <= BATCH_RECORDS
    if (then.since !== 0 && then.probe !== cause && basis - then.since > BATCH_RECORDS && !isEarlier)
      findings.push({ invariant: 'breaker', what: `${cause}/billing began at ${basis}, open since ${then.since}` })
  }
  return findings
}

function checkRate(records: readonly LogRecord[]): readonly Finding[] {
  const findings: Finding[] = []
  const starts = new Map<string, number[]>()
  for (const { type, time, sequence, data } of records) {
    if (type !== 'spine.runs.started') continue
    for (const key of (data as { rates?: readonly string[] }).rates ?? []) {
      const times = starts.get(key) ?? []
      starts.set(key, times)
      const before = times.at(-RATE.limit)
      if (before !== undefined && time - before < RATE.perMs)
        findings.push({
          invariant: 'rate',
          what: `${key}: start ${sequence} is one too many within ${time - before} ms`,
        })
      times.push(time)
    }
  }
  return findings
}

/** Whoever entered had told the log so before, each time a process entered it. */
function checkStarts(records: readonly LogRecord[], entries: Evidence['history']['entries']): readonly Finding[] {
  const started = new Map<number, number>()
  for (const { type, cause, agent, data } of records) {
    // What its step brought after it had made room is not asked for again: it goes on with the start that it had.
    const isLate = type === 'spine.step.recorded' && (data as { generation?: number }).generation !== undefined
    if (isLate && agent === 'printing') started.set(cause, (started.get(cause) ?? 0) + 1)
    if (type !== 'spine.runs.started') continue
    const { events, rates } = data as { events: readonly number[]; rates?: readonly string[] }
    if (rates !== undefined) for (const event of events) started.set(event, (started.get(event) ?? 0) + 1)
  }
  // Within a process a run is entered again from its journal when it was not kept, or made room; that is no further start.
  const entered = new Map<number, Set<number>>()
  for (const { agent, source, process } of entries) {
    if (agent !== 'printing') continue
    entered.set(source, (entered.get(source) ?? new Set()).add(process))
  }
  return [...entered]
    .filter(([source, processes]) => processes.size > (started.get(source) ?? 0))
    .map(([source, processes]) => ({
      invariant: 'rate',
      what: `${source}/printing was entered by ${processes.size} processes, more often than it started`,
    }))
}
