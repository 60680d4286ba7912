/** O1, Q2: agents that hear everything, and agents that only look on. */
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { decideDue, takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const world = () => foldedLog({ initialState, takeOver, evolve, encodeState })

describe("on '*'", () => {
  it('O1 opens a delivery for every event but its own, and for no fact', () => {
    const { log, work, delivery } = world()
    log.register('ear', { on: ['*'] })
    log.register('ann', { on: ['a.happened'] })
    const first = log.event('a.happened')
    const own = log.delivery(first, 'ear').emit('b.happened')
    const others = log.delivery(first, 'ann').emit('c.happened')
    log.delivery(first, 'ann').complete()
    expect(work()).toEqual([`${first}/ear ready`, `${others}/ear queued`])
    expect(own).toBeLessThan(others)
    expect(delivery(`${others}/ear`)).toMatchObject({ type: 'c.happened' })
    log.remove('ear')
    log.event('d.happened')
    expect(work()).toEqual([])
  })

  it('gives an heir what it has not heard, by its own registration', () => {
    const { log, work } = world()
    log.register('ear', { on: ['*'] })
    const first = log.event('a.happened')
    log.register('heir', { on: ['*'] })
    const second = log.event('a.happened')
    const directed = log.start('ear')
    log.rename('ear', 'heir')
    expect(work()).toEqual([`${first}/heir ready`, `${second}/heir ready`, `${directed}/heir ready`])
    log.event('b.happened')
    expect(work()).toHaveLength(4)
  })
})

describe('observes', () => {
  const observed = () => {
    const folded = world()
    folded.log.register('audit', { on: ['a.happened'], observes: true })
    folded.log.register('ann', { on: ['a.happened'] })
    folded.marks()
    return folded
  }

  it('Q2 does not count, and the request rests when the others have ended, once', () => {
    const { log, state, view, marks } = observed()
    const root = log.event('a.happened', { deadline: 900 })
    expect(view().requests).toMatchObject([{ id: `r${root}`, open: 1, deadline: 900 }])
    log.delivery(root, 'ann').complete()
    expect(marks().filter(({ kind }) => kind === 'rest')).toEqual([{ kind: 'rest', request: `r${root}` }])
    expect(view().requests).toMatchObject([{ id: `r${root}`, open: 0, deadline: 0 }])
    expect(decideDue(state, 1_000)).toEqual([])
    log.delivery(root, 'audit').complete()
    expect(view().requests).toEqual([])
    expect(marks().filter(({ kind }) => kind === 'rest')).toEqual([])
  })

  it('Q2 is not ended by the end of its request, nor by its own deadline', () => {
    const { log, work, delivery } = observed()
    const root = log.event('a.happened', { deadline: 900 })
    expect(delivery(`${root}/audit`)).toMatchObject({ deadline: 0, observes: true })
    log.cancelRequest(`r${root}`)
    expect(work()).toEqual([`${root}/audit ready`])
    log.cancelRequest(`r${root}`)
    log.expireRequest(`r${root}`, 900)
    expect(work()).toEqual([`${root}/audit ready`])
  })

  it('Q2 so does what it calls and hands off to', () => {
    const { log, work, view } = observed()
    const root = log.event('a.happened')
    const called = log.delivery(root, 'audit').call('@call#0', 'expert')
    log.cancelRequest(`r${root}`)
    expect(work()).toEqual([`${root}/audit ready`, `${called}/expert ready`])
    log.delivery(called, 'expert').complete()
    const handed = log.delivery(root, 'audit').handOff('expert')
    log.cancelRequest(`r${root}`)
    expect(work()).toEqual([`${handed}/expert ready`])
    expect(view().requests).toMatchObject([{ id: `r${root}`, open: 0, deadline: 0 }])
  })

  it('Q2 a call that it makes has the bound that it was given, for a new owner too', () => {
    const { log, state, encoded } = observed()
    const root = log.event('a.happened', { deadline: 900 })
    log.delivery(root, 'audit').call('@call#0', 'expert', { deadline: 900 })
    const due = [
      { kind: 'expire-request', request: `r${root}`, deadline: 900 },
      { kind: 'expire-delivery', row: expect.any(Number) },
    ]
    const heir = decodeState(encoded())
    takeOver(heir)
    for (const each of [state, heir])
      expect(decideDue(each, 900).toSorted((left, right) => (left.kind < right.kind ? 1 : -1))).toEqual(due)
  })

  it('Q2 a request that is taken up while something looks on has the deadlines of what comes then', () => {
    const { log, state, view } = observed()
    const root = log.event('a.happened', { deadline: 900 })
    const request = `r${root}`
    log.delivery(root, 'ann').complete()
    const again = log.event('a.happened', { request, deadline: 900 })
    expect(view().requests).toMatchObject([{ id: request, open: 1, deadline: 0 }])
    expect(decideDue(state, 900)).toEqual([{ kind: 'expire-delivery', row: expect.any(Number) }])
    log.delivery(again, 'ann').expire()
    expect(view().requests).toMatchObject([{ id: request, open: 0, deadline: 0 }])
  })
})
