/** The machine of budgets by itself: pools, holds, charges; and the fold that keeps it. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addSpending,
  Budgets,
  carve,
  foldGiven,
  foldSpent,
  leavePool,
  raise,
  remainingOf,
  reserve,
  ROOT,
  runningLow,
  settle,
  shortageOf,
  spentOf,
} from './budgets.ts'
import type { LogRecord } from '../event/record.ts'
import type { Json } from '../kernel/json.ts'

let sequence = 0
const told = (type: string, data: Json): LogRecord => ({
  sequence: ++sequence,
  time: 0,
  type,
  session: 's',
  request: 'r',
  key: 's',
  cause: 1,
  hops: 0,
  agent: 'a',
  data,
})

function given(amounts: { readonly [unit: string]: number }): Budgets {
  const budgets = new Budgets()
  foldGiven(budgets, told('spine.budget.given', { amounts }))
  return budgets
}

const start = (budgets: Budgets, row: number, usd: number) => {
  const record = told('spine.step.started', { command: 'c#0', cost: { usd } })
  reserve(budgets, row, record, { usd })
  return record.sequence
}
const remaining = (budgets: Budgets, row = 1) => remainingOf(budgets.of('r'), budgets.poolOf(row))['usd']
const lacks = (budgets: Budgets, usd: number, row = 1) => shortageOf(budgets.of('r'), budgets.poolOf(row), { usd })

describe('budgets', () => {
  it('reserve counts as spent, settle corrects it once, and what is lost stays charged in full', () => {
    const budgets = given({ usd: 1 })
    const first = start(budgets, 1, 0.4)
    start(budgets, 1, 0.4)
    expect(remaining(budgets)).toBe(0.2)
    for (const _ of [1, 2]) foldSpent(budgets, 1, told('spine.step.recorded', { reserved: first, spent: { usd: 0.1 } }))
    expect(remaining(budgets)).toBe(0.5)
    expect(spentOf(budgets.of('r'))).toEqual({ usd: 0.5 })
  })

  it('ten tenths fit into one, and one more does not', () => {
    const budgets = given({ usd: 1 })
    for (let n = 0; n < 10; n++) {
      expect(lacks(budgets, 0.1)).toBeUndefined()
      start(budgets, 1, 0.1)
    }
    expect(lacks(budgets, 0.1)).toEqual({ unit: 'usd', limit: 1, spent: 1, wanted: 0.1 })
  })

  it('a carved pool holds what it has not spent, nested too, and returns it when its call has ended', () => {
    const budgets = given({ usd: 10 })
    carve(budgets, 1, 2, told('spine.call.requested', {}), { usd: 6 })
    carve(budgets, 2, 3, told('spine.call.requested', {}), { usd: 4 })
    expect([1, 2, 3].map((row) => remaining(budgets, row))).toEqual([4, 2, 4])
    start(budgets, 3, 3)
    expect([1, 2, 3].map((row) => remaining(budgets, row))).toEqual([4, 2, 1])
    leavePool(budgets, 3, 'r')
    expect([1, 2].map((row) => remaining(budgets, row))).toEqual([4, 3])
    leavePool(budgets, 2, 'r')
    expect(remaining(budgets)).toBe(7)
    // The reservation that is still outstanding keeps the pool it was made in.
    expect([...(budgets.of('r')?.pools.keys() ?? [])]).toHaveLength(3)
  })

  it('a pool is forgotten when its call has ended and the last reservation in it is settled', () => {
    const budgets = given({ usd: 10 })
    carve(budgets, 1, 2, told('spine.call.requested', {}), { usd: 6 })
    const reserved = start(budgets, 2, 2)
    leavePool(budgets, 2, 'r')
    foldSpent(budgets, 0, told('spine.step.recorded', { reserved, spent: { usd: 1 } }))
    expect([...(budgets.of('r')?.pools.keys() ?? [])]).toEqual([ROOT])
    expect(spentOf(budgets.of('r'))).toEqual({ usd: 1 })
  })

  it('a raise lifts the request and the pools on the way to whoever waits, and nobody gets past the request', () => {
    const budgets = given({ usd: 1 })
    for (const row of [2, 3]) {
      carve(budgets, 1, row, told('spine.call.requested', {}), { usd: 0.5 })
      start(budgets, row, 0.5)
    }
    raise(budgets, told('spine.budget.raised', { amounts: { usd: 0.2, tokens: 5 } }), [2, 3])
    expect(lacks(budgets, 0.2, 2)).toBeUndefined()
    start(budgets, 2, 0.2)
    expect(lacks(budgets, 0.1, 3)).toMatchObject({ limit: 1.2, spent: 1.2 })
    expect(remainingOf(budgets.of('r'), ROOT)).toEqual({ usd: 0 })
  })

  it('a unit without a limit is counted, never refused, and never runs low', () => {
    const budgets = new Budgets()
    start(budgets, 1, 5)
    expect(lacks(budgets, 1_000_000)).toBeUndefined()
    expect(remainingOf(budgets.of('r'), ROOT)).toEqual({})
    expect([...runningLow(budgets.of('r'), ROOT, { usd: 9 }, 0.8)]).toEqual([])
  })

  it('what is on the way counts, and is not held twice', () => {
    const budgets = given({ usd: 10 })
    carve(budgets, 1, 2, told('spine.call.requested', {}), { usd: 5 })
    const below = budgets.poolOf(2)
    const onTheWay = (pool: number) => (pool === below || pool === ROOT ? 5 : 0)
    expect(shortageOf(budgets.of('r'), ROOT, { usd: 5 }, onTheWay)).toBeUndefined()
    expect(shortageOf(budgets.of('r'), below, { usd: 1 }, onTheWay)).toMatchObject({ limit: 5, spent: 5 })
  })

  it('never overspends whatever is asked for, in pools in pools; the log tells the same sum', () => {
    const move = fc.record({
      kind: fc.constantFrom('start', 'settle', 'carve', 'leave', 'spend'),
      row: fc.integer({ min: 1, max: 5 }),
      amount: fc.integer({ min: 0, max: 40 }).map((cents) => cents / 10),
    })
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const budgets = given({ usd: 10 })
        const log: LogRecord[] = []
        const rows = new Set([1])
        const open: number[] = []
        for (const { kind, row, amount } of moves) {
          if (!rows.has(row) && kind !== 'carve') continue
          if (kind === 'start' && lacks(budgets, amount, row) === undefined) {
            const record = told('spine.step.started', { command: 'c#0', cost: { usd: amount } })
            reserve(budgets, row, record, { usd: amount })
            log.push(record)
            open.push(record.sequence)
          } else if (kind === 'settle' && open.length > 0) {
            // Measured, and never dearer than estimated: so the limit itself holds.
            const reserved = open.shift() as number
            const record = told('spine.step.recorded', { reserved, spent: { usd: 0 } })
            foldSpent(budgets, row, record)
            log.push(record)
          } else if (kind === 'carve' && !rows.has(row) && lacks(budgets, amount, 1) === undefined) {
            carve(budgets, 1, row, told('spine.call.requested', {}), { usd: amount })
            rows.add(row)
          } else if (kind === 'leave' && row !== 1) {
            leavePool(budgets, row, 'r')
            rows.delete(row)
          }
          const budget = budgets.of('r')
          for (const [id, pool] of budget?.pools ?? [])
            expect(pool.spent.get('usd') ?? 0, `pool ${id}`).toBeLessThanOrEqual(pool.limits.get('usd') as number)
          const sum = new Budgets().open('')
          for (const record of log) addSpending(sum, record)
          expect(spentOf(sum)['usd'] ?? 0).toBeCloseTo(spentOf(budget)['usd'] ?? 0, 9)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('a start that was never entered is charged nothing', () => {
    const budgets = given({ usd: 1 })
    const budget = budgets.open('r')
    settle(budget, start(budgets, 1, 0.7), {}, budgets)
    expect(remaining(budgets)).toBe(1)
    expect(budget.reservations.size).toBe(0)
  })
})
