import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../kernel/json.ts'
import type { Unavailability } from './unavailability.ts'
import { decideRoute, type RouteRule } from './route.ts'

const band = (atLeast: number, target: string): RouteRule => ({ kind: 'band', atLeast, target })
const when = (target: string): RouteRule => ({ kind: 'when', atLeast: 0, target })
const otherwise = (target: string): RouteRule => ({ kind: 'else', atLeast: 0, target })

const decide = (
  value: Json,
  rules: readonly RouteRule[],
  known: { matches?: readonly number[]; unavailable?: Readonly<Record<string, Unavailability>> } = {},
) =>
  decideRoute({
    value,
    rules,
    matches: (rule) => known.matches?.includes(rule) === true,
    unavailable: (target) => known.unavailable?.[target],
  })

const BANDS = [band(0.9, 'auto'), band(0.6, 'expert'), otherwise('human')]

describe('bands', () => {
  it.each([
    [1, 'auto'],
    [0.9, 'auto'],
    [0.899_999, 'expert'],
    [0.6, 'expert'],
    [0.599_999, 'human'],
    [-1, 'human'],
  ])('Z2 %d goes to %s', (value, target) => {
    expect(decide(value, BANDS).target).toBe(target)
  })

  it.each([[null], ['0.95'], [true], [[0.95]], [{ score: 0.95 }]])(
    'Z2 %j is no number, so it goes to else',
    (value) => {
      expect(decide(value as Json, BANDS)).toEqual({
        rule: 2,
        target: 'human',
        rejected: [
          { rule: 0, target: 'auto', why: 'no number' },
          { rule: 1, target: 'expert', why: 'no number' },
        ],
      })
    },
  )
})

describe('targets that cannot take the work', () => {
  it.each(['unknown', 'absent', 'paused', 'queue full'] as const)('%s is passed over, and named', (why) => {
    expect(decide(0.95, BANDS, { unavailable: { auto: why } })).toEqual({
      rule: 1,
      target: 'expert',
      rejected: [{ rule: 0, target: 'auto', why }],
    })
  })

  it('Z3 else is taken though it is unavailable itself', () => {
    const unavailable = { auto: 'paused', expert: 'queue full', human: 'absent' } as const
    expect(decide(0.95, BANDS, { unavailable })).toMatchObject({ rule: 2, target: 'human' })
  })

  it('is not asked about a rule that does not hold', () => {
    const asked: string[] = []
    decideRoute({
      value: 0.7,
      rules: BANDS,
      matches: () => false,
      unavailable: (target) => void asked.push(target),
    })
    expect(asked).toEqual(['expert'])
  })
})

describe('predicates', () => {
  it('Z1 are asked in order, none behind the chosen rule, and take a value of any kind', () => {
    const asked: number[] = []
    const decision = decideRoute({
      value: { vip: true },
      rules: [when('a'), when('b'), when('c'), otherwise('d')],
      matches: (rule) => asked.push(rule) > 0 && rule === 1,
      unavailable: () => undefined,
    })
    expect(asked).toEqual([0, 1])
    expect(decision).toEqual({ rule: 1, target: 'b', rejected: [{ rule: 0, target: 'a', why: 'no match' }] })
  })
})

it('Z1 Z3 chooses the first rule that holds and is available, and rejects exactly those before it', () => {
  const rules = fc.array(
    fc.record({ kind: fc.constantFrom('band', 'when'), atLeast: fc.double({ noNaN: true, min: -2, max: 2 }) }),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(
      rules,
      fc.oneof(fc.double({ noNaN: true, min: -2, max: 2 }), fc.constant(null), fc.string()),
      fc.infiniteStream(fc.tuple(fc.boolean(), fc.boolean())),
      (shapes, value, facts) => {
        const all = [...shapes.map((shape, at) => ({ ...shape, target: `t${at}` })), otherwise('last')] as RouteRule[]
        const known = all.map(() => facts.next().value as readonly [boolean, boolean])
        const decision = decideRoute({
          value,
          rules: all,
          matches: (rule) => known[rule]?.[0] === true,
          unavailable: (target) => (known[all.findIndex((rule) => rule.target === target)]?.[1] ? 'absent' : undefined),
        })
        const holds = (rule: RouteRule, at: number) =>
          rule.kind === 'else' ||
          (!known[at]?.[1] &&
            (rule.kind === 'when' ? known[at]?.[0] === true : typeof value === 'number' && value >= rule.atLeast))
        expect(decision.rule).toBe(all.findIndex(holds))
        expect(decision.target).toBe(all[decision.rule]?.target)
        expect(decision.rejected.map(({ rule }) => rule)).toEqual(all.slice(0, decision.rule).map((_, at) => at))
      },
    ),
  )
})
