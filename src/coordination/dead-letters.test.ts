import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const world = (onFailure: 'skip' | 'block' | 'park') => {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  folded.log.register('inquiry', { on: ['inquiry.received'], onFailure })
  return {
    ...folded,
    event: (session = 's') => folded.log.event('inquiry.received', { session }),
    of: (source: number, agent = 'inquiry') => folded.log.delivery(source, agent),
    holds: (name = 'inquiry') => folded.view().agents.find((agent) => agent.name === name)?.holds,
    letters: () => folded.view().deadLetters.map(({ id }) => id),
  }
}

describe("onFailure: 'skip'", () => {
  it('lets the key go on', () => {
    const { event, of, work, holds } = world('skip')
    const [first, second] = [event(), event()]
    of(first).die()
    expect(work()).toEqual([`${second}/inquiry ready`])
    expect(holds()).toEqual([])
  })
})

describe("J2 J3: onFailure: 'block'", () => {
  it('halts the key, and no other, until the redrive, which goes first', () => {
    const { event, of, work, holds } = world('block')
    const [first, second] = [event(), event()]
    of(first).die()
    const third = event()
    const other = event('t')
    expect(work()).toEqual([`${second}/inquiry queued`, `${third}/inquiry queued`, `${other}/inquiry ready`])
    expect(holds()).toEqual([{ key: 's', mode: 'block', letters: [first] }])
    of(first).redrive()
    expect(holds()).toEqual([])
    expect(work()).toEqual([
      `${first}/inquiry ready`,
      `${second}/inquiry queued`,
      `${third}/inquiry queued`,
      `${other}/inquiry ready`,
    ])
    of(first).complete()
    expect(work()).toEqual([`${second}/inquiry ready`, `${third}/inquiry queued`, `${other}/inquiry ready`])
  })

  it('holds an empty key too, and goes on after a discard', () => {
    const { event, of, work } = world('block')
    const first = event()
    of(first).die()
    const second = event()
    expect(work()).toEqual([`${second}/inquiry queued`])
    of(first).discard()
    expect(work()).toEqual([`${second}/inquiry ready`])
  })

  it('blocks again when the redriven one dies again', () => {
    const { event, of, work, letters } = world('block')
    const [first, second] = [event(), event()]
    of(first).die()
    of(first).redrive()
    of(first).die()
    expect(work()).toEqual([`${second}/inquiry queued`])
    expect(letters()).toEqual([`${first}/inquiry`])
  })

  it('never blocks what has no order', () => {
    const { log, of, holds } = world('block')
    log.register('lookup', { onFailure: 'block' })
    const call = log.start('lookup', { session: 's' })
    of(call, 'lookup').die()
    expect(holds('lookup')).toEqual([])
  })

  it('goes with a renamed agent, and ends with a removed one', () => {
    const { log, event, of, work, holds, letters } = world('block')
    const [first, second] = [event(), event()]
    of(first).die()
    log.rename('inquiry', 'intake')
    expect(letters()).toEqual([`${first}/intake`])
    expect(holds('intake')).toEqual([{ key: 's', mode: 'block', letters: [first] }])
    of(first, 'intake').redrive()
    expect(work()[0]).toBe(`${first}/intake ready`)
    of(first, 'intake').die()
    log.remove('intake')
    expect([work(), holds('intake'), second]).toEqual([[], [], second])
  })
})

describe("J2 J3: onFailure: 'park'", () => {
  it('lets later ones join, and brings all of them back in order with one redrive', () => {
    const { event, of, work, holds, letters } = world('park')
    const [first, second, third] = [event(), event(), event()]
    of(first).die()
    expect(work()).toEqual([`${second}/inquiry ready`, `${third}/inquiry queued`])
    of(second).die('SPINE_KEY_PARKED')
    expect(holds()).toEqual([{ key: 's', mode: 'park', letters: [first, second] }])
    // The third is about to be parked when someone redrives the second: it comes with the first, before the third.
    of(second).redrive()
    expect(letters()).toEqual([])
    expect(work()).toEqual([`${first}/inquiry ready`, `${second}/inquiry queued`, `${third}/inquiry queued`])
    // The parking that was under way comes too late.
    of(first).complete()
    of(second).complete()
    of(third).die('SPINE_KEY_PARKED')
    expect([work(), letters()]).toEqual([[`${third}/inquiry ready`], []])
  })

  it('ends when the last of its letters is discarded', () => {
    const { event, of, holds } = world('park')
    const [first, second] = [event(), event()]
    of(first).die()
    of(second).die('SPINE_KEY_PARKED')
    of(first).discard()
    expect(holds()).toEqual([{ key: 's', mode: 'park', letters: [second] }])
    of(second).discard()
    expect(holds()).toEqual([])
  })
})
