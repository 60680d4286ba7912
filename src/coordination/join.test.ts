/** M1 to M5, G1 and G2: rounds of joins as the fold alone makes them. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import type { RegistrationOptions } from '../../test/support/log-builder.ts'
import { decideDue, takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const TYPES = ['a.happened', 'b.happened', 'c.happened'] as const
type Join = NonNullable<RegistrationOptions['join']>

const world = (join: Join, rest: Partial<RegistrationOptions> = {}) => {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  folded.log.register('joint', { on: TYPES, join, ...rest })
  const publish = (type: string, place: { session?: string; request?: string; deadline?: number } = {}) =>
    folded.log.event(`${type}.happened`, { session: 's', ...place })
  const round = (id: number | string) =>
    folded.delivery(typeof id === 'number' ? `${id}/joint` : id)?.join?.seen.map(({ sequence }) => sequence)
  const run = (source: number) => folded.log.delivery(source, 'joint')
  return { ...folded, publish, round, run }
}

describe('a round', () => {
  it('M1 M2 takes the first of each type, in whatever order they come, and fires once: when all are there', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...TYPES), { maxLength: 30 }), (arrivals) => {
        const { log, work, view, marks } = world({ per: 'session' })
        marks()
        let gathers: Record<string, number> = {}
        const complete: number[][] = []
        for (const type of arrivals) {
          const sequence = log.event(type, { session: 's' })
          gathers[type] ??= sequence
          if (Object.keys(gathers).length < TYPES.length) continue
          complete.push(Object.values(gathers).sort((left, right) => left - right))
          gathers = {}
        }
        const fired = view().deliveries.filter(({ status }) => status !== 'joining')
        const seen = fired.map(({ join }) =>
          join?.seen.map(({ sequence }) => sequence).sort((left, right) => left - right),
        )
        expect(seen.sort((left, right) => (left?.[0] ?? 0) - (right?.[0] ?? 0))).toEqual(complete)
        expect(work().filter((line) => line.endsWith('joining'))).toHaveLength(Object.keys(gathers).length > 0 ? 1 : 0)
        // One key: the first may run, the others wait for it.
        expect(marks().filter(({ kind }) => kind === 'ready')).toHaveLength(Math.min(complete.length, 1))
      }),
      { numRuns: 100 },
    )
  })

  it('M2 fires at once when atLeast are there, and no time is set', () => {
    const { publish, work } = world({ per: 'session', atLeast: 2 })
    const first = publish('c')
    publish('c')
    expect(work()).toEqual([`${first}/joint joining`])
    publish('a')
    expect(work()).toEqual([`${first}/joint ready`])
  })

  it.each([
    ['too little is there', 2, 'skip'],
    ['enough is there', 1, 'fire'],
  ] as const)('M2 becomes due when its time is up, and when %s the owner ends it', (_, atLeast, how) => {
    const { state, log, publish, run, work, delivery } = world({ per: 'session', withinMs: 50, atLeast })
    const first = publish('a')
    const due = log.at(first).time + 50
    expect(delivery(`${first}/joint`)?.due).toBe(due)
    expect(decideDue(state, due - 1)).toEqual([])
    expect(decideDue(state, due)).toEqual([{ kind: 'end-join', row: expect.any(Number) }])
    if (how === 'skip') run(first).skip()
    else run(first).endJoin()
    expect(work()).toEqual(how === 'skip' ? [] : [`${first}/joint ready`])
    const second = publish('b')
    expect(work().at(-1)).toBe(`${second}/joint joining`)
  })

  it('M2 what comes before the record that ends a round still counts, also where it was to be skipped', () => {
    const { publish, run, work } = world({ per: 'session', withinMs: 50, atLeast: 2 })
    const first = publish('a')
    publish('b')
    run(first).skip()
    expect(work()).toEqual([`${first}/joint ready`])
    run(first).skip()
    run(first).endJoin()
    expect(work()).toEqual([`${first}/joint ready`])
  })

  it('a delivery that has fired is skipped where it repeats another', () => {
    const { publish, run, work } = world({ per: 'session', atLeast: 1 })
    const first = publish('a')
    run(first).skip(1)
    expect(work()).toEqual([])
  })

  it('is not due any more once it has fired, and due for a new owner while it gathers', () => {
    const { state, publish, encoded } = world({ per: 'session', withinMs: 50 })
    publish('a')
    const heir = decodeState(encoded())
    takeOver(heir)
    expect(decideDue(heir, 1e9)).toEqual([{ kind: 'end-join', row: expect.any(Number) }])
    publish('b')
    publish('c')
    expect(decideDue(state, 1e9)).toEqual([])
  })

  it('M3 per request: one round of each request at a time, and none after it has fired until the request rests', () => {
    const { log, publish, run, work, view } = world({ per: 'request' })
    log.register('other', { on: ['x.happened'] })
    const root = log.event('x.happened', { session: 's' })
    const request = `r${root}`
    const first = publish('a', { request })
    const another = publish('a')
    for (const type of ['b', 'c', 'a', 'b', 'c']) publish(type, { request })
    expect(work()).toEqual([`${root}/other ready`, `${first}/joint ready`, `${another}/joint joining`])
    run(first).complete()
    publish('a', { request })
    expect(work()).toEqual([`${root}/other ready`, `${another}/joint joining`])
    log.delivery(root, 'other').complete()
    expect(view().requests.map(({ id }) => id)).toEqual([`r${another}`])
    const again = publish('b', { request })
    expect(work()).toEqual([`${another}/joint joining`, `${again}/joint joining`])
  })

  it('M3 a request is at rest, and begins anew, though something still looks on', () => {
    const { log, publish, run, work } = world({ per: 'request' }, {})
    log.register('audit', { on: ['a.happened'], observes: true })
    const first = publish('a')
    const request = `r${first}`
    publish('b', { request })
    publish('c', { request })
    run(first).complete()
    expect(work()).toEqual([`${first}/audit ready`])
    const again = publish('b', { request })
    expect(work()).toEqual([`${first}/audit ready`, `${again}/joint joining`])
  })

  it('M3 a round that only looks on fires once while anything of its request is open', () => {
    const { log, publish, run, work, view } = world({ per: 'request' }, { observes: true })
    const first = publish('a')
    const request = `r${first}`
    for (const type of ['b', 'c', 'a']) publish(type, { request })
    expect(work()).toEqual([`${first}/joint ready`])
    expect(view().requests).toMatchObject([{ id: request, open: 0, deadline: 0 }])
    log.cancelRequest(request)
    run(first).complete()
    expect([work(), view().requests]).toEqual([[], []])
    const again = publish('a', { request })
    expect(work()).toEqual([`${again}/joint joining`])
  })

  it('M3 a redriven round counts as fired', () => {
    const { publish, run, work, round } = world({ per: 'request' })
    const first = publish('a')
    const request = `r${first}`
    const seen = [first, publish('b', { request }), publish('c', { request })]
    run(first).die()
    run(first).redrive()
    expect(round(first)).toEqual(seen)
    publish('a', { request })
    expect(work()).toEqual([`${first}/joint ready`])
  })

  it('M4 goes on under the spec that it began with, also where its agent joins nothing any more', () => {
    const { log, publish, work, round } = world({ per: 'session' })
    const first = publish('a')
    log.register('joint', { on: ['a.happened', 'd.happened'] })
    publish('a')
    const plain = publish('d')
    const last = [publish('b'), publish('c')]
    expect(round(first)).toEqual([first, ...last])
    // What has begun at the head of their key is not displaced.
    expect(work()).toEqual([`${first}/joint queued`, `${plain}/joint ready`])
    const free = publish('a')
    publish('b')
    expect(work().at(-1)).toBe(`${free}/joint queued`)
  })

  it('M5 carries the most hops and the earliest deadline of its events', () => {
    const { state, log, publish, delivery } = world({ per: 'session' })
    const first = publish('a', { deadline: 900 })
    publish('b', { request: 'another', deadline: 700 })
    publish('c', { deadline: 800 })
    expect(delivery(`${first}/joint`)).toMatchObject({ hops: 1, deadline: 700, request: `r${first}` })
    expect(decideDue(state, 750)).toEqual([{ kind: 'expire-delivery', row: expect.any(Number) }])
    log.delivery(first, 'joint').expire()
    expect(decideDue(state, 950)).toEqual([])
  })

  it.each([
    ['session', 'default', 's'],
    ['request', 'default', 'k'],
    ['request', 'session', 's'],
    ['session', 'none', ''],
  ] as const)("per %s with order '%s' is ordered by '%s' from when it fires", (per, order, key) => {
    const { log, delivery } = world({ per }, { order })
    const first = log.event('a.happened', { session: 's', key: 'k' })
    expect(delivery(`${first}/joint`)).toMatchObject({ status: 'joining', key: '' })
    for (const type of ['b', 'c']) log.event(`${type}.happened`, { session: 's', key: 'l', request: `r${first}` })
    expect(delivery(`${first}/joint`)).toMatchObject({ status: 'ready', key })
  })

  it('that has fired and comes after something is held until then', () => {
    const { publish, work, log, marks } = world({ per: 'session' }, { after: ['a.happened', 'z.happened'] })
    const first = publish('a')
    publish('b')
    marks()
    publish('c')
    expect(work()).toEqual([`${first}/joint held`])
    expect(marks().map(({ kind }) => kind)).toEqual(['held'])
    log.event('z.happened', { session: 's' })
    expect(work()).toEqual([`${first}/joint ready`])
  })

  it('goes with its agent to a new name, and into the round of an heir who gathers the same', () => {
    const { log, publish, work, round } = world({ per: 'session' })
    const first = publish('a')
    log.register('heir', { on: TYPES, join: { per: 'session' } })
    const second = publish('b')
    log.rename('joint', 'heir')
    expect(work()).toEqual([`${second}/heir joining`])
    expect(round(`${second}/heir`)).toEqual([first, second])
    publish('c')
    expect(work()).toEqual([`${second}/heir ready`])
  })
})
