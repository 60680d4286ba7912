import { agent, type Engine, event, type LogRecord, type Spine, SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, deferred, Inquiry, Question } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Message = event('message.received', z.object({ text: z.string() }))
const Wanted = event('appointment.wanted', z.object({ day: z.string() }))
const SESSION = { session: 'customer' }

describeOnEachEngine('a request that is owed to an agent that is behind', (world) => {
  /** Whoever is behind comes no further until the gate opens. */
  const gated = (gate: Promise<void>): Engine => {
    const engine = world.engine()
    const read: Engine['read'] = async (query) => {
      const { types, request, session } = query
      const isWindow = request === undefined && session === undefined && types?.length === 1
      if (isWindow && types[0] === Message.type) await gate
      return engine.read(query)
    }
    return new Proxy(engine, {
      get: (of, name) => {
        if (name === 'read') return read
        const value = Reflect.get(of, name) as unknown
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
  }
  const typesOf = async (spine: Spine, type: string) =>
    (await world.records(spine)).filter((record: LogRecord) => record.type === type)

  const asking = agent('asking', { input: Question, output: Answer, emits: [Message] }, async (evt, ctx) => {
    ctx.emit(Message, { text: evt.data.question })
    return { answer: 'asked' }
  })

  /** A booking that waits while messages may change it, and somebody who reads them late. */
  async function office(read: (text: string) => string | undefined) {
    const log: string[] = []
    const gates = { look: deferred(), window: deferred(), think: deferred() }
    const booking = agent(
      'booking',
      { on: Wanted, emits: [Booked], freshness: { newer: [Message], then: 'hold' } },
      async (evt, ctx) => {
        await ctx.step('look', () => {
          log.push(`look ${evt.data.day}`)
          return gates.look.promise.then(() => null)
        })
        await ctx.step('book', () => void log.push(`book ${evt.data.day}`), { effect: true })
        ctx.emit(Booked, { service: evt.data.day })
      },
    )
    const thinking = agent('thinking', { on: Message, from: 'beginning', emits: [Wanted] }, async (evt, ctx) => {
      const day = await ctx.step('think', () => gates.think.promise.then(() => read(evt.data.text) ?? null))
      if (day !== null) ctx.emit(Wanted, { day })
    })
    const one = await world.open({ agents: [] })
    await one.publish(Message, { text: 'hello' })
    await one.close()
    const spine = await world.open({ agents: [booking, thinking, asking], engine: gated(gates.window.promise) })
    const first = await spine.publish(Wanted, { day: 'friday' }, SESSION)
    await expect.poll(() => log).toEqual(['look friday'])
    return { spine, first, log, gates }
  }

  it('holds what stands on an older turn until the delivery that it was owed has ended', async () => {
    const { spine, first, log, gates } = await office(() => undefined)
    const thanks = await spine.publish(Message, { text: 'thanks' }, SESSION)
    gates.look.resolve()
    expect(await spine.settled(thanks.request, { within: 60 })).toMatchObject({
      status: 'open',
      waiting: [{ agent: 'thinking', why: 'behind' }],
    })
    expect(log).toEqual(['look friday'])
    gates.window.resolve()
    await expect.poll(async () => (await spine.requests.get(thanks.request)).waiting[0]?.why).not.toBe('behind')
    expect(await spine.settled(first.request, { within: 60 })).toMatchObject({ status: 'open' })
    expect(log).toEqual(['look friday'])
    gates.think.resolve()
    expect((await spine.settled(thanks.request)).status).toBe('done')
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(log).toEqual(['look friday', 'book friday'])
  })

  it('has more events to come', async () => {
    const { spine, gates } = await office(() => 'monday')
    gates.look.resolve()
    gates.think.resolve()
    const handle = await spine.start(asking, { question: 'monday?' }, { session: 'other' })
    await handle.result()
    const types: string[] = []
    const reading = (async () => {
      for await (const each of handle.events()) types.push(each.type)
    })()
    await expect.poll(() => types).toEqual([Message.type])
    gates.window.resolve()
    await reading
    expect(types).toEqual([Message.type, Wanted.type, Booked.type])
  })

  it('supersedes it where that delivery gives work to the same agent', async () => {
    const { spine, first, log, gates } = await office((text) => /on (\w+)/.exec(text)?.[1])
    const correction = await spine.publish(Message, { text: 'no, on monday' }, SESSION)
    gates.look.resolve()
    gates.think.resolve()
    expect((await spine.settled(correction.request, { within: 60 })).status).toBe('open')
    expect(log).toEqual(['look friday'])
    gates.window.resolve()
    expect((await spine.settled(correction.request)).status).toBe('done')
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(log).toEqual(['look friday', 'look monday', 'book monday'])
    expect(await typesOf(spine, 'spine.delivery.superseded')).toHaveLength(1)
  })

  it('can be cancelled, given another class, and expires', async () => {
    const { spine, first, log, gates } = await office(() => undefined)
    const cancelled = await spine.publish(Message, { text: 'cancelled' }, SESSION)
    const late = await spine.publish(Message, { text: 'late' }, { ...SESSION, deadline: 150 })
    const urgent = await spine.publish(Message, { text: 'urgent' }, { session: 'other' })
    gates.look.resolve()
    await spine.requests.setPriority(urgent.request, 'critical')
    await spine.requests.cancel(cancelled.request, 'never mind')
    expect((await spine.settled(cancelled.request)).status).toBe('cancelled')
    await spine.requests.cancel(cancelled.request, 'once more')
    await expect.poll(async () => (await spine.requests.get(late.request)).status).toBe('expired')
    // Nothing that was newer is owed anything any more.
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(log).toEqual(['look friday', 'book friday'])
    gates.window.resolve()
    gates.think.resolve()
    expect((await spine.settled(urgent.request)).status).toBe('done')
    expect(await typesOf(spine, 'spine.request.cancelled')).toHaveLength(1)
    const completed = (await typesOf(spine, 'spine.delivery.completed')).filter((each) => each.agent === 'thinking')
    expect(completed.map(({ cause, priority }) => [cause === urgent.sequence, priority])).toContainEqual([
      true,
      'critical',
    ])
    expect(completed.map(({ cause }) => cause)).not.toContain(late.sequence)
  })

  it('keeps its budget, and what it has spent of it; so does one that was at rest', async () => {
    const gate = deferred()
    const left: number[] = []
    const paying = agent('paying', { on: [Message, Inquiry] }, async (_evt, ctx) => {
      await ctx.step('pay', () => null, { cost: { estimate: { usd: 0.75 } } })
    })
    const late = agent('late', { on: Message, from: 'beginning' }, async (_evt, ctx) => {
      left.push((await ctx.budget.remaining())['usd'] as number)
      const pay = () => ctx.step('pay', () => null, { cost: { estimate: { usd: 0.75 } } })
      await pay().catch((error: unknown) => {
        if (!SpineError.is(error, 'SPINE_BUDGET_EXHAUSTED')) throw error
      })
    })
    const one = await world.open({ agents: [paying] })
    const before = await one.publish(Message, { text: 'before' }, { budget: { usd: 1 } })
    expect((await one.settled(before.request)).spent).toEqual({ usd: 0.75 })
    await one.close()
    const two = await world.open({ agents: [paying, late], engine: gated(gate.promise) })
    const owed = await two.publish(Message, { text: 'owed' }, { budget: { usd: 1 } })
    await expect.poll(async () => (await two.requests.get(owed.request)).spent).toEqual({ usd: 0.75 })
    await two.settled(owed.request, { within: 30 })
    await two.requests.raiseBudget(owed.request, { usd: 0.25 })
    gate.resolve()
    for (const { request } of [before, owed]) {
      expect((await two.settled(request)).status).toBe('done')
      expect((await two.settled(request)).spent).toEqual({ usd: 0.75 })
    }
    expect(new Set(left)).toEqual(new Set([0.25, 0.5]))
    expect(await typesOf(two, 'spine.budget.exhausted')).toHaveLength(2)
  })
})
