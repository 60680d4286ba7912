import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { randomChoices, writeHistory } from '../../test/support/random-history.ts'
import { seededRandom } from '../kernel/random.ts'
import { type DueDecision, decideDue, decideFailure, type FailureInput, retryDelayMs, takeOver } from './decide.ts'
import { type Row, STATUS } from './delivery-table.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState, type SpineState } from './state.ts'

const world = () => foldedLog({ initialState, takeOver, evolve, encodeState })
const never = { uint32: () => 0 }
const nearlyOne = { uint32: () => 0xffffffff }

describe('retryDelayMs', () => {
  it('stays below a bound that doubles from the shortest to the longest delay', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.nat(10_000),
        fc.nat(100_000),
        fc.string(),
        (attempt, min, more, seed) => {
          const max = min + more
          const delay = retryDelayMs(attempt, min, max, seededRandom(seed))
          expect(delay).toBeGreaterThanOrEqual(0)
          expect(delay).toBeLessThanOrEqual(Math.min(max, min * 2 ** (attempt - 1)))
        },
      ),
    )
  })

  it('is full jitter: from nothing up to the whole bound, at every attempt', () => {
    const bounds = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    expect(bounds.map((_, index) => retryDelayMs(index + 1, 500, 60_000, never))).toEqual(bounds.map(() => 0))
    expect(bounds.map((_, index) => Math.round(retryDelayMs(index + 1, 500, 60_000, nearlyOne)))).toEqual(bounds)
  })

  it('spreads: a tenth of the delays in each tenth of the bound', () => {
    const random = seededRandom('spread')
    const tenths = new Array(10).fill(0)
    for (let index = 0; index < 10_000; index++) tenths[Math.floor(retryDelayMs(3, 250, 60_000, random) / 100)]++
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(200)
  })
})

describe('decideFailure', () => {
  const failure = { code: 'E', name: 'Error', message: 'broken' }
  const usual: FailureInput = {
    failedBefore: 0,
    attemptsMax: 3,
    delayMsMin: 500,
    delayMsMax: 60_000,
    failure,
    retryAfterMs: undefined,
    now: 1_000,
    random: nearlyOne,
  }
  const input = usual

  it('retries while attempts are left, and then declares it dead with their number', () => {
    expect(decideFailure(input)).toEqual({ kind: 'retry', attempt: 1, due: 1_500 })
    expect(decideFailure({ ...input, failedBefore: 1 })).toEqual({ kind: 'retry', attempt: 2, due: 2_000 })
    expect(decideFailure({ ...input, failedBefore: 2 })).toEqual({ kind: 'dead', attempts: 3 })
    expect(decideFailure({ ...input, failedBefore: 7 })).toEqual({ kind: 'dead', attempts: 8 })
    expect(decideFailure({ ...input, attemptsMax: 1 })).toEqual({ kind: 'dead', attempts: 1 })
  })

  it('does not retry what is permanent', () => {
    expect(decideFailure({ ...input, failure: { ...failure, permanent: true } })).toEqual({ kind: 'dead', attempts: 1 })
    expect(decideFailure({ ...input, failure: { ...failure, permanent: true }, retryAfterMs: 5 })).toEqual({
      kind: 'dead',
      attempts: 1,
    })
  })

  it('does as a RetryAfter says, also at once and beyond the longest backoff, but gives no attempts away', () => {
    const input: FailureInput = { ...usual, random: never }
    expect(decideFailure({ ...input, retryAfterMs: 0 })).toEqual({ kind: 'retry', attempt: 1, due: 1_000 })
    expect(decideFailure({ ...input, retryAfterMs: 90_000 })).toEqual({ kind: 'retry', attempt: 1, due: 91_000 })
    expect(decideFailure({ ...input, retryAfterMs: 90_000, failedBefore: 2 })).toEqual({ kind: 'dead', attempts: 3 })
  })

  it('spreads what comes back after a RetryAfter: never before it, by a tenth of it or the backoff, by no more than itself', () => {
    const due = (retryAfterMs: number, failedBefore = 0) => {
      const decision = decideFailure({ ...usual, attemptsMax: 99, retryAfterMs, failedBefore })
      return decision.kind === 'retry' ? decision.due - usual.now : 0
    }
    expect([due(0), due(40), due(1_000), due(90_000)]).toEqual([0, 80, 1_500, 99_000])
    expect(due(30_000, 8)).toBe(60_000)
    expect(due(10 * 86_400_000)).toBe(95_040_000)
    const dues = new Set(
      Array.from({ length: 16 }, (_, index) => {
        const random = seededRandom(`branch ${index}`)
        const decision = decideFailure({ ...usual, retryAfterMs: 1_000, random })
        return decision.kind === 'retry' ? decision.due : 0
      }),
    )
    expect(dues.size).toBeGreaterThan(12)
    expect(Math.min(...dues)).toBeGreaterThanOrEqual(usual.now + 1_000)
  })

  it('gives whole milliseconds, never before now', () => {
    const decision = decideFailure({ ...input, random: seededRandom('x') })
    expect(decision.kind === 'retry' && Number.isInteger(decision.due) && decision.due >= 1_000).toBe(true)
  })
})

describe('decideDue', () => {
  it('drops entries that have lost their meaning: ended, retried again, given to another, fired', () => {
    const { log, state } = world()
    log.register('ann', { on: ['a.happened'] })
    const [one, two, three] = [0, 1, 2].map(() => log.delivery(log.event('a.happened'), 'ann'))
    one?.retry(1, 10)
    one?.complete()
    two?.retry(1, 10)
    two?.retry(2, 90)
    three?.sleep('@sleep#0', 10)
    three?.fire('@sleep#0')
    // Takes the row of `one`, and waits as it did.
    const heir = log.delivery(log.event('a.happened'), 'ann')
    heir.retry(1, 10)
    expect(state.deliveries.find(heir.source, 0)).toBe(1)
    expect(decideDue(state, 9)).toEqual([])
    expect(decideDue(state, 10)).toEqual([
      { kind: 'start', row: state.deliveries.find(heir.source, 0), source: heir.source },
    ])
    expect(decideDue(state, 90).map(({ kind }) => kind)).toEqual(['start'])
    expect(state.due?.size).toBe(0)
  })

  it('P9 expires a request at its deadline, once, and only while it has open work', () => {
    const { log, state } = world()
    log.register('ann', { on: ['a.happened'] })
    const root = log.event('a.happened', { deadline: 50 })
    log.delivery(root, 'ann').emit('a.happened')
    const rested = log.event('a.happened', { deadline: 60 })
    log.delivery(rested, 'ann').complete()
    expect(decideDue(state, 49)).toEqual([])
    expect(decideDue(state, 99)).toEqual([{ kind: 'expire-request', request: `r${root}`, deadline: 50 }])
    log.expireRequest(`r${root}`, 50)
    expect([decideDue(state, 999), state.deliveries.openCount]).toEqual([[], 0])
  })

  it('P9 expires a single delivery whose own deadline is another than that of its request', () => {
    const { log, state } = world()
    log.register('ann', { on: ['a.happened'] })
    log.register('expert')
    const run = log.delivery(log.event('a.happened', { deadline: 50 }), 'ann')
    const call = run.call('@call expert#0', 'expert', { deadline: 20 })
    const successor = log.delivery(call, 'expert').handOff('expert')
    expect(decideDue(state, 20)).toEqual([{ kind: 'expire-delivery', row: state.deliveries.find(successor, 1) }])
  })

  it('P9 expires what joins a request at rest alone: the deadline is its own, that of the request is no longer known', () => {
    const { log, state } = world()
    log.register('ann', { on: ['a.happened'] })
    const follower = log.event('a.happened', { request: 'rested', deadline: 50 })
    expect(decideDue(state, 50)).toEqual([{ kind: 'expire-delivery', row: state.deliveries.find(follower, 0) }])
  })

  it('T2 changes nothing: what is decided happens by a record', () => {
    const { log, state, encoded } = world()
    log.register('ann', { on: ['a.happened'] })
    const run = log.delivery(log.event('a.happened', { deadline: 50 }), 'ann')
    run.sleep('@sleep#0', 10)
    run.retry(1, 10)
    const before = encoded()
    expect(
      decideDue(state, 99)
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['expire-request', 'fire-timer', 'start'])
    expect(encoded()).toBe(before)
  })

  it('T1 decides nothing for a state that nobody has taken over', () => {
    const state = initialState()
    expect(decideDue(state, 99)).toEqual([])
  })
})

describe('takeOver', () => {
  const nameOf = (state: SpineState, row: Row) => `${state.deliveries.source[row]}/${state.deliveries.agent[row]}`
  const words = (state: SpineState, decision: DueDecision) => {
    if (decision.kind === 'expire-request') return `expire ${decision.request} ${decision.deadline}`
    if (decision.kind === 'half-open') return `half-open ${decision.agent}`
    if (decision.kind === 'pass-rate') return `pass ${decision.place}`
    return `${decision.kind} ${nameOf(state, decision.row)} ${decision.kind === 'fire-timer' ? decision.command : ''}`
  }
  const dueOf = (state: SpineState, now: number) =>
    [...new Set(decideDue(state, now).map((decision) => words(state, decision)))].sort()

  it('T1 gives a new owner what the marks and the heap gave the one that decided from the start', () => {
    fc.assert(
      fc.property(randomChoices(), fc.nat(50_000), (choices, now) => {
        const { log, view, state, marks } = world()
        writeHistory(log, view, choices)
        const marked = marks().filter((mark) => mark.kind === 'ready')
        const valid = marked.filter(
          ({ row, source }) => state.deliveries.source[row] === source && state.deliveries.status[row] === STATUS.ready,
        )
        const live = new Set(valid.map(({ row }) => nameOf(state, row)))

        const fresh = initialState()
        for (const record of log.records) evolve(fresh, record)
        const { ready } = takeOver(fresh)
        expect(ready.map(({ row }) => nameOf(fresh, row)).sort()).toEqual([...live].sort())
        expect(ready.map(({ source }) => source)).toEqual(
          ready.map(({ source }) => source).sort((left, right) => left - right),
        )
        expect(dueOf(fresh, now)).toEqual(dueOf(state, now))
        expect(dueOf(fresh, Number.POSITIVE_INFINITY)).toEqual(dueOf(state, Number.POSITIVE_INFINITY))
      }),
      { numRuns: 30 },
    )
  })

  it('does not change what the log says', () => {
    fc.assert(
      fc.property(randomChoices(), (choices) => {
        const { log, view, encoded, state } = world()
        writeHistory(log, view, choices)
        const before = encoded()
        takeOver(state)
        expect(encoded()).toBe(before)
      }),
      { numRuns: 10 },
    )
  })
})
