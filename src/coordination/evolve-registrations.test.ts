/** Agents as the log knows them: A1 (registrations in force), A2 (renames), removal, L1. */
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const world = () => foldedLog({ initialState, takeOver, evolve, encodeState })

describe('A1: deliveries open for the registrations in force at the event', () => {
  it('not for agents that come later, and for all that are there', () => {
    const { log, work } = world()
    log.event('inquiry.received')
    log.register('one', { on: ['inquiry.received'] })
    const second = log.event('inquiry.received')
    log.register('two', { on: ['inquiry.received', 'other.happened'] })
    const third = log.event('inquiry.received')
    const fourth = log.event('other.happened')
    expect(work()).toEqual([`${second}/one ready`, `${third}/one ready`, `${third}/two ready`, `${fourth}/two ready`])
  })

  it('a new registration replaces the subscriptions of the old one, and keeps its open work', () => {
    const { log, work, view } = world()
    const since = log.register('one', { on: ['inquiry.received'] })
    const first = log.event('inquiry.received')
    log.register('one', { on: ['other.happened'], version: '2' })
    log.event('inquiry.received')
    const third = log.event('other.happened')
    expect(work()).toEqual([`${first}/one ready`, `${third}/one ready`])
    expect(view().agents).toMatchObject([{ name: 'one', since, open: 2, registration: { version: '2' } }])
  })

  it('L1 a type that is named twice opens one delivery', () => {
    const { log, work, view } = world()
    log.register('one', { on: ['inquiry.received', 'inquiry.received'] })
    const event = log.event('inquiry.received')
    expect(work()).toEqual([`${event}/one ready`])
    log.delivery(event, 'one').complete()
    expect([work(), view().requests]).toEqual([[], []])
  })

  it('an agent with directed work only is opened by no event', () => {
    const { log, work } = world()
    log.register('expert')
    log.event('inquiry.received')
    expect(work()).toEqual([])
  })
})

describe('removal', () => {
  it('ends what is open, puts the request to rest, and opens nothing more', () => {
    const { log, work, marks, view } = world()
    log.register('one', { on: ['inquiry.received'] })
    const first = log.event('inquiry.received', { session: 's' })
    log.event('inquiry.received', { session: 's' })
    log.delivery(first, 'one').retry(1, 50)
    marks()
    log.remove('one')
    expect(work()).toEqual([])
    expect(marks().filter(({ kind }) => kind === 'rest')).toHaveLength(2)
    expect(view().agents).toEqual([{ holds: [], name: 'one', registration: null, since: 1, subscribed: [], open: 0 }])
    log.event('inquiry.received', { session: 's' })
    expect(work()).toEqual([])
  })

  it('leaves the others and a stranger alone', () => {
    const { log, work } = world()
    log.register('one', { on: ['inquiry.received'] })
    log.register('two', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    log.remove('one')
    log.remove('nobody')
    expect(work()).toEqual([`${event}/two ready`])
  })

  it('ends an agent that has called itself, each delivery once', () => {
    const { log, work, marks, view } = world()
    log.register('self')
    const outer = log.delivery(log.start('self'), 'self')
    log.delivery(outer.call('@call self#0', 'self'), 'self').call('@call self#0', 'self')
    marks()
    log.remove('self')
    expect(marks().filter(({ kind }) => kind === 'ended')).toHaveLength(3)
    expect([work(), view().requests]).toEqual([[], []])
  })

  it('is followed by a new beginning when the agent is registered again', () => {
    const { log, work, view } = world()
    log.register('one', { on: ['inquiry.received'] })
    log.remove('one')
    log.event('inquiry.received')
    const since = log.register('one', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    expect(work()).toEqual([`${event}/one ready`])
    expect(view().agents).toMatchObject([{ since }])
  })
})

describe('renaming', () => {
  it('into a new name moves open work, subscriptions and options', () => {
    const { log, work, view, marks } = world()
    log.register('old', { on: ['inquiry.received'], version: '3' })
    const [first, second] = [
      log.event('inquiry.received', { session: 's' }),
      log.event('inquiry.received', { session: 's' }),
    ]
    const run = log.delivery(first, 'old')
    run.step('a#0')
    const waiting = log.event('inquiry.received')
    log.delivery(waiting, 'old').retry(1, 50)
    marks()
    log.rename('old', 'new')
    expect(work()).toEqual([`${first}/new ready`, `${second}/new queued`, `${waiting}/new backoff`])
    expect(marks().filter(({ kind }) => kind === 'ended' || kind === 'rest')).toEqual([])
    expect(view().agents).toMatchObject([
      { name: 'new', open: 3, registration: { name: 'new', version: '3' } },
      { name: 'old', open: 0, registration: null },
    ])
    const later = log.event('inquiry.received')
    expect(work()).toContain(`${later}/new ready`)
    log.delivery(first, 'new').step('b#0')
    log.delivery(first, 'new').complete()
    expect(work()).toContain(`${second}/new ready`)
  })

  it('of nobody, or into itself, changes nothing', () => {
    const { log, view, marks } = world()
    log.register('one', { on: ['inquiry.received'] })
    log.event('inquiry.received')
    marks()
    const { at: _, ...before } = view()
    log.rename('nobody', 'one')
    log.rename('one', 'one')
    const { at: __, ...after } = view()
    expect([after, marks()]).toEqual([before, []])
  })

  it('A2 gives a name that is registered already only what it has not been given itself', () => {
    const { log, work } = world()
    log.register('old', { on: ['inquiry.received'] })
    const before = log.event('inquiry.received')
    log.register('new', { on: ['inquiry.received'] })
    const both = log.event('inquiry.received')
    log.delivery(both, 'new').complete()
    log.rename('old', 'new')
    expect(work()).toEqual([`${before}/new ready`])
  })

  it('A2 an event of a type that the heir does not react to has not been given to it', () => {
    const { log, work } = world()
    log.register('new', { on: ['other.happened'] })
    log.register('old', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    log.rename('old', 'new')
    expect(work()).toEqual([`${event}/new ready`])
  })

  it('A2 nor has one that came before the heir began to react to its type, though the heir itself is older', () => {
    const { log, work } = world()
    log.register('new', { on: ['other.happened'] })
    log.register('old', { on: ['inquiry.received'] })
    const before = log.event('inquiry.received')
    log.register('new', { on: ['other.happened', 'inquiry.received'] })
    const both = log.event('inquiry.received')
    log.register('new', { on: ['other.happened', 'inquiry.received'], version: '2' })
    log.delivery(both, 'new').complete()
    log.rename('old', 'new')
    expect(work()).toEqual([`${before}/new ready`])
  })

  it('A2 what an agent was given under its old name it was given', () => {
    const { log, work } = world()
    log.register('oldest', { on: ['inquiry.received'] })
    log.register('other', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    log.delivery(event, 'oldest').complete()
    log.rename('oldest', 'newest')
    log.rename('other', 'newest')
    expect(work()).toEqual([])
  })

  it('A2 keeps directed work, whether called, started or handed over, since nobody else was given it', () => {
    const { log, work, journal } = world()
    log.register('new')
    log.register('desk', { on: ['inquiry.received'] })
    log.register('old')
    const desk = log.delivery(log.event('inquiry.received'), 'desk')
    const call = desk.call('@call old#0', 'old')
    const started = log.start('old')
    const handed = log.delivery(log.event('inquiry.received'), 'desk').handOff('old')
    log.rename('old', 'new')
    expect(work()).toEqual([`${desk.id} ready`, `${call}/new ready`, `${started}/new ready`, `${handed}/new ready`])
    expect(journal(desk.id)).toMatchObject([{ callee: `${call}/new` }])
  })

  it('D1 D2 puts work into the lines of the heir: behind its heads, in the order of sources', () => {
    const { log, work } = world()
    log.register('old', { on: ['inquiry.received'] })
    const [first, second] = [
      log.event('inquiry.received', { session: 's' }),
      log.event('inquiry.received', { session: 's' }),
    ]
    log.delivery(first, 'old').retry(1, 50)
    log.register('new', { on: ['other.happened', 'inquiry.received'] })
    const head = log.event('other.happened', { session: 's' })
    log.rename('old', 'new')
    expect(work()).toEqual([`${first}/new queued`, `${second}/new queued`, `${head}/new ready`])
    log.delivery(head, 'new').complete()
    expect(work()).toEqual([`${first}/new ready`, `${second}/new queued`])
    log.delivery(first, 'new').complete()
    expect(work()).toEqual([`${second}/new ready`])
  })

  it('L1 never gives the heir a second delivery of one event', () => {
    const { log, work, view } = world()
    log.register('new', { on: ['inquiry.received'] })
    log.register('old', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    log.delivery(event, 'new').die()
    log.remove('new')
    log.delivery(event, 'new').redrive()
    log.rename('old', 'new')
    expect(work()).toEqual([`${event}/new ready`])
    expect(view().requests).toMatchObject([{ open: 1 }])
  })

  it('L1 nor does a redrive, when the rename has brought the same work', () => {
    const { log, work, view } = world()
    log.register('new', { on: ['inquiry.received'] })
    log.register('old', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    log.delivery(event, 'new').die()
    log.remove('new')
    log.rename('old', 'new')
    log.delivery(event, 'new').redrive()
    expect(work()).toEqual([`${event}/new ready`])
    expect([view().deadLetters, view().requests]).toMatchObject([[], [{ open: 1 }]])
  })

  it('gives what stood still another look, since other code runs it now', () => {
    const { log, work } = world()
    log.register('old', { on: ['inquiry.received'] })
    const event = log.event('inquiry.received')
    log.delivery(event, 'old').pause()
    log.rename('old', 'new')
    expect(work()).toEqual([`${event}/new ready`])
  })
})
