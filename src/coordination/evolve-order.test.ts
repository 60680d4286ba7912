/** P5: events and handoffs of one key run one at a time, in sequence order; keys in parallel. */
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const world = (order?: string) => {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  folded.log.register('inquiry', { on: ['inquiry.received'], ...(order === undefined ? {} : { order }) })
  const publish = (session: string, key = session) => folded.log.event('inquiry.received', { session, key })
  const statuses = () => folded.work().map((line) => line.split(' ')[1])
  return { ...folded, publish, statuses }
}

describe('what is ordered by what', () => {
  it.each([
    ['default', ['ready', 'ready', 'queued', 'queued']],
    ['key', ['ready', 'ready', 'queued', 'queued']],
    ['session', ['ready', 'queued', 'queued', 'ready']],
    ['none', ['ready', 'ready', 'ready', 'ready']],
  ])("order '%s': events", (order, expected) => {
    const { publish, statuses } = world(order)
    publish('s1', 'k1')
    publish('s1', 'k2')
    publish('s1', 'k1')
    publish('s2', 'k2')
    expect(statuses()).toEqual(expected)
  })

  it.each([
    ['default', ['ready', 'ready']],
    ['none', ['ready', 'ready']],
    ['key', ['ready', 'queued']],
    ['session', ['ready', 'queued']],
  ])("order '%s': calls and starts queue only where the agent sets an order", (order, expected) => {
    const { log, statuses } = world()
    log.register('expert', { order })
    log.start('expert', { session: 's' })
    log.start('expert', { session: 's' })
    expect(statuses()).toEqual(expected)
  })

  it('handoffs queue with the events of their key, also from a call', () => {
    const { log, work, publish } = world()
    log.register('expert')
    log.register('desk')
    const first = publish('s')
    const call = log.delivery(log.start('expert', { session: 's' }), 'expert')
    const handedOff = call.handOff('inquiry')
    expect(work()).toEqual([`${first}/inquiry ready`, `${handedOff}/inquiry queued`])
  })

  it('each agent has its own line for a key', () => {
    const { log, publish, work } = world()
    log.register('audit', { on: ['inquiry.received'] })
    const event = publish('s')
    expect(work()).toEqual([`${event}/audit ready`, `${event}/inquiry ready`])
  })

  it('an event keeps the order that was in force when it came', () => {
    const { log, publish, statuses } = world()
    publish('s')
    publish('s')
    log.register('inquiry', { on: ['inquiry.received'], order: 'none' })
    publish('s')
    expect(statuses()).toEqual(['ready', 'queued', 'ready'])
  })
})

describe('D1: only the head of a key may run', () => {
  it('the next in sequence becomes ready when the head has ended, and is marked once', () => {
    const { log, publish, work, marks } = world()
    const [one, two, three] = [publish('s'), publish('s'), publish('s')]
    marks()
    log.delivery(one, 'inquiry').complete()
    expect(marks().filter(({ kind }) => kind === 'ready')).toEqual([
      { kind: 'ready', row: expect.any(Number), source: two },
    ])
    log.delivery(three, 'inquiry').cancel()
    log.delivery(two, 'inquiry').complete()
    expect(work()).toEqual([])
    expect(marks().filter(({ kind }) => kind === 'ready')).toEqual([])
  })

  it.each([
    ['backing off', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.retry(1, 50), 'backoff'],
    ['paused', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.pause(), 'paused'],
    ['asleep', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.sleep('@sleep#0', 50), 'ready'],
  ])('a head that is %s holds its key', (_, hold, status) => {
    const { log, publish, statuses } = world()
    const first = log.delivery(publish('s'), 'inquiry')
    publish('s')
    hold(first)
    expect(statuses()).toEqual([status, 'queued'])
  })

  it('a handoff to itself goes to the end of its own line and lets the next one run', () => {
    const { log, publish, work } = world()
    const one = log.delivery(publish('s'), 'inquiry')
    const two = publish('s')
    const three = one.handOff('inquiry')
    expect(work()).toEqual([`${two}/inquiry ready`, `${three}/inquiry queued`])
  })

  it('what dies lets its key go on', () => {
    const { log, publish, work } = world()
    const one = log.delivery(publish('s'), 'inquiry')
    const two = publish('s')
    one.die()
    expect(work()).toEqual([`${two}/inquiry ready`])
  })

  it('D2 a redriven delivery goes before what is newer, but not before the head that may have begun', () => {
    const { log, publish, work } = world()
    const dead = log.delivery(publish('s'), 'inquiry')
    const [two, three] = [publish('s'), publish('s')]
    dead.die()
    dead.redrive()
    expect(work()).toEqual([`${dead.source}/inquiry queued`, `${two}/inquiry ready`, `${three}/inquiry queued`])
    log.delivery(two, 'inquiry').complete()
    expect(work()).toEqual([`${dead.source}/inquiry ready`, `${three}/inquiry queued`])
  })
})
