/** `settled` where work waits for agents that nobody hosts: told at once, and never while anything could still go on. */
import { agent, event, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Gone = agent('gone', { input: Question, output: Answer })
const Lost = agent('lost', { input: Question, output: Answer })
const Slow = agent('slow', { input: Question, output: Answer })
const Middle = agent('middle', { input: Question, output: Answer })
const Given = event('approval.given', z.object({ by: z.string() }))

const answering = async () => ({ answer: 'a' })
const question = { question: 'q' }
/** Known to the log, and hosted by nobody. */
const absent = [Gone.handle(answering), Lost.handle(answering)]
const asking = agent('asking', { on: Inquiry }, async (_evt, ctx) => void (await ctx.call(Gone, question)))

/** Far below the bound of `settled`, and far above what a slow machine takes to come to rest. */
const AT_ONCE_MS = 20_000
const BOUND = '60s'

async function atOnce<Result>(settled: Promise<Result>): Promise<Result> {
  const began = performance.now()
  const result = await settled
  expect(performance.now() - began).toBeLessThan(AT_ONCE_MS)
  return result
}

describeOnEachEngine('settled where work waits for absent agents', (world) => {
  type Agents = Parameters<typeof world.open>[0]['agents']

  /** Other agents have been hosted before, and are not any more. */
  async function open(agents: Agents, gone: Agents = absent): Promise<Spine> {
    const before = await world.open({ agents: gone })
    await before.close()
    return world.open({ agents })
  }
  const inquire = (spine: Spine, session = 's') => spine.publish(Inquiry, { text: 'a' }, { session })
  const settled = (spine: Spine, request: string) => atOnce(spine.settled(request, { within: BOUND }))
  const onlyAbsent = (names: readonly string[]) => ({ status: 'open', absent: names })

  it('says so at once for a caller, asked before it has called and after', async () => {
    const spine = await open([asking])
    const { request } = await inquire(spine)
    const waiting = [{ agent: 'asking', why: 'suspended', detail: "waiting for a call of 'gone'" }]
    for (const _ of [1, 2]) expect(await settled(spine, request)).toMatchObject({ ...onlyAbsent(['gone']), waiting })
  })

  it('through a chain of calls, for every branch of a gather, and for what stands behind it in its key', async () => {
    const middle = Middle.handle(async (_evt, ctx) => {
      await ctx.gather([ctx.call(Gone, question), ctx.call(Lost, question)])
      return { answer: 'never' }
    })
    const top = agent('top', { on: Inquiry, emits: [Numbered] }, async (_evt, ctx) => {
      for (const n of [1, 2]) await ctx.publish(Numbered, { n })
      await ctx.call(Middle, question)
    })
    const behind = agent('behind', { on: Numbered }, async (_evt, ctx) => void (await ctx.call(Gone, question)))
    const spine = await open([top, middle, behind])
    const { request } = await inquire(spine)
    const { waiting, absent, status } = await settled(spine, request)
    expect([status, [...absent].sort()]).toEqual(['open', ['gone', 'lost']])
    expect(waiting.map(({ agent, why }) => `${agent} ${why}`).sort()).toEqual([
      'behind behind its key',
      'behind suspended',
      'middle suspended',
      'top suspended',
    ])
  })

  it('for another request that stands behind the caller in its key, whichever was asked for first', async () => {
    const gate = deferred()
    const gated = agent('gated', { on: Inquiry }, async (_evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => null))
      await ctx.call(Gone, question)
    })
    const spine = await open([gated])
    await inquire(spine)
    const second = await inquire(spine)
    const early = settled(spine, second.request)
    await new Promise((resolve) => setTimeout(resolve, 20))
    gate.resolve()
    const waiting = [{ agent: 'gated', why: 'behind its key' }]
    expect(await early).toMatchObject({ status: 'open', waiting })
    expect(await settled(spine, second.request)).toMatchObject({ status: 'open', waiting })
  })

  it('over a restart, as soon as the run stands where it stood; and is done once the absent one is back', async () => {
    const before = await open([asking])
    const { request } = await inquire(before)
    await settled(before, request)
    await before.close()
    const after = await world.open({ agents: [asking] })
    expect(await settled(after, request)).toMatchObject(onlyAbsent(['gone']))
    await after.close()
    const back = await world.open({ agents: [asking, Gone.handle(answering)] })
    expect(await settled(back, request)).toMatchObject({ status: 'done', waiting: [], absent: [] })
  })

  it('but not before a hosted branch has ended, though the caller waits for an absent one, too', async () => {
    const gate = deferred()
    let ended = false
    const slow = Slow.handle(async (_evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => null))
      await ctx.sleep(20)
      ended = true
      return { answer: 'late' }
    })
    const top = agent('top', { on: Inquiry }, async (_evt, ctx) => {
      await ctx.gather([ctx.call(Gone, question), ctx.call(Slow, question)])
    })
    const spine = await open([top, slow])
    const { request } = await inquire(spine)
    const found = settled(spine, request)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(ended).toBe(false)
    gate.resolve()
    expect(await found).toMatchObject(onlyAbsent(['gone']))
    expect(ended).toBe(true)
  })

  it('nor while a hosted agent works for the absent one', async () => {
    const gate = deferred()
    let asked = () => {}
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    const slow = Slow.handle(async (_evt, ctx) => {
      asked()
      await ctx.step('wait', () => gate.promise.then(() => null))
      return { answer: 'late' }
    })
    const calling = Gone.handle((_evt, ctx) => ctx.call(Slow, question))
    const before = await world.open({ agents: [asking, calling, slow] })
    const { request } = await inquire(before)
    await isAsked
    await before.close({ drain: 0 })
    const after = await world.open({ agents: [asking, slow] })
    let isTold = false
    const found = settled(after, request).finally(() => (isTold = true))
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(isTold).toBe(false)
    gate.resolve()
    expect(await found).toMatchObject({ ...onlyAbsent(['gone']), waiting: [{ agent: 'asking' }] })
  })

  it.each<readonly [string, () => Agents[number]]>([
    [
      'the time of a call',
      () =>
        agent('top', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
          await ctx.call(Gone, question, { within: 80 }).catch(() => undefined)
          ctx.emit(Booked, { service: 'late' })
        }),
    ],
    [
      'a sleep beside the call',
      () =>
        agent('top', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
          await Promise.race([ctx.call(Gone, question), ctx.sleep(80)])
          ctx.emit(Booked, { service: 'late' })
        }),
    ],
    [
      'the time of a wait beside the call',
      () =>
        agent('top', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
          await Promise.race([ctx.call(Gone, question), ctx.waitFor(Given, { within: 80 })])
          ctx.emit(Booked, { service: 'late' })
        }),
    ],
    [
      'the time of a gather',
      () =>
        agent('top', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
          await ctx.gather([ctx.call(Gone, question)], { within: 80 })
          ctx.emit(Booked, { service: 'late' })
        }),
    ],
    [
      'the next attempt',
      () => {
        let tries = 0
        const retry = { attempts: 3, backoff: '80ms..80ms' } as const
        return agent('top', { on: Inquiry, emits: [Booked], retry }, (_evt, ctx) => {
          if (++tries === 1) throw new Error('once')
          ctx.emit(Booked, { service: 'late' })
        })
      },
    ],
  ])('nor before %s is up', async (_what, waits) => {
    const spine = await open([waits()])
    const { request } = await inquire(spine)
    expect(await settled(spine, request)).toMatchObject({ status: 'done', absent: [] })
    expect((await world.records(spine)).filter(({ type }) => type === Booked.type)).toHaveLength(1)
  })

  it('nor before an event is due that a hosted agent is to be given', async () => {
    const seen: number[] = []
    const counter = agent('counter', { on: Numbered }, (evt) => void seen.push(evt.data.n))
    const delaying = agent('delaying', { on: Inquiry, emits: [Numbered] }, async (_evt, ctx) => {
      await ctx.publish(Numbered, { n: 1 }, { delay: 80 })
      await ctx.call(Gone, question)
    })
    const spine = await open([delaying, counter])
    const { request } = await inquire(spine)
    expect(await settled(spine, request)).toMatchObject(onlyAbsent(['gone']))
    expect(new Set(seen)).toEqual(new Set([1]))
  })

  it('nor before the deadline of the request', async () => {
    const spine = await open([asking])
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { deadline: new Date(Date.now() + 150) })
    expect(await settled(spine, request)).toMatchObject({ status: 'expired', absent: [], waiting: [] })
  })

  it('nor for one that waits for a person: its bound passes', async () => {
    const blocking = agent('blocking', { on: Numbered, onFailure: 'block', retry: quickly(1) }, async () => {
      throw new Error('poison')
    })
    const spine = await open([blocking])
    const options = { session: 's' }
    const first = await spine.publish(Numbered, { n: 1 }, options)
    await spine.settled(first.request)
    const second = await spine.publish(Numbered, { n: 2 }, options)
    const began = performance.now()
    const { waiting } = await spine.settled(second.request, { within: 120 })
    expect(performance.now() - began).toBeGreaterThan(100)
    expect(waiting).toMatchObject([{ why: 'key blocked' }])
  })
})
