/** Invariants F1 to F3, the ends that come from outside a delivery, and the owner. Other themes: `evolve-*.test.ts`. */
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { CATALOGUE } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import { BrokenInvariant } from '../kernel/assert.ts'
import { SpineError } from '../kernel/errors.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve, FOLDED_TYPES } from './evolve.ts'
import { initialState } from './state.ts'

const world = () => foldedLog({ initialState, takeOver, evolve, encodeState })
const record = (sequence: number, type: string): LogRecord => {
  return { sequence, type, time: 1, session: 's', request: 'r', key: 's', cause: 0, hops: 0, data: null }
}
const refusal = (act: () => void): unknown => {
  try {
    act()
    return undefined
  } catch (error) {
    return error
  }
}
/** Catalogued for what comes later; this version must not pretend to understand them. */
const UNFOLDED = Object.keys(CATALOGUE).filter((type) => !FOLDED_TYPES.includes(type))

describe('F2: records come in order without a gap, and are understood', () => {
  it.each([
    ['a gap', [1, 3]],
    ['a repetition', [1, 1]],
    ['a start in the middle', [2]],
    ['a step back', [1, 2, 1]],
  ])('stops at %s', (_, sequences) => {
    const state = initialState()
    const last = sequences.at(-1) as number
    for (const sequence of sequences.slice(0, -1)) evolve(state, record(sequence, 'inquiry.received'))
    const before = encodeState(state)
    expect(() => evolve(state, record(last, 'inquiry.received'))).toThrow(BrokenInvariant)
    expect(encodeState(state)).toBe(before)
  })

  it('folds only what the catalogue has', () => {
    expect(FOLDED_TYPES.filter((type) => !(type in CATALOGUE))).toEqual([])
    expect(FOLDED_TYPES.length + UNFOLDED.length).toBe(Object.keys(CATALOGUE).length)
  })

  it.each(['spine.delivery.teleported', 'spine.', 'spine.toString', ...UNFOLDED])(
    'refuses %s as the work of a newer version',
    (type) => {
      const state = initialState()
      const error = refusal(() => evolve(state, record(1, type)))
      expect(SpineError.is(error, 'SPINE_LOG_NEWER')).toBe(true)
      expect((error as SpineError).message).toContain(`'${type}'`)
      expect((error as SpineError).fix).toMatch(/^Upgrade/)
    },
  )

  it('does not go on behind a record that it has refused', () => {
    const state = initialState()
    expect(() => evolve(state, record(1, 'spine.delivery.teleported'))).toThrow(SpineError)
    expect(() => evolve(state, record(2, 'inquiry.received'))).toThrow(BrokenInvariant)
    expect(state.at).toBe(0)
  })

  it('takes a type of the user for what it is, however it begins', () => {
    const state = initialState()
    for (const [index, type] of ['spines.counted', 'toString', 'inquiry.received'].entries())
      evolve(state, record(index + 1, type))
    expect(state.at).toBe(3)
  })
})

describe('F3: a record about a delivery that has ended changes nothing', () => {
  const late = {
    step: (run) => run.step('late#0'),
    'failed step': (run) => run.step('late#0', { failed: true }),
    'effect that starts': (run) => run.startEffect('late#0'),
    'effect that ends': (run) => run.step('pay#0'),
    call: (run) => run.call('@call expert#0', 'expert'),
    'timer that is set': (run) => run.sleep('@sleep#9', 50),
    'timer that fires': (run) => run.fire('@sleep#0'),
    completion: (run) => run.complete(),
    handoff: (run) => run.handOff('expert'),
    retry: (run) => run.retry(1, 50),
    pause: (run) => run.pause(),
    death: (run) => run.die(),
    cancellation: (run) => run.cancel(),
    expiry: (run) => run.expire(),
    redrive: (run) => run.redrive(),
    discard: (run) => run.discard(),
  } satisfies Record<string, (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => number>

  it.each(Object.entries(late))('a late %s', (_, write) => {
    const { log, view, marks } = world()
    log.register('inquiry', { on: ['inquiry.received'] })
    log.register('expert')
    const first = log.delivery(log.event('inquiry.received', { session: 's' }), 'inquiry')
    log.event('inquiry.received', { session: 's' })
    first.startEffect('pay#0')
    first.sleep('@sleep#0', 40)
    first.complete()
    marks()
    const { at, ...before } = view()
    write(first)
    const { at: later, ...after } = view()
    expect([after, later - at, marks()]).toEqual([before, 1, []])
  })

  it('and none about a delivery that never was, or of an agent that nobody knows', () => {
    const { log, view, marks } = world()
    log.register('inquiry', { on: ['inquiry.received'] })
    const event = log.event('other.happened')
    const { at: _, ...before } = view()
    log.delivery(event, 'inquiry').step('a#0')
    log.delivery(event, 'nobody').complete()
    log.record('spine.delivery.completed', {}, { cause: event })
    const { at: __, ...after } = view()
    expect([after, marks()]).toEqual([before, []])
  })
})

describe('the end of a request', () => {
  const ends = { cancelled: 'cancelRequest', expired: 'expireRequest' } as const

  it.each(Object.entries(ends))(
    '%s ends all that is open, calls and queued work included, and rests once',
    (_, end) => {
      const { log, work, view, marks } = world()
      log.register('inquiry', { on: ['inquiry.received'] })
      log.register('expert')
      const other = log.event('inquiry.received', { session: 'other' })
      const root = log.event('inquiry.received', { session: 's' })
      const run = log.delivery(root, 'inquiry')
      const call = log.delivery(run.call('@call expert#0', 'expert'), 'expert')
      call.call('@call expert#0', 'expert')
      run.emit('inquiry.received')
      log.event('inquiry.received', { session: 's', request: 'free' })
      marks()
      expect(view().requests).toHaveLength(3)
      log[end](`r${root}`, 5)
      expect(work()).toEqual([`${other}/inquiry ready`, `${log.head - 1}/inquiry ready`])
      expect(marks().filter(({ kind }) => kind === 'rest')).toEqual([{ kind: 'rest', request: `r${root}` }])
      expect(view().requests.map(({ id, open }) => `${id} ${open}`)).toEqual(['free 1', `r${other} 1`])
    },
  )

  it('tells no run of an outcome, because every caller ends with it', () => {
    const { log, marks } = world()
    log.register('inquiry', { on: ['inquiry.received'] })
    const root = log.event('inquiry.received')
    log.delivery(root, 'inquiry').call('@call inquiry#0', 'inquiry')
    marks()
    log.cancelRequest(`r${root}`)
    expect(
      marks()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['ended', 'ended', 'rest'])
  })

  it('means nothing for a request at rest, and leaves no trace for a later one of that name', () => {
    const { log, work, marks } = world()
    log.register('inquiry', { on: ['inquiry.received'] })
    log.cancelRequest('later')
    log.event('inquiry.received', { request: 'later' })
    expect(work()).toEqual(['3/inquiry ready'])
    expect(marks().map(({ kind }) => kind)).toEqual(['ready'])
  })
})

describe('the owner of the lane', () => {
  it('is who claimed it last, until it lets go', () => {
    const { log, view } = world()
    log.release()
    expect(view().lanes).toEqual([])
    log.claim('one')
    log.release()
    expect(view().lanes).toEqual([{ lane: '*', claimed: 2, owner: 'one', released: true, careful: false }])
    log.claim('two')
    expect(view().lanes).toEqual([{ lane: '*', claimed: 4, owner: 'two', released: false, careful: false }])
  })

  it('gives what stood still another look', () => {
    const { log, work, marks } = world()
    log.register('inquiry', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received', { session: 's' })
    const behind = log.event('inquiry.received', { session: 's' })
    const failing = log.event('inquiry.received')
    log.delivery(event, 'inquiry').pause()
    log.delivery(failing, 'inquiry').retry(1, 99)
    expect(work()).toEqual([`${event}/inquiry paused`, `${behind}/inquiry queued`, `${failing}/inquiry backoff`])
    marks()
    log.claim('two')
    expect(work()).toEqual([`${event}/inquiry ready`, `${behind}/inquiry queued`, `${failing}/inquiry backoff`])
    expect(marks()).toEqual([{ kind: 'ready', row: expect.any(Number), source: event }])
  })
})

it('F1: session patches are on the log, not in this state', () => {
  const { log, view } = world()
  log.register('inquiry', { on: ['inquiry.received'] })
  const run = log.delivery(log.event('inquiry.received'), 'inquiry')
  const { at: _, ...before } = view()
  run.patch({ service: 'haircut' })
  expect(view()).toEqual({ ...before, at: log.head })
})
