/**
 * Which way work goes: the first rule that holds and whose target can take it.
 *
 * Job: choose among rules, from a value and from what is known of the targets, and say why each other rule was not chosen.
 * Not its job: asking (`run-context.ts`), recording (`perform-commands.ts`), knowing who is available (`unavailability.ts`).
 *
 * States of a route: `asked` (nothing on the log) → `decided` by `spine.route.decided`, which asks and answers in one. It is
 * decided once in a generation; from then on every replay is given the recorded target.
 *
 * Z1  Rules are looked at in order, and none behind the chosen one: a predicate there is never called.
 * Z2  A band holds for a finite number that is not below it. Whatever else the value is, no band holds.
 * Z3  `else` is chosen when nothing before it is, also when its own target is unavailable: the work then waits there, and is
 *     seen to wait.
 */
import type { Json } from '../kernel/json.ts'
import type { Unavailability } from './unavailability.ts'

export interface RouteRule {
  readonly kind: 'band' | 'when' | 'else'
  /** Of a band: the lowest value that it holds for. */
  readonly atLeast: number
  /** Name of an agent. */
  readonly target: string
}

/**
 * - `below`: the value is below the band. `no number`: the value is not a number that a band could hold for.
 * - `no match`: the predicate said no.
 * - the others: the rule holds, but its target cannot take the work.
 */
export type WhyRejected = 'below' | 'no number' | 'no match' | Unavailability

export interface RejectedRule {
  /** Place among the rules, from 0. */
  readonly rule: number
  readonly target: string
  readonly why: WhyRejected
}

export interface RouteDecision {
  /** Place of the chosen rule, from 0. */
  readonly rule: number
  readonly target: string
  readonly rejected: readonly RejectedRule[]
}

export interface RouteInquiry {
  /** As it is recorded: `null` where JSON has no such value. */
  readonly value: Json
  readonly rules: readonly RouteRule[]
  /** What the predicate of a rule says. */
  readonly matches: (rule: number) => boolean
  readonly unavailable: (target: string) => Unavailability | undefined
}

/** The last of the rules is the only `else`. */
export function decideRoute({ value, rules, matches, unavailable }: RouteInquiry): RouteDecision {
  const rejected: RejectedRule[] = []
  const last = rules.length - 1
  for (let rule = 0; rule < last; rule++) {
    const { kind, atLeast, target } = rules[rule] as RouteRule
    const why = kind === 'band' ? whyBelow(value, atLeast) : matches(rule) ? undefined : 'no match'
    const rejection = why ?? unavailable(target)
    if (rejection === undefined) return { rule, target, rejected }
    rejected.push({ rule, target, why: rejection })
  }
  return { rule: last, target: (rules[last] as RouteRule).target, rejected }
}

function whyBelow(value: Json, atLeast: number): 'below' | 'no number' | undefined {
  if (typeof value !== 'number') return 'no number'
  return value >= atLeast ? undefined : 'below'
}
