/**
 * `ctx.route` as a handler wrote it: its rules checked, and a recorded decision read back.
 *
 * Job: turn what was written into rules that `coordination/route.ts` decides, and a recorded target into the agent that the
 * handler named. Not its job: the choice itself, and recording it (`route-record.ts`).
 */
import type { AnyAgent } from '../agent/agent.ts'
import type { RouteRule } from '../coordination/route.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import { type Encoded, encodeJson } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { requireDirected } from './require-directed.ts'

export interface RouteCommand {
  readonly kind: 'route'
  /** As the handler has it: what predicates are given. */
  readonly given: unknown
  /** As it is recorded, and as bands see it. */
  readonly value: Encoded
  readonly rules: readonly RouteRule[]
  /** By place among the rules. */
  readonly predicates: readonly (((value: unknown) => unknown) | undefined)[]
  /** By name. */
  readonly targets: ReadonlyMap<string, AnyAgent>
}

/** @throws SPINE_OPTION_INVALID, SPINE_AGENT_INVALID, SPINE_PAYLOAD_NOT_JSON, SPINE_PAYLOAD_TOO_LARGE */
export function routeCommand(what: string, given: unknown, written: unknown): RouteCommand {
  if (!Array.isArray(written) || written.length === 0)
    throw invalid(
      what,
      'has no rules',
      written,
      'Pass a list that ends with { else: agent }: [{ atLeast: 0.9, to: a }, { else: b }].',
    )
  if (written.length > limits.routeRulesMax) {
    throw new SpineError('SPINE_OPTION_INVALID', `${what} has ${written.length} rules.`, {
      value: written.length,
      limit: limits.routeRulesMax,
      fix: 'Decide in one predicate, or route in two steps.',
    })
  }
  const targets = new Map<string, AnyAgent>()
  const predicates: RouteCommand['predicates'][number][] = []
  const rules = written.map((rule: unknown, at) => {
    const [kind, target] = readRule(what, rule, at)
    requireDirected(target, `Rule ${at} of ${what}`)
    if (!targets.has(target.name)) targets.set(target.name, target)
    const { atLeast, when } = rule as { readonly atLeast?: number; readonly when?: (value: unknown) => unknown }
    predicates.push(when)
    return { kind, atLeast: atLeast ?? 0, target: target.name }
  })
  requireElseAtEnd(what, rules)
  requireDescending(what, rules)
  return { kind: 'route', given, value: encodeValue(what, given), rules, predicates, targets }
}

/** What JSON has no word for is `null`, at the top only: nested in a value it is a mistake. */
function encodeValue(what: string, given: unknown): Encoded {
  const isNothing = given === undefined || (typeof given === 'number' && !Number.isFinite(given))
  return encodeJson(isNothing ? null : given, `${what}: value`, limits.payloadBytesMax)
}

const SHAPES = { atLeast: 'band', when: 'when', else: 'else' } as const

function readRule(what: string, rule: unknown, at: number): [RouteRule['kind'], AnyAgent] {
  const names = typeof rule === 'object' && rule !== null ? Object.keys(rule).sort().join(' ') : ''
  const { atLeast, when, to, else: otherwise } = (rule ?? {}) as Record<string, unknown>
  const isBand = names === 'atLeast to' && typeof atLeast === 'number' && Number.isFinite(atLeast)
  if (isBand) return [SHAPES.atLeast, to as AnyAgent]
  if (names === 'to when' && typeof when === 'function') return [SHAPES.when, to as AnyAgent]
  if (names === 'else') return [SHAPES.else, otherwise as AnyAgent]
  throw invalid(
    what,
    `has a rule ${at} that cannot be read`,
    names === '' ? rule : `{ ${names} }`,
    'A rule is { atLeast: number, to: agent }, { when: (value) => boolean, to: agent }, or, as the last, { else: agent }.',
  )
}

function requireElseAtEnd(what: string, rules: readonly RouteRule[]): void {
  const at = rules.findIndex(({ kind }) => kind === 'else')
  if (at === rules.length - 1) return
  const flaw = at === -1 ? "has no rule 'else'" : `has its 'else' as rule ${at} of ${rules.length}`
  throw invalid(what, flaw, undefined, 'End the rules with one { else: agent }: it says where everything else goes.')
}

function requireDescending(what: string, rules: readonly RouteRule[]): void {
  const bands = rules.filter(({ kind }) => kind === 'band')
  for (const [at, { atLeast }] of bands.entries()) {
    const before = bands[at - 1]?.atLeast ?? Number.POSITIVE_INFINITY
    if (atLeast < before) continue
    throw invalid(
      what,
      `has a band of ${atLeast} behind one of ${before}, where nothing reaches it`,
      atLeast,
      'Order bands from the highest to the lowest.',
    )
  }
}

function invalid(what: string, flaw: string, value: unknown, fix: string): SpineError {
  return new SpineError('SPINE_OPTION_INVALID', `${what} ${flaw}.`, { value, fix })
}

/** The agent that the recorded decision means, by its name; `undefined` when the rules name it no more. */
export function routedTarget(command: RouteCommand, record: LogRecord): AnyAgent | undefined {
  return command.targets.get(targetOf(record))
}

export function targetOf(record: LogRecord): string {
  return (record.data as unknown as SystemData<'spine.route.decided'>).target
}
