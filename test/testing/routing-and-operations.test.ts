/** Routes, dedupe keys, pauses and cancels, with a crash at every append. */
import { agent, event } from 'event-spine'
import { crashEverywhere, testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'

const Replied = event('reply.sent', z.object({ by: z.string() }))
const Auto = agent('auto', { input: Question, output: Answer })
const Human = agent('human', { input: Question, output: Answer })
const Deep = agent('deep', { input: Question, output: Answer })
const Deeper = agent('deeper', { input: Question, output: Answer })

describe('with a crash at every append', () => {
  it('a route is decided once, whatever its predicates would say later', async () => {
    const report = await crashEverywhere(async (open) => {
      const decisions: string[] = []
      const desk = agent('desk', { on: Numbered, emits: [Replied], retry: quickly(3) }, async (evt, ctx) => {
        const scored = await ctx.step('score', () => evt.data.n)
        const target = await ctx.route(scored, [
          { when: (n) => n > 5, to: Auto },
          { atLeast: 3, to: Human },
          { else: Auto },
        ])
        await ctx.sleep('1h')
        const again = await ctx.route(target.name, [{ when: (name) => name === 'human', to: Human }, { else: Auto }])
        const { answer } = await ctx.call(again, { question: target.name })
        ctx.emit(Replied, { by: `${target.name} ${answer}` })
      })
      const answering = (target: typeof Auto | typeof Human) =>
        (target as typeof Auto).handle(async (evt) => ({ answer: `${target.name} for ${evt.data.question}` }))
      const spine = await open({ agents: [desk, answering(Auto), answering(Human)] })
      const { request } = await spine.publish(Numbered, { n: 4 })
      await spine.idle()
      await spine.advance('2h')
      const { status } = await spine.settled(request)
      for await (const record of spine.log.read({ types: ['spine.route.decided'] }))
        decisions.push((record.data as { target: string }).target)
      return { status, decisions }
    })
    expect(report.plays).toBeGreaterThan(10)
  })

  it('a dedupe key is claimed once: a claim that nobody heard of makes nobody a duplicate of himself', async () => {
    await crashEverywhere(async (open) => {
      const counter = agent(
        'counter',
        { on: Numbered, emits: [Booked], retry: quickly(3), dedupe: (evt) => `n${evt.data.n}` },
        async (evt, ctx) => {
          await ctx.step('one', () => 1)
          ctx.emit(Booked, { service: `n${evt.data.n}` })
        },
      )
      const spine = await open({ agents: [counter] })
      const requests: string[] = []
      for (const n of [1, 1, 2, 1]) {
        requests.push((await spine.publish(Numbered, { n }, { session: `s${requests.length}` })).request)
        await spine.idle()
      }
      const ends: string[] = []
      for (const request of requests) ends.push((await spine.settled(request)).status)
      const skipped: unknown[] = []
      for await (const record of spine.log.read({ types: ['spine.delivery.skipped'] }))
        skipped.push((record.data as { why: string }).why)
      return { ends, skipped }
    })
  })

  it('a paused agent starts nothing, and what waited comes in order when it is resumed', async () => {
    await crashEverywhere(async (open) => {
      const counter = agent('counter', { on: Numbered, emits: [Booked], concurrency: 1 }, async (evt, ctx) => {
        ctx.emit(Booked, { service: `n${evt.data.n}` })
      })
      const spine = await open({ agents: [counter] })
      await spine.publish(Numbered, { n: 1 }, { session: 'a' })
      await spine.idle()
      await spine.agents.pause('counter', 'maintenance')
      for (const n of [2, 3]) await spine.publish(Numbered, { n }, { session: `s${n}` })
      await spine.idle()
      const before = (await spine.events(Booked)).length
      const { paused } = spine.agents.list()[0] ?? {}
      await spine.agents.resume('counter')
      await spine.idle()
      const order = (await spine.events(Booked)).map(({ data }) => data.service)
      return { before, why: paused?.why, order }
    })
  })

  it('a cancel in the middle of a chain of calls ends all of it, and nothing is written behind it', async () => {
    await crashEverywhere(async (open) => {
      const desk = agent('desk', { on: Inquiry, emits: [Replied] }, async (_evt, ctx) => {
        await ctx.call(Deep, { question: 'x' })
        ctx.emit(Replied, { by: 'desk' })
      })
      const deep = Deep.handle(async (evt, ctx) => ctx.call(Deeper, evt.data))
      const deeper = Deeper.handle(async (_evt, ctx) => {
        await ctx.sleep('1h')
        return { answer: 'x' }
      })
      const spine = await open({ agents: [desk, deep, deeper] })
      const { request } = await spine.publish(Inquiry, { text: 'x' })
      await spine.idle()
      await spine.requests.cancel(request, 'enough')
      await spine.advance('2h')
      const { status, waiting } = await spine.settled(request)
      const behind: string[] = []
      let isOver = false
      for await (const record of spine.log.read({ request })) {
        if (isOver) behind.push(record.type)
        if (record.type === 'spine.request.cancelled') isOver = true
      }
      // A client that tries again after a crash may cancel twice; the second record finds nothing.
      return { status, waiting, behind: behind.filter((type) => type !== 'spine.request.cancelled') }
    })
  })
})

describe('code that does not stop when its request is cancelled', () => {
  it.each([
    ['a step', false, '5s' as const],
    ['an effect', true, '2m' as const],
  ])('%s holds its key for a bounded time only', async (_what, effect, bound) => {
    const started: number[] = []
    const deaf = agent('deaf', { on: Numbered, timeout: '2m' }, async (evt, ctx) => {
      await ctx.step(
        'work',
        () => {
          started.push(evt.data.n)
          return evt.data.n === 1 ? new Promise<null>(() => {}) : null
        },
        { effect },
      )
    })
    const spine = await testSpine({ agents: [deaf], replay: 'after-crash' })
    const first = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const second = await spine.publish(Numbered, { n: 2 }, { session: 's' })
    await spine.requests.cancel(first.request, 'enough')
    await spine.idle()
    expect(started).toEqual([1])
    await spine.advance(bound)
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(started).toEqual([1, 2])
    await spine.close({ drain: 0 })
  })

  it('a crash ends the wait: nothing of it executes any more', async () => {
    const started: number[] = []
    const deaf = agent('deaf', { on: Numbered }, async (evt, ctx) => {
      await ctx.step('work', () => {
        started.push(evt.data.n)
        return evt.data.n === 1 ? new Promise<null>(() => {}) : null
      })
    })
    const spine = await testSpine({ agents: [deaf], replay: 'after-crash' })
    const first = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    await new Promise((resolve) => setTimeout(resolve, 20))
    await spine.publish(Numbered, { n: 2 }, { session: 's' })
    await spine.requests.cancel(first.request, 'enough')
    await spine.crash()
    await spine.idle()
    expect(started).toEqual([1, 2])
    await spine.close({ drain: 0 })
  })
})

describe('an agent that is paused', () => {
  it('goes on with a suspended run after a crash, and starts a run that crashed its process only when resumed', async () => {
    const done: string[] = []
    let crashes = 3
    const worker = agent('worker', { on: Numbered }, async (evt, ctx) => {
      if (evt.data.n === 1) await ctx.sleep('1h')
      await ctx.step('end', () => {
        if (evt.data.n === 2 && crashes-- > 0) {
          void spine.crash()
          return new Promise<null>(() => {})
        }
        done.push(`n${evt.data.n}`)
        return null
      })
    })
    const spine = await testSpine({ agents: [worker], replay: 'after-crash' })
    await spine.publish(Numbered, { n: 1 }, { session: 'a' })
    await spine.idle()
    await spine.agents.pause('worker')
    await spine.publish(Numbered, { n: 2 }, { session: 'b' })
    await spine.publish(Numbered, { n: 3 }, { session: 'c' })
    await spine.crash()
    await spine.advance('2h')
    expect(done).toEqual(['n1'])
    await spine.agents.resume('worker')
    await spine.idle()
    expect(done.sort()).toEqual(['n1', 'n2', 'n3'])
    await spine.close()
  })
})
