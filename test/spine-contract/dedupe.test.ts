import { agent, event, type SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Ordered = event('order.placed', z.object({ order: z.string() }))
const Shipped = event('order.shipped', z.object({ order: z.string() }))

describeOnEachEngine('an agent with dedupe', (world) => {
  it('skips the second event with the same key, and says of what it is a duplicate', async () => {
    const done: string[] = []
    let asked = 0
    const shipping = agent(
      'shipping',
      {
        on: Ordered,
        emits: [Shipped],
        dedupe: (evt) => {
          asked++
          return evt.data.order
        },
      },
      async (evt, ctx) => {
        await ctx.step('ship', () => void done.push(evt.data.order))
        ctx.emit(Shipped, { order: evt.data.order })
      },
    )
    const spine = await world.open({ agents: [shipping] })
    const first = await spine.publish(Ordered, { order: 'a' }, { session: 's1' })
    const others = await Promise.all(
      ['a', 'b', 'a'].map((order, n) => spine.publish(Ordered, { order }, { session: `t${n}` })),
    )
    for (const { request } of [first, ...others])
      expect(await spine.settled(request)).toMatchObject({ status: 'done', deadLetters: [] })
    expect(done.sort()).toEqual(['a', 'b'])
    expect(asked).toBe(4)
    const records = await world.records(spine)
    const skipped = records.filter(({ type }) => type === 'spine.delivery.skipped')
    expect(skipped.map(({ data }) => data)).toEqual([
      { why: 'duplicate', of: first.sequence },
      { why: 'duplicate', of: first.sequence },
    ])
    expect(records.filter(({ type }) => type === Shipped.type)).toHaveLength(2)
  })

  it('keeps keys over restarts, apart for each agent, and skips though the first one is dead', async () => {
    const done: string[] = []
    const broken = agent('broken', { on: Ordered, retry: quickly(1), dedupe: (evt) => evt.data.order }, async () => {
      throw new Error('broken')
    })
    const fine = agent('fine', { on: Ordered, dedupe: (evt) => evt.data.order }, async (evt, ctx) => {
      await ctx.step('do', () => void done.push(evt.data.order))
    })
    const one = await world.open({ agents: [broken, fine] })
    const first = await one.publish(Ordered, { order: 'a' })
    expect((await one.settled(first.request)).status).toBe('failed')
    await one.close()
    const two = await world.open({ agents: [broken, fine] })
    const second = await two.publish(Ordered, { order: 'a' })
    expect((await two.settled(second.request)).status).toBe('done')
    expect(done).toEqual(['a'])
    // The dead one is no duplicate of itself.
    const [letter] = await two.deadLetters.list()
    await two.deadLetters.redrive(letter?.id as string)
    expect((await two.settled(first.request)).status).toBe('failed')
  })

  it('a retry, and a run that goes on after a restart, do not ask again', async () => {
    let asked = 0
    let attempts = 0
    const retrying = agent(
      'retrying',
      {
        on: Numbered,
        retry: quickly(4),
        dedupe: (evt) => {
          asked++
          return String(evt.data.n)
        },
      },
      async (_evt, ctx) => {
        await ctx.step('one', () => 1)
        await ctx.step('flaky', () => {
          if (++attempts < 3) throw new Error('not yet')
          return 2
        })
        await ctx.sleep(30)
      },
    )
    const one = await world.open({ agents: [retrying] })
    const { request } = await one.publish(Numbered, { n: 1 })
    expect((await one.settled(request, { within: 25 })).status).toBe('open')
    await one.close()
    const two = await world.open({ agents: [retrying] })
    expect((await two.settled(request)).status).toBe('done')
    expect([asked, attempts]).toEqual([1, 3])
  })

  it('a call that is a duplicate rejects with the record of the first; so does a start', async () => {
    const caught: { code: string; cause: unknown }[] = []
    const Charge = agent('charge', { input: Question, output: Answer, dedupe: (evt) => evt.data.question })
    const charge = Charge.handle(async (evt) => ({ answer: `charged ${evt.data.question}` }))
    const desk = agent('desk', { on: Numbered }, async (_evt, ctx) => {
      try {
        await ctx.call(Charge, { question: 'order 1' })
      } catch (error) {
        await ctx.step('note', () => void caught.push(error as (typeof caught)[number]))
      }
    })
    const spine = await world.open({ agents: [charge, desk] })
    const first = await spine.start(Charge, { question: 'order 1' })
    expect(await first.result()).toEqual({ answer: 'charged order 1' })
    const { request } = await spine.publish(Numbered, { n: 1 })
    expect((await spine.settled(request)).status).toBe('done')
    expect(caught).toMatchObject([
      { code: 'SPINE_CALL_FAILED', cause: { code: 'SPINE_DUPLICATE', value: first.sequence } },
    ])
    const again = await spine.start(Charge, { question: 'order 1' })
    const failed = again.result().catch((error: unknown) => error as SpineError)
    expect(await failed).toMatchObject({ code: 'SPINE_CALL_FAILED', cause: { code: 'SPINE_DUPLICATE' } })
    await spine.settled(again.request)
    expect(await again.result().catch((error: unknown) => error)).toMatchObject({ code: 'SPINE_CALL_FAILED' })
  })

  it('a function that throws, or returns no text, fails the attempt; the handler is not entered', async () => {
    let entered = 0
    const options = { on: Numbered, retry: quickly(2) } as const
    const throwing = agent(
      'throwing',
      {
        ...options,
        dedupe: () => {
          throw new Error('no key')
        },
      },
      () => void entered++,
    )
    const numbered = agent('numbered', { ...options, dedupe: (() => 7) as never }, () => void entered++)
    const empty = agent('empty', { ...options, dedupe: () => '' }, () => void entered++)
    const spine = await world.open({ agents: [throwing, numbered, empty] })
    const { request } = await spine.publish(Numbered, { n: 1 })
    expect((await spine.settled(request)).status).toBe('failed')
    const letters = await spine.deadLetters.list()
    expect(letters.map((letter) => [letter.agent, letter.attempts, letter.error.code]).sort()).toEqual([
      ['empty', 1, 'SPINE_OPTION_INVALID'],
      ['numbered', 1, 'SPINE_OPTION_INVALID'],
      ['throwing', 2, 'SPINE_HANDLER_FAILED'],
    ])
    expect(entered).toBe(0)
  })

  it('lets the next of its key go, and holds the slot no longer', async () => {
    const done: number[] = []
    const counter = agent(
      'counter',
      { on: Numbered, concurrency: 1, dedupe: (evt) => String(evt.data.n) },
      async (evt, ctx) => {
        await ctx.step('count', () => void done.push(evt.data.n))
      },
    )
    const spine = await world.open({ agents: [counter] })
    const all = await Promise.all([1, 1, 2, 2, 3].map((n) => spine.publish(Numbered, { n }, { session: 's' })))
    for (const { request } of all) expect((await spine.settled(request)).status).toBe('done')
    expect(done).toEqual([1, 2, 3])
  })
})
