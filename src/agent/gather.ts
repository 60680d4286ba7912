import { SpineError } from '../kernel/errors.ts'
import { optionNames } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import type { Duration } from '../kernel/duration.ts'

/** So many successes: what `quorum(n)` gives. */
export interface Quorum {
  readonly quorum: number
}

/**
 * `ctx.gather(branches, { until: quorum(2) })`: goes on with the second success, or as soon as two cannot be reached.
 *
 * @throws SPINE_OPTION_INVALID when `successes` is not a whole number from 1 to 256.
 */
export function quorum(successes: number): Quorum {
  if (Number.isSafeInteger(successes) && successes >= 1 && successes <= limits.branchesMax)
    return Object.freeze({ quorum: successes })
  throw new SpineError('SPINE_OPTION_INVALID', `quorum(${String(successes)}) is no number of successes.`, {
    value: successes,
    limit: limits.branchesMax,
    fix: `Use a whole number from 1 to ${limits.branchesMax}.`,
  })
}

/** The form of `ctx.gather` that gives plain values, and rejects as `Promise.all` does. */
export interface GatherAllOptions {
  readonly until?: 'all'
  readonly within?: undefined
  readonly atLeast?: undefined
  /**
   * What becomes of branches that are still open when the gather is over. `'cancel'` (default): calls are cancelled, the
   * signals of steps fire, branches that are functions go no further. `'finish'`: they go on, and calls outlive the run.
   */
  readonly onLate?: 'cancel' | 'finish'
}

/** The forms of `ctx.gather` that never reject, and say what is missing and why. */
export interface GatherOptions {
  /**
   * `'all'` (default): until every branch succeeds, or that is out of reach. `'settled'`: until every branch has ended.
   * `'first'`: until the first success. `quorum(n)`: until n successes, or n are out of reach.
   */
  readonly until?: 'all' | 'settled' | 'first' | Quorum
  /** Goes on after this time with what is there. Durable: a crash or a restart does not begin it again. */
  readonly within?: Duration | undefined
  /** For `'all'` and `'settled'`: so many successes are enough for `reached`. Default: every branch. */
  readonly atLeast?: number | undefined
  /** As in `GatherAllOptions`. */
  readonly onLate?: 'cancel' | 'finish'
}

export const GATHER_OPTIONS = optionNames<GatherOptions>({ until: true, within: true, atLeast: true, onLate: true })

/** A branch that brought no value. */
export interface MissingBranch<Key extends string | number = string | number> {
  /** Its key, or its place in the array. */
  readonly branch: Key
  /** `failed`: it ended with `error`. `late`: time ran out, or it goes on. `cancelled`: it was no longer needed. */
  readonly reason: 'late' | 'failed' | 'cancelled'
  readonly error?: Error
}

export interface Gathered<Values, Key extends string | number = string | number> {
  /** By key, those that are there; of an array the values that are there, in order. */
  readonly values: Values
  readonly missing: readonly MissingBranch<Key>[]
  /** Whether it brought what was asked for: every branch, `atLeast` so many, or the quorum. */
  readonly reached: boolean
}

/** What is gathered: a promise that `ctx` returned, or a function that is given a `ctx` of its own. */
export type Branch<Scope> = Promise<unknown> | ((scope: Scope) => unknown)
export type BranchesOf<Scope> = readonly Branch<Scope>[] | { readonly [key: string]: Branch<Scope> }

type ValueOf<One> = One extends (scope: never) => infer Returned ? Awaited<Returned> : Awaited<One>

/** Values by key, as with `Promise.all`. */
export type AllOf<Branches> = { -readonly [Key in keyof Branches]: ValueOf<Branches[Key]> }

/** What every other form gives. */
export type GatheredOf<Branches> = Branches extends readonly (infer One)[]
  ? Gathered<ValueOf<One>[], number>
  : Gathered<{ readonly [Key in keyof Branches]?: ValueOf<Branches[Key]> }, keyof Branches & string>
