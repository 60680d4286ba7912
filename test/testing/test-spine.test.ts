import { agent, event, SpineError } from 'event-spine'
import { crashEverywhere, testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, Inquiry, Question, Requirements } from '../support/vocabulary.ts'

const model = {
  extract: (_text: string): { service: string; day: string } => {
    throw new Error('the model costs money')
  },
}
const inquiry = agent('inquiry', { on: Inquiry, emits: [Requirements] }, async (evt, ctx) => {
  const found = await ctx.step('extract', () => model.extract(evt.data.text))
  ctx.session.set({ service: found.service })
  ctx.emit(Requirements, found)
})

describe('testSpine', () => {
  it('runs agents with steps replaced by values and functions', async () => {
    const spine = await testSpine({ agents: [inquiry] })
    spine.step('inquiry/extract', { service: 'haircut', day: 'friday' })
    const { request, session } = await spine.publish(Inquiry, { text: 'a haircut on friday' })
    expect(await spine.settled(request)).toMatchObject({ status: 'done' })
    expect((await spine.events(Requirements)).map(({ data }) => data)).toEqual([{ service: 'haircut', day: 'friday' }])
    expect((await spine.sessions.get(session)).state).toEqual({ service: 'haircut' })
    spine.step('inquiry/extract', () => ({ service: 'taxi' }))
    await spine.publish(Inquiry, { text: 'a taxi' })
    await spine.idle()
    expect((await spine.events()).at(-1)).toMatchObject({ type: 'requirements.completed', data: { service: 'taxi' } })
    await spine.close()
  })

  it('replays every run at every await: what cannot be replayed pauses in the first test', async () => {
    let entered = 0
    const counting = agent('counting', { on: Inquiry }, async (_evt, ctx) => {
      entered++
      for (const name of ['one', 'two', 'three']) await ctx.step(name, () => null)
    })
    let outside = 0
    const fickle = agent('fickle', { on: Booked }, async (_evt, ctx) => {
      await ctx.step(`try ${outside++}`, () => null)
      await ctx.step('then', () => null)
    })
    const spine = await testSpine({ agents: [counting, fickle] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(entered).toBe(4)
    const { request: other } = await spine.publish(Booked, { service: 'a' })
    expect((await spine.settled(other, { within: '1s' })).waiting).toMatchObject([{ agent: 'fickle', why: 'paused' }])
    expect(spine.warnings.join('\n')).toContain("The journal goes on with 'try 0#0'")
    await spine.close()

    entered = 0
    const plain = await testSpine({ agents: [counting], replay: 'after-crash' })
    await plain.settled((await plain.publish(Inquiry, { text: 'a' })).request)
    expect(entered).toBe(1)
    await plain.close()
  })

  it('passes days in no time, and each thing at its own', async () => {
    const log: string[] = []
    const patient = agent('patient', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.sleep('3d')
      await ctx.step('note', () => void log.push(`woken at ${spine.now() - start}`))
      ctx.emit(Booked, { service: 'late' })
    })
    const spine = await testSpine({ agents: [patient] })
    const start = spine.now()
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect(await spine.settled(request)).toMatchObject({ status: 'open', waiting: [{ why: 'suspended' }] })
    expect(spine.now() - start).toBe(60_000)
    await spine.advance('2d')
    expect(log).toEqual([])
    await spine.advance('1d')
    expect(log).toEqual([`woken at ${3 * 86_400_000}`])
    expect(await spine.events(Booked)).toHaveLength(1)
    await spine.close()
  })

  it('waits through backoffs, and ends a wait when its bound has passed', async () => {
    let tries = 0
    const flaky = agent('flaky', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('ask', () => {
        if (++tries < 4) throw new Error('not yet')
        return null
      })
      ctx.emit(Booked, { service: 'at last' })
    })
    const spine = await testSpine({ agents: [flaky] })
    await spine.publish(Inquiry, { text: 'a' })
    expect(await spine.waitFor(Booked, { within: '1m' })).toMatchObject({ data: { service: 'at last' } })
    expect(tries).toBe(4)
    const before = spine.now()
    expect(await spine.waitFor(Booked, { within: '1m' })).toBeUndefined()
    expect(spine.now() - before).toBe(60_000)
    await spine.close()
  })

  it('mocks hosted agents and references', async () => {
    const expert = agent('expert', { input: Question, output: Answer })
    const asking = agent('asking', { on: Inquiry, emits: [Booked] }, async (evt, ctx) => {
      const { answer } = await ctx.call(expert, { question: evt.data.text })
      ctx.emit(Booked, { service: answer })
    })
    const spine = await testSpine({ agents: [asking] })
    spine.mock(expert, async (evt) => ({ answer: `about ${evt.data.question}` }))
    await spine.settled((await spine.publish(Inquiry, { text: 'cats' })).request)
    expect((await spine.events(Booked)).map(({ data }) => data.service)).toEqual(['about cats'])
    expect(await (await spine.start(expert, { question: 'dogs' })).result()).toEqual({ answer: 'about dogs' })
    spine.mock(asking, async (_evt, ctx) => ctx.emit(Booked, { service: 'mocked' }))
    await spine.settled((await spine.publish(Inquiry, { text: 'cats' })).request)
    expect((await spine.events(Booked)).at(-1)?.data.service).toBe('mocked')
    await spine.close()
  })

  it('crashAt loses the result of a step; the effect runs again with its key and maybeDone', async () => {
    const calls: string[] = []
    const booking = agent('booking', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('look', () => void calls.push('look'))
      await ctx.step('book', (step) => void calls.push(`book ${step.idempotencyKey.slice(-14)} ${step.maybeDone}`), {
        effect: true,
      })
      ctx.emit(Booked, { service: 'done' })
    })
    const spine = await testSpine({ agents: [booking] })
    spine.crashAt('booking/book')
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(spine.crashes).toBe(1)
    expect(calls).toEqual(['look', 'book booking/book#0 false', 'book booking/book#0 true'])
    await spine.crash()
    expect(await spine.events(Booked)).toHaveLength(1)
    await spine.close()
  })

  it('has the same ids for the same seed', async () => {
    const ids = async (seed: string) => {
      const spine = await testSpine({ agents: [], seed })
      const published = await spine.publish(Inquiry, { text: 'a' })
      await spine.close()
      return published.request
    }
    expect(await ids('a')).toBe(await ids('a'))
    expect(await ids('a')).not.toBe(await ids('b'))
  })
})

describe('crashEverywhere', () => {
  const scheduling = (booked: Map<string, string>) =>
    agent('scheduling', { on: Requirements, emits: [Booked] }, async (evt, ctx) => {
      await ctx.step('book', ({ idempotencyKey }) => void booked.set(idempotencyKey, evt.data.service), {
        effect: true,
      })
      ctx.emit(Booked, { service: evt.data.service })
    })

  it('ends the same, whatever append the process dies at', async () => {
    const report = await crashEverywhere(async (open) => {
      const booked = new Map<string, string>()
      const spine = await open({ agents: [inquiry, scheduling(booked)] })
      spine.step('inquiry/extract', { service: 'haircut', day: 'friday' })
      const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
      const { status } = await spine.settled(request)
      return { status, booked: [...booked.values()], events: (await spine.events()).length }
    })
    // Claim, publish, step, end, start of the effect, its outcome, end.
    expect(report.appends).toBeGreaterThanOrEqual(7)
    expect(report.plays).toBe(2 * report.appends)
  })

  it('finds what a crash changes: an effect without its key', async () => {
    const failing = crashEverywhere(async (open) => {
      const sent: string[] = []
      const mailing = agent('mailing', { on: Inquiry }, async (evt, ctx) => {
        await ctx.step('send', () => void sent.push(evt.data.text), { effect: true })
      })
      const spine = await open({ agents: [mailing] })
      await spine.settled((await spine.publish(Inquiry, { text: 'hello' })).request)
      return sent
    })
    await expect(failing).rejects.toSatisfy((error) => SpineError.is(error, 'SPINE_CRASH_DIFFERS'))
  })

  it('goes through calls, sleeps, retries and dead letters', async () => {
    const Tick = event('tick.counted', z.object({ n: z.number() }))
    const { plays } = await crashEverywhere(async (open) => {
      const expert = agent('expert', { input: Question, output: Answer }, async (evt, ctx) => {
        await ctx.sleep('1h')
        return { answer: evt.data.question.toUpperCase() }
      })
      let tries = 0
      const asking = agent('asking', { on: Tick, emits: [Booked], retry: { attempts: 2 } }, async (evt, ctx) => {
        if (evt.data.n === 2) throw new Error('never')
        const [left, right] = await Promise.all([
          ctx.call(expert, { question: 'a' }),
          ctx.call(expert, { question: 'b' }),
        ])
        await ctx.step('flaky', () => {
          if (tries++ === 0) throw new Error('once')
          return null
        })
        ctx.emit(Booked, { service: left.answer + right.answer })
      })
      const spine = await open({ agents: [expert, asking] })
      const one = await spine.publish(Tick, { n: 1 })
      const two = await spine.publish(Tick, { n: 2 })
      await spine.advance('2h')
      return [(await spine.settled(one.request)).status, (await spine.settled(two.request)).status]
    })
    expect(plays).toBeGreaterThan(20)
  })
})
