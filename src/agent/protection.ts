/** The options `breaker` and `rate` of an agent, read and checked. */
import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'

export interface Breaker {
  /** Failed attempts in a row that open it. Default 5, bounds 1 to 1,000. */
  readonly failures?: number
  /** All of them within this time. Default `'1m'`. */
  readonly within?: Duration
  /** How long it stays open the first time; doubled with each probe that fails, up to 10 minutes. Default `'30s'`. */
  readonly cooldown?: Duration
}

const BREAKER_OPTIONS = optionNames<Breaker>({ failures: true, within: true, cooldown: true })

export interface Rate {
  /** Attempts that may start in any window of `per`. 1 to 10,000. */
  readonly limit: number
  /** Up to a day. */
  readonly per: Duration
  /** Counts apart for each text that it returns: `(evt) => evt.data.customer`. Default: one count for all. */
  readonly key?: unknown
}

const RATE_OPTIONS = optionNames<Rate>({ limit: true, per: true, key: true })

/** As they are registered: coordination/breakers.ts and rates.ts read them there. */
interface BreakerOptions {
  readonly failures: number
  readonly withinMs: number
  readonly cooldownMs: number
}
interface RateOptions {
  readonly limit: number
  readonly perMs: number
}

/** What keeps an agent, and what it relies on, from wearing each other out. */
export interface Protection {
  /**
   * How many attempts start at most in any window of time, counted apart for each `key` where there is one:
   * `{ limit: 10, per: '1m', key: (evt) => evt.data.customer }`. What comes beyond waits for its turn without a slot and
   * spends no attempt. Counted on the log, so that restarts do not multiply it. Default: no bound.
   */
  readonly rate?: Rate
  /**
   * Stops starting work after failed attempts in a row, keeps what waits in its order, and tries again with one delivery
   * when the cooldown is over. `{}` for the defaults: 5 failures within 1 minute, 30 seconds. Default: none.
   */
  readonly breaker?: Breaker
}

/** As it is registered; what is left out does not exist. @throws SPINE_AGENT_INVALID, SPINE_OPTION_INVALID, SPINE_DURATION_INVALID */
export function protectionOf(
  { breaker, rate }: Protection,
  what: string,
): { readonly breaker?: BreakerOptions; readonly rate?: RateOptions } {
  return {
    ...(breaker === undefined ? {} : { breaker: breakerOf(breaker, what) }),
    ...(rate === undefined ? {} : { rate: rateOf(rate, what) }),
  }
}

function breakerOf(breaker: Breaker, what: string): BreakerOptions {
  requireKnownOptions(breaker, BREAKER_OPTIONS, `${what}: breaker`)
  const { failures = 5, within = '1m', cooldown = '30s' } = breaker
  requireCount(failures, limits.breakerFailuresMax, `${what}: breaker.failures`)
  return {
    failures,
    withinMs: requireTime(within, `${what}: breaker.within`),
    cooldownMs: requireTime(cooldown, `${what}: breaker.cooldown`),
  }
}

function rateOf(rate: Rate, what: string): RateOptions {
  requireKnownOptions(rate, RATE_OPTIONS, `${what}: rate`)
  requireCount(rate.limit, limits.rateStartsMax, `${what}: rate.limit`)
  if (rate.key !== undefined && typeof rate.key !== 'function')
    throw new SpineError('SPINE_AGENT_INVALID', `${what}: rate.key is not a function.`, {
      value: rate.key,
      fix: 'Write key: (evt) => evt.data.customer.',
    })
  return { limit: rate.limit, perMs: requireTime(rate.per, `${what}: rate.per`, limits.ratePerMsMax) }
}

function requireCount(value: unknown, max: number, what: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max) return
  throw new SpineError('SPINE_OPTION_INVALID', `${what} is ${String(value)}.`, {
    value,
    limit: max,
    fix: `Use a whole number from 1 to ${max}.`,
  })
}

function requireTime(value: unknown, what: string, maxMs = Number.POSITIVE_INFINITY): number {
  const ms = durationMs(value, what)
  if (ms >= 1 && ms <= maxMs) return ms
  throw new SpineError('SPINE_OPTION_INVALID', `${what} is ${ms} ms.`, {
    value,
    limit: maxMs,
    fix: maxMs === Number.POSITIVE_INFINITY ? 'Use 1 ms or more.' : `Use 1 to ${maxMs} ms.`,
  })
}
