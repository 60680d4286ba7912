/**
 * One `ctx.gather` of one entering of a handler: checks what is gathered, follows its branches, puts the value together.
 *
 * Job: from branches and options to a command, and from the record that ended it to its value. Not its job: when it ends
 * (coordination/gather.ts).
 *
 * A branch has settled here exactly when the fold counted it: outcomes are released in the order of the log, those of
 * branches before that of their gather. So a replay puts the same value together.
 */
import { GATHER_OPTIONS, type GatherOptions, type MissingBranch } from '../agent/gather.ts'
import { type GatherRule, isPlain, isReached, type OnLate } from '../coordination/gather.ts'
import type { Failure, SystemType } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import { durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import type { Lateness } from './branches.ts'
import { errorOf } from './failure.ts'

/** A branch as the handler gave it. */
export interface BranchGiven {
  readonly key: string
  readonly given: unknown
}

export interface GatherPlan {
  readonly branches: readonly BranchGiven[]
  readonly isArray: boolean
  readonly rule: GatherRule
  readonly onLate: OnLate
  readonly withinMs: number | undefined
}

/** @throws SPINE_OPTION_INVALID, SPINE_DURATION_INVALID, SPINE_GATHER_BRANCH for what is no branch at all. */
export function planGather(branches: unknown, options: GatherOptions, agent: string): GatherPlan {
  const what = `gather of ${agent}`
  if (!isListOrObject(branches)) {
    throw new SpineError('SPINE_GATHER_BRANCH', `A ${what} was given no branches.`, {
      value: branches,
      fix: 'Pass an object or an array of branches.',
    })
  }
  requireKnownOptions(options, GATHER_OPTIONS, `A ${what}`)
  const isArray = Array.isArray(branches)
  const list = Object.entries(branches).map(([key, given]) => ({ key, given: given as unknown }))
  if (list.length > limits.branchesMax) {
    throw new SpineError('SPINE_OPTION_INVALID', `A ${what} has ${list.length} branches.`, {
      value: list.length,
      limit: limits.branchesMax,
      fix: 'Gather in several turns, or hand the work to agents that gather a part each.',
    })
  }
  for (const { key } of list) {
    if (key.length <= limits.nameCharactersMax) continue
    throw new SpineError('SPINE_OPTION_INVALID', `A branch of a ${what} has a key of ${key.length} characters.`, {
      value: key,
      limit: limits.nameCharactersMax,
      fix: 'Use a shorter key.',
    })
  }
  const rule = ruleOf(options, list.length, what)
  const { onLate = 'cancel', within } = options
  if (onLate !== 'cancel' && onLate !== 'finish')
    throw invalid(`A ${what} has onLate ${String(onLate)}.`, onLate, "Use 'cancel' or 'finish'.")
  const withinMs = within === undefined ? undefined : durationMs(within, `${what}: within`)
  return { branches: list, isArray, rule, onLate, withinMs }
}

/** A promise, a map or a set would be taken for an object without branches. */
function isListOrObject(given: unknown): given is object {
  if (typeof given !== 'object' || given === null) return false
  return Array.isArray(given) || !(Symbol.iterator in given || typeof (given as { then?: unknown }).then === 'function')
}

function ruleOf({ until = 'all', atLeast }: GatherOptions, count: number, what: string): GatherRule {
  if (until === 'all' || until === 'settled') {
    if (atLeast === undefined || (Number.isSafeInteger(atLeast) && atLeast >= 1 && atLeast <= count))
      return { until, atLeast }
    throw invalid(
      `A ${what} over ${count} branches has atLeast ${atLeast}.`,
      atLeast,
      'Use a whole number from 1 to the number of branches.',
      count,
    )
  }
  const successes = until === 'first' ? 1 : until?.quorum
  if (!Number.isSafeInteger(successes) || successes < 1)
    throw invalid(
      `A ${what} has until ${JSON.stringify(until)}.`,
      until,
      "Use 'all', 'settled', 'first' or quorum(n) with a whole number n from 1 on.",
    )
  if (successes > count)
    throw invalid(
      `A ${what} over ${count} branches waits for ${successes} successes.`,
      successes,
      'Ask for no more successes than there are branches.',
      count,
    )
  if (atLeast !== undefined)
    throw invalid(
      `A ${what} has both atLeast and a number of successes.`,
      atLeast,
      "Use atLeast with 'all' and 'settled' only.",
    )
  return { until: { quorum: successes }, atLeast: undefined }
}

function invalid(message: string, value: unknown, fix: string, limit?: unknown): SpineError {
  return new SpineError('SPINE_OPTION_INVALID', message, limit === undefined ? { value, fix } : { value, fix, limit })
}

export function foreignBranch(key: string, agent: string, why = 'is nothing that its ctx returned'): SpineError {
  return new SpineError('SPINE_GATHER_BRANCH', `Branch '${key}' of a gather of ${agent} ${why}.`, {
    value: key,
    fix: 'Pass the promise of a ctx call itself, without then or catch, or a function: (scope) => scope.step(…).',
  })
}

/** A branch that is followed. */
export interface Followed {
  readonly key: string
  readonly id: string
  readonly promise: Promise<unknown>
  /** Its own signal, when it has one. */
  readonly lateness: Lateness | undefined
  /** Of a branch that is a gather. */
  readonly inner: Gather | undefined
}

type Settled = { readonly value: unknown } | { readonly error: unknown }

export class Gather {
  readonly id: string
  readonly plan: GatherPlan
  readonly branches: readonly Followed[]
  readonly #settled = new Map<string, Settled>()
  #firstFailure: Settled | undefined

  constructor(id: string, plan: GatherPlan, branches: readonly Followed[]) {
    this.id = id
    this.plan = plan
    this.branches = branches
    for (const { id: branch, promise } of branches) {
      promise.then(
        (value) => this.#settled.set(branch, { value }),
        (error: unknown) => this.#fail(branch, { error }),
      )
    }
  }

  /** What `spine.gather.opened` says of it. */
  get opening() {
    const { rule, onLate, isArray, branches } = this.plan
    return {
      command: this.id,
      branches: this.branches.map(({ id }) => id),
      until: rule.until,
      ...(rule.atLeast === undefined ? {} : { atLeast: rule.atLeast }),
      ...(onLate === 'cancel' ? {} : { onLate }),
      ...(isArray ? {} : { keys: branches.map(({ key }) => key) }),
    }
  }

  /** The value, from the record that ended it and what was released before. */
  outcomeAt(record: LogRecord): { readonly value: unknown } | { readonly error: Error } {
    const { rule, withinMs, isArray } = this.plan
    if (isOwn(this.id, record, 'spine.step.recorded'))
      return { error: errorOf((record.data as unknown as { readonly error: Failure }).error) }
    const values = this.#values()
    if (isPlain(rule, withinMs === undefined ? undefined : 1)) {
      if (this.#firstFailure !== undefined) return this.#firstFailure as { readonly error: Error }
      return { value: Object.freeze(values) }
    }
    const settled = [...this.#settled.values()]
    const ok = settled.filter((each) => 'value' in each).length
    const tally = { count: this.branches.length, ok, failed: settled.length - ok }
    const missing = Object.freeze(this.#missing(isOwn(this.id, record, 'spine.timer.fired'), isArray))
    return { value: Object.freeze({ values: Object.freeze(values), missing, reached: isReached(rule, tally) }) }
  }

  /** Those that have not settled: for who cancels them. */
  get late(): readonly Followed[] {
    return this.branches.filter(({ id }) => !this.#settled.has(id))
  }

  #fail(branch: string, failure: Settled): void {
    this.#firstFailure ??= failure
    this.#settled.set(branch, failure)
  }

  #values(): unknown[] | { [key: string]: unknown } {
    const values: [string, unknown][] = []
    for (const { key, id } of this.branches) {
      const settled = this.#settled.get(id)
      if (settled !== undefined && 'value' in settled) values.push([key, settled.value])
    }
    return this.plan.isArray ? values.map(([, value]) => value) : Object.fromEntries(values)
  }

  #missing(isOutOfTime: boolean, isArray: boolean): MissingBranch[] {
    const missing: MissingBranch[] = []
    for (const { key, id } of this.branches) {
      const settled = this.#settled.get(id)
      const branch = isArray ? Number(key) : key
      if (settled === undefined) {
        const reason = isOutOfTime || this.plan.onLate === 'finish' ? 'late' : 'cancelled'
        missing.push(Object.freeze({ branch, reason }))
      } else if ('error' in settled) {
        missing.push(Object.freeze({ branch, reason: 'failed', error: settled.error as Error }))
      }
    }
    return missing
  }
}

/** Its time has come, or it was itself a branch and came too late; not what ended one of its branches. */
function isOwn(id: string, { type, data }: LogRecord, what: SystemType): boolean {
  return type === what && (data as { readonly command?: string }).command === id
}
