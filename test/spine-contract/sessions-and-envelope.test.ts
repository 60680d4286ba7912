import { agent, type Engine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly, Requirements } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('sessions and the envelope', (world) => {
  it('a patch is visible at once to its run, and to others with the commit; last commit wins per key', async () => {
    const seen: unknown[] = []
    const counting = agent(
      'counting',
      { on: Numbered, session: z.object({ sum: z.number(), last: z.number() }) },
      (evt, ctx) => {
        const sum = (ctx.session.state.sum ?? 0) + evt.data.n
        ctx.session.set({ sum })
        ctx.session.set({ last: evt.data.n })
        seen.push(ctx.session.state)
      },
    )
    const spine = await world.open({ agents: [counting] })
    for (const n of [1, 2, 3]) await spine.publish(Numbered, { n }, { session: 's' })
    const { request } = await spine.publish(Numbered, { n: 4 }, { session: 's' })
    await spine.settled(request)
    expect(seen).toEqual([
      { sum: 1, last: 1 },
      { sum: 3, last: 2 },
      { sum: 6, last: 3 },
      { sum: 10, last: 4 },
    ])
    expect((await spine.sessions.get('s')).state).toEqual({ sum: 10, last: 4 })
  })

  it('null deletes, objects merge, and the state at a sequence can be asked for, also after a restart', async () => {
    const setting = agent('setting', { on: Inquiry }, (evt, ctx) => {
      ctx.session.set(JSON.parse(evt.data.text))
    })
    const one = await world.open({ agents: [setting] })
    const set = async (patch: object) => {
      const { request } = await one.publish(Inquiry, { text: JSON.stringify(patch) }, { session: 's' })
      return (await one.settled(request)).at
    }
    const first = await set({ a: { b: 1, c: 2 }, d: 1 })
    await set({ a: { b: null, e: 3 }, d: null })
    await one.close()
    const two = await world.open({ agents: [setting] })
    expect(await two.sessions.get('s')).toMatchObject({ id: 's', state: { a: { c: 2, e: 3 } } })
    expect((await two.sessions.get('s', { at: first })).state).toEqual({ a: { b: 1, c: 2 }, d: 1 })
    expect((await two.sessions.get('unheard of')).state).toEqual({})
  })

  it('a patch that breaks the session schema is refused; what others have not set yet is not asked for', async () => {
    const session = z.object({ name: z.string(), age: z.number() })
    const naming = agent('naming', { on: Inquiry, session, retry: quickly(1) }, (evt, ctx) => {
      ctx.session.set(evt.data.text === 'good' ? { name: 'Ada' } : ({ age: 'old' } as never))
    })
    const spine = await world.open({ agents: [naming] })
    const good = await spine.publish(Inquiry, { text: 'good' }, { session: 's' })
    expect((await spine.settled(good.request)).status).toBe('done')
    const bad = await spine.publish(Inquiry, { text: 'bad' }, { session: 's' })
    const { deadLetters } = await spine.settled(bad.request)
    expect((await spine.deadLetters.get(deadLetters[0] as string)).error).toMatchObject({
      code: 'SPINE_SCHEMA_INVALID',
    })
    expect((await spine.sessions.get('s')).state).toEqual({ name: 'Ada' })
  })

  it('a run stands on its basis: what others commit meanwhile does not move under it', async () => {
    const hold = deferred()
    const seen: unknown[] = []
    const reading = agent('reading', { on: Inquiry }, async (_evt, ctx) => {
      seen.push(ctx.session.state)
      await ctx.step('hang', () => hold.promise.then(() => null))
      seen.push(ctx.session.state)
    })
    const writing = agent('writing', { on: Numbered }, (evt, ctx) => ctx.session.set({ n: evt.data.n }))
    const spine = await world.open({ agents: [reading, writing] })
    const read = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    const write = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    await spine.settled(write.request)
    hold.resolve()
    await spine.settled(read.request)
    expect(seen.length).toBeGreaterThanOrEqual(2)
    for (const state of seen) expect(state).toEqual({})
  })

  it('ctx.request is the original event with its payload, in every agent down the line, with zero fetches by user code', async () => {
    const requests: unknown[] = []
    const expert = agent('expert', { input: Question, output: Answer }, (_evt, ctx) => {
      requests.push([ctx.request.type, ctx.request.data, ctx.hops, ctx.session.state])
      return { answer: 'yes' }
    })
    const inquiry = agent('inquiry', { on: Inquiry, emits: [Requirements] }, (_evt, ctx) => {
      ctx.session.set({ customer: 'Ada' })
      ctx.emit(Requirements, { service: 'haircut' })
    })
    const scheduling = agent('scheduling', { on: Requirements, emits: [Booked] }, async (_evt, ctx) => {
      requests.push([ctx.request.type, ctx.request.data, ctx.hops, ctx.session.state])
      await ctx.call(expert, { question: 'free?' })
      ctx.emit(Booked, { service: 'haircut' })
    })
    const confirming = agent('confirming', { on: Booked }, (_evt, ctx) => {
      requests.push([ctx.request.type, ctx.request.data, ctx.hops, ctx.session.state])
    })
    const metered = counted(world.engine())
    const spine = await world.open({ engine: metered.engine, agents: [inquiry, scheduling, confirming, expert] })
    metered.reads = 0
    const { request } = await spine.publish(Inquiry, { text: 'the original words' }, { session: 's' })
    await spine.settled(request)
    const original = ['inquiry.received', { text: 'the original words' }]
    const customer = { customer: 'Ada' }
    expect(requests).toEqual([
      [...original, 1, customer],
      [...original, 2, customer],
      [...original, 2, customer],
    ])
    expect(metered.reads).toBe(0)
  })

  it('an event emitted into another session or key is ordered and remembered there', async () => {
    const places: string[] = []
    const router = agent('router', { on: Inquiry, emits: [Numbered] }, (_evt, ctx) => {
      ctx.emit(Numbered, { n: 1 }, { session: 'other' })
      ctx.emit(Numbered, { n: 2 }, { key: 'lane-7' })
    })
    const noting = agent('noting', { on: Numbered }, (evt, ctx) => {
      places.push(`${evt.data.n} ${evt.session} ${ctx.session.id}`)
      ctx.session.set({ n: evt.data.n })
    })
    const spine = await world.open({ agents: [router, noting] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 'mine' })
    await spine.settled(request)
    expect(places.sort()).toEqual(['1 other other', '2 mine mine'])
    const keys = (await world.records(spine))
      .filter((record) => record.type === 'number.drawn')
      .map((record) => record.key)
    expect(keys).toEqual(['other', 'lane-7'])
    expect((await spine.sessions.get('other')).state).toEqual({ n: 1 })
  })
})

function counted(inner: Engine) {
  const metered = {
    reads: 0,
    engine: new Proxy(inner, {
      get(target, name) {
        if (name === 'read') metered.reads++
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    }),
  }
  return metered
}
