/** Calls and handoffs: L2 (callers have an outcome, open calls end), L3 (one owner at any sequence, the duty to reply moves). */
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import type { DeliveryRecords } from '../../test/support/log-builder.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState, type Mark } from './state.ts'

/** A desk that reacts to inquiries and has called the expert. */
function world() {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log } = folded
  log.register('desk', { on: ['inquiry.received'] })
  log.register('expert')
  log.register('senior')
  const desk = log.delivery(log.event('inquiry.received', { session: 's' }), 'desk')
  const expert = log.delivery(desk.call('@call expert#0', 'expert'), 'expert')
  folded.marks()
  const kinds = () => folded.marks().map(({ kind }) => kind)
  const outcomes = (marks: readonly Mark[] = folded.marks()) =>
    marks.flatMap((mark) => (mark.kind === 'outcome' ? [`${mark.source} ${mark.command} ${mark.record.type}`] : []))
  const call = () => folded.journal(desk.id).find(({ name }) => name === '@call expert#0')
  return { ...folded, desk, expert, kinds, outcomes, call }
}

describe('a call', () => {
  it('is a delivery of its own, a hop further, that knows who waits for it', () => {
    const { delivery, desk, expert, call } = world()
    expect(delivery(expert.id)).toMatchObject({
      status: 'ready',
      key: '',
      hops: 1,
      caller: desk.id,
      call: expert.source,
      request: `r${desk.source}`,
    })
    expect(call()).toMatchObject({ kind: 'call', ended: 0, callee: expert.id })
  })

  it('L2 gives the caller the reply in the record that ends the callee', () => {
    const { log, expert, desk, outcomes, call, work } = world()
    expert.complete()
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 spine.delivery.completed`])
    expect(call()).toMatchObject({ ended: log.head, ok: true, callee: '' })
    expect(work()).toEqual([`${desk.id} ready`])
  })

  it.each([
    ['died', (expert: DeliveryRecords) => expert.die(), 'spine.delivery.dead'],
    ['expired', (expert: DeliveryRecords) => expert.expire(), 'spine.delivery.expired'],
    ['was cancelled', (expert: DeliveryRecords) => expert.cancel(), 'spine.delivery.cancelled'],
  ])('L2 gives the caller a failure when the callee %s', (_, end, type) => {
    const { expert, desk, outcomes, call } = world()
    end(expert)
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 ${type}`])
    expect(call()).toMatchObject({ ok: false, callee: '' })
    expect(call()?.ended).toBeGreaterThan(0)
  })

  it('L2 gives the caller a failure when the called agent is removed', () => {
    const { log, desk, outcomes, work } = world()
    log.remove('expert')
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 spine.agent.removed`])
    expect(work()).toEqual([`${desk.id} ready`])
  })

  it('says nothing to the caller while the callee only fails an attempt', () => {
    const { expert, kinds, call } = world()
    expert.retry(1, 50)
    expect([kinds(), call()?.ended]).toEqual([[], 0])
  })

  it.each([
    ['completes', (desk: DeliveryRecords) => desk.complete()],
    ['dies', (desk: DeliveryRecords) => desk.die()],
    ['expires', (desk: DeliveryRecords) => desk.expire()],
    ['is cancelled', (desk: DeliveryRecords) => desk.cancel()],
  ])('L2 ends with its caller, calls inside it included, when the caller %s', (_, end) => {
    const { expert, desk, work, marks } = world()
    expert.call('@call senior#0', 'senior')
    marks()
    end(desk)
    expect(work()).toEqual([])
    const seen = marks()
    expect(seen.filter(({ kind }) => kind === 'ended')).toHaveLength(3)
    expect(seen.filter(({ kind }) => kind === 'rest')).toEqual([{ kind: 'rest', request: `r${desk.source}` }])
    expect(seen.filter(({ kind }) => kind === 'outcome')).toEqual([])
  })

  it('ends alone of several: the others go on', () => {
    const { desk, work, outcomes, expert } = world()
    const other = desk.call('@call expert#1', 'expert')
    expert.complete()
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 spine.delivery.completed`])
    expect(work()).toEqual([`${desk.id} ready`, `${other}/expert ready`])
  })

  it('outlives a failed attempt of its caller, which then gets its outcome', () => {
    const { desk, expert, outcomes, work } = world()
    desk.retry(1, 50)
    expect(work()).toEqual([`${desk.id} backoff`, `${expert.id} ready`])
    expert.complete()
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 spine.delivery.completed`])
  })

  it('to an agent that nobody ever registered waits for it', () => {
    const { desk, work, log } = world()
    const call = desk.call('@call stranger#0', 'stranger')
    expect(work()).toContain(`${call}/stranger ready`)
    log.register('stranger')
    expect(work()).toContain(`${call}/stranger ready`)
  })

  it('from outside has no caller, and is known by its sequence when it ends', () => {
    const { log, delivery, marks } = world()
    const started = log.start('expert')
    expect(delivery(`${started}/expert`)).toMatchObject({ caller: '', call: started, request: `r${started}`, hops: 0 })
    marks()
    log.delivery(started, 'expert').complete()
    expect(marks()[0]).toMatchObject({ kind: 'ended', call: started, source: started })
  })
})

describe('a handoff', () => {
  it('L3 has one owner at any sequence, and the request never looks at rest in between', () => {
    const { log, work, marks, view } = world()
    const first = log.delivery(log.event('inquiry.received'), 'desk')
    marks()
    const second = log.delivery(first.handOff('expert'), 'expert')
    expect(marks().map(({ kind }) => kind)).toEqual(['ready', 'ended'])
    expect(view().requests).toContainEqual(expect.objectContaining({ id: `r${first.source}`, open: 1, deadline: 0 }))
    const third = log.delivery(second.handOff('senior'), 'senior')
    expect(work().slice(2)).toEqual([`${third.id} ready`])
    marks()
    third.complete()
    expect(marks().map(({ kind }) => kind)).toEqual(['ended', 'rest'])
  })

  it('is a hop further and stays in the session, key and deadline of what it goes on with', () => {
    const { log, delivery } = world()
    const first = log.event('inquiry.received', { session: 's', key: 'k', deadline: 90 })
    const second = log.delivery(log.delivery(first, 'desk').handOff('expert'), 'expert')
    expect(delivery(second.id)).toMatchObject({ session: 's', key: 'k', hops: 1, deadline: 90 })
    const third = second.handOff('senior')
    expect(delivery(`${third}/senior`)).toMatchObject({ session: 's', key: 'k', hops: 2, deadline: 90 })
  })

  it('L3 moves the duty to reply along the whole chain', () => {
    const { log, expert, desk, delivery, outcomes, call } = world()
    const senior = log.delivery(expert.handOff('senior'), 'senior')
    expect(outcomes()).toEqual([])
    expect(delivery(senior.id)).toMatchObject({ caller: desk.id, call: expert.source })
    expect(call()).toMatchObject({ ended: 0, callee: senior.id })
    const back = log.delivery(senior.handOff('expert'), 'expert')
    expect(call()).toMatchObject({ ended: 0, callee: back.id })
    back.complete()
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 spine.delivery.completed`])
    expect(call()).toMatchObject({ ended: log.head, ok: true, callee: '' })
  })

  it('L3 tells the caller when the successor fails', () => {
    const { log, expert, desk, outcomes } = world()
    log.delivery(expert.handOff('senior'), 'senior').die()
    expect(outcomes()).toEqual([`${desk.source} @call expert#0 spine.delivery.dead`])
  })

  it('ends with the caller of what handed off', () => {
    const { expert, desk, work } = world()
    expert.handOff('senior')
    desk.complete()
    expect(work()).toEqual([])
  })

  it('keeps the sequence of a start, which is what the one outside waits for', () => {
    const { log, marks } = world()
    const started = log.start('expert')
    const senior = log.delivery(log.delivery(started, 'expert').handOff('senior'), 'senior')
    marks()
    senior.complete()
    expect(marks()[0]).toMatchObject({ kind: 'ended', call: started, source: senior.source })
  })

  it('ends the open calls of the run that hands off', () => {
    const { desk, expert, work, log } = world()
    const successor = desk.handOff('senior')
    expect(work()).toEqual([`${successor}/senior ready`])
    expect(log.at(expert.source).type).toBe('spine.call.requested')
  })
})
