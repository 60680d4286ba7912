/**
 * Breakers: an agent whose attempts keep failing is left alone for a while, and what waits for it is kept. Used by
 * `evolve.ts` and by whoever starts work.
 *
 * A breaker is a pause by itself, with a due time. States:
 * - `closed`: work starts. Enters `tripped` with the last of `failures` failed attempts in a row within `withinMs`.
 * - `tripped`: nothing starts any more, and the owner writes `spine.breaker.opened { until }`. Enters `open` by it.
 * - `open`: nothing starts. From `until` on the first delivery that could start is chosen as the probe, by another
 *   `spine.breaker.opened { until, probe }`. Enters `half-open` by it.
 * - `half-open`: the probe starts, and nothing else. It passes: the owner writes `spine.breaker.closed`. It fails: the owner
 *   opens again, for longer. It ends in another way, or not by `until`: `open` with its time over.
 *
 * H1  While a breaker is not closed no attempt begins but the probe's. Nothing is spent, and nothing ends because of it.
 * H2  An attempt that the log knows of goes on, also in the next process; what becomes of it says nothing unless it is the
 *     probe's.
 * H3  Failures of the input (`Permanent`), of others (a call, a full queue) and of the process (a crash) do not count.
 * H4  It is not tried again before the latest time that a counted `RetryAfter` asked for.
 */
import type { Failure, SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import { fraction, type Random } from '../kernel/random.ts'
import type { Row } from './delivery-table.ts'
import { type AgentState, agentNamed, type SpineState } from './state.ts'

export interface BreakerState {
  /** Times of the failed attempts in a row that count; none while it is not closed. */
  failures: number[]
  /** How often it has opened since it was closed. */
  openings: number
  /** Absolute ms; see the states above. */
  until: number
  /** Source of the probe, 0 for none. */
  probe: Sequence
  /** What the probe showed, until the owner has written what follows from it. */
  verdict: '' | 'passed' | 'failed'
  /** Latest time that a `RetryAfter` asked for; 0 for none. */
  askedUntil: number
}

export interface BreakerOptions {
  readonly failures: number
  readonly withinMs: number
  readonly cooldownMs: number
}

export type BreakerPhase = 'closed' | 'open' | 'half-open'

export type BreakerDecision = { readonly kind: 'open'; readonly until: number } | { readonly kind: 'close' }

export function closedBreaker(): BreakerState {
  return { failures: [], openings: 0, until: 0, probe: 0, verdict: '', askedUntil: 0 }
}

/** As registered. */
export function breakerOptions({ registration }: AgentState): BreakerOptions | undefined {
  return (registration?.options as { readonly breaker?: BreakerOptions } | undefined)?.breaker
}

/** After a registration: an agent that has a breaker keeps its state; one that has none any more starts what was held. */
export function applyBreaker(state: SpineState, agent: AgentState): void {
  if (breakerOptions(agent) !== undefined) agent.breaker ??= closedBreaker()
  else if (agent.breaker !== undefined) {
    agent.breaker = undefined
    state.marks?.push({ kind: 'resumed', agent: agent.name })
  }
}

/** An agent goes on under a new name. */
export function moveBreaker(state: SpineState, from: AgentState, to: AgentState): void {
  if (to.breaker !== undefined && from.breaker !== undefined) to.breaker = from.breaker
  from.breaker = undefined
  lookAgain(state, to)
}

/** A delivery of the agent ended, or an attempt at it did. */
export function foldHeard(state: SpineState, agent: AgentState, source: Sequence, record: LogRecord): void {
  const breaker = agent.breaker as BreakerState
  const isOwn = record.cause === source && record.agent === agent.name
  const heard = isOwn ? verdictOf(record) : ''
  if (breaker.openings === 0) {
    if (heard === 'passed') breaker.failures = []
    if (heard === 'failed') countFailure(state, agent, breaker, record)
  } else if (breaker.probe === source && breaker.verdict === '') {
    if (heard === '') {
      loseProbe(state, agent, breaker, record.time)
      return
    }
    breaker.verdict = heard
    if (heard === 'failed') noteAsked(breaker, record)
    state.marks?.push({ kind: 'breaker', agent: agent.name })
  }
}

function countFailure(state: SpineState, agent: AgentState, breaker: BreakerState, record: LogRecord): void {
  const { failures, withinMs } = breakerOptions(agent) as BreakerOptions
  noteAsked(breaker, record)
  const since = record.time - withinMs
  breaker.failures = [...breaker.failures.filter((time) => time >= since), record.time].slice(-failures)
  if (isTripped(agent)) state.marks?.push({ kind: 'breaker', agent: agent.name })
}

function noteAsked(breaker: BreakerState, record: LogRecord): void {
  const { retryAfterMs } = (record.data as { readonly error?: Failure }).error ?? {}
  if (retryAfterMs === undefined) return
  breaker.askedUntil = Math.max(breaker.askedUntil, record.time + Math.min(retryAfterMs, limits.retryAfterMsMax))
}

/** What failed, but not at what the agent itself relies on. */
const OF_OTHERS: ReadonlySet<string> = new Set([
  'SPINE_CALL_CYCLE',
  'SPINE_CALL_FAILED',
  'SPINE_CRASH_LOOP',
  'SPINE_EXPIRED',
  'SPINE_KEY_PARKED',
  'SPINE_QUEUE_FULL',
  'SPINE_REQUEST_CANCELLED',
  'SPINE_WAIT_TIMEOUT',
])

function verdictOf({ type, data }: LogRecord): BreakerState['verdict'] {
  if (type === 'spine.delivery.completed') return 'passed'
  if (type !== 'spine.delivery.retried' && type !== 'spine.delivery.dead') return ''
  const { error } = data as unknown as { readonly error: Failure }
  return error.permanent === true || OF_OTHERS.has(error.code) ? '' : 'failed'
}

/** The probe told nothing: the next one may be chosen at once. */
function loseProbe(state: SpineState, agent: AgentState, breaker: BreakerState, time: number): void {
  breaker.probe = 0
  breaker.until = time
  lookAgain(state, agent)
}

export function foldBreakerOpened(state: SpineState, record: LogRecord): void {
  const { name, until, probe } = record.data as SystemData<'spine.breaker.opened'>
  const index = state.agentIndex.get(name)
  const agent = index === undefined ? undefined : state.agents[index]
  if (index === undefined || agent?.breaker === undefined) return
  const { breaker } = agent
  if (probe !== undefined) {
    // Someone may have closed it meanwhile.
    if (breaker.openings === 0) return
    breaker.probe = probe
    breaker.verdict = ''
    breaker.until = until
    if (state.deliveries.find(probe, index) === 0) {
      loseProbe(state, agent, breaker, record.time)
      return
    }
    state.marks?.push({ kind: 'resumed', agent: name })
  } else {
    agent.breaker = { ...closedBreaker(), openings: breaker.openings + 1, until }
  }
  lookAgain(state, agent)
}

export function foldBreakerClosed(state: SpineState, record: LogRecord): void {
  const agent = agentNamed(state, (record.data as SystemData<'spine.breaker.closed'>).name)
  if (agent?.breaker === undefined) return
  agent.breaker = closedBreaker()
  state.marks?.push({ kind: 'resumed', agent: agent.name })
}

/** When a probe may be chosen, the dispatcher looks at what it holds. Also at a takeover. */
export function lookAgain(state: SpineState, { name, breaker }: AgentState): void {
  if (breaker === undefined || breaker.openings === 0 || breaker.verdict !== '') return
  state.due?.push({ at: breaker.until, kind: 'breaker', row: 0, source: 0, name })
}

function isTripped(agent: AgentState): boolean {
  const { breaker } = agent
  const failures = breakerOptions(agent)?.failures ?? Number.POSITIVE_INFINITY
  return breaker !== undefined && breaker.failures.length >= failures
}

/** Whether a delivery that could start has to wait for the breaker of its agent (H1, H2). */
export function isHeldByBreaker({ agents, deliveries }: SpineState, row: Row): boolean {
  const agent = agents[deliveries.agent[row] as number] as AgentState
  const { breaker } = agent
  if (breaker === undefined || deliveries.began[row] === 1) return false
  if (breaker.openings === 0) return isTripped(agent)
  return breaker.probe !== deliveries.source[row] || breaker.verdict !== ''
}

/** Whether a delivery that is held may be chosen as the probe. */
export function mayProbe({ breaker }: AgentState, now: number): boolean {
  return breaker !== undefined && breaker.openings > 0 && breaker.verdict === '' && now >= breaker.until
}

/** Until when a probe is waited for that is chosen now: as long as an attempt may run, and a cooldown at least. */
export function probeUntil(agent: AgentState, now: number): number {
  const { timeoutMs = 0 } = (agent.registration?.options ?? {}) as { readonly timeoutMs?: number }
  return now + Math.max(timeoutMs, breakerOptions(agent)?.cooldownMs ?? 0)
}

/** What the owner writes, `undefined` for nothing. */
export function decideBreaker(agent: AgentState, now: number, random: Random): BreakerDecision | undefined {
  const { breaker } = agent
  if (breaker?.verdict === 'passed') return { kind: 'close' }
  if (breaker?.verdict !== 'failed' && !isTripped(agent)) return undefined
  const { openings, askedUntil } = breaker as BreakerState
  const { cooldownMs } = breakerOptions(agent) as BreakerOptions
  const longest = Math.max(cooldownMs, limits.breakerCooldownMsMax)
  const bound = Math.min(longest, cooldownMs * 2 ** Math.min(openings, 40))
  // Jitter only adds: agents that failed together do not come back together, and none comes back early.
  return { kind: 'open', until: Math.ceil(Math.max(now + bound, askedUntil) + (bound / 4) * fraction(random)) }
}

/** What people, and those who route, are told. */
export function breakerPhase(agent: AgentState, now: number): BreakerPhase {
  const { breaker } = agent
  if (breaker === undefined || (breaker.openings === 0 && !isTripped(agent))) return 'closed'
  return breaker.openings > 0 && (breaker.probe !== 0 || now >= breaker.until) ? 'half-open' : 'open'
}

/** Whether work should rather go elsewhere. Once its time is over it should not: somebody has to be the probe. */
export function isBreakerOpen(agent: AgentState, now: number): boolean {
  return breakerPhase(agent, now) !== 'closed' && !mayProbe(agent, now)
}
