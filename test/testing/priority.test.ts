/** Preemption at every step boundary, under storms, and with a crash at every append. */
import { agent, type Priority } from 'event-spine'
import { crashEverywhere, testSpine, type TestSpine } from 'event-spine/testing'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Booked, Numbered, quickly } from '../support/vocabulary.ts'

const STEPS = 4
const PRIORITIES: readonly Priority[] = ['critical', 'high', 'normal', 'low', 'background']

const stopped = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason))
  })

/** A run of several steps that stands still in one of them, until the urgent work that comes meanwhile makes it stop. */
function working(standAt: number, then: 'resume' | 'restart' = 'resume') {
  const executed: string[] = []
  let isUrgentDone = false
  let urgent: Promise<unknown> | undefined
  const spine: { publishUrgent: () => Promise<unknown> } = { publishUrgent: () => Promise.resolve() }
  const worker = agent(
    'worker',
    { on: Numbered, emits: [Booked], concurrency: 1, retry: quickly(2), preempt: { then } },
    async (evt, ctx) => {
      const { n } = evt.data
      const results: number[] = []
      for (let index = 0; index < STEPS; index++) {
        results.push(
          await ctx.step(`step ${index}`, async ({ signal }) => {
            if (n === 0 && index === standAt && !isUrgentDone) {
              urgent ??= spine.publishUrgent()
              await stopped(signal)
            }
            executed.push(`${n} step ${index}`)
            if (n === 1 && index === STEPS - 1) isUrgentDone = true
            return index
          }),
        )
      }
      ctx.emit(Booked, { service: `${n}: ${results.join(' ')} in attempt ${ctx.attempt}` })
    },
  )
  const play = async (on: TestSpine) => {
    spine.publishUrgent = () =>
      on.publish(Numbered, { n: 1 }, { session: 'b', priority: 'critical', idempotencyKey: 'urgent' })
    await on.publish(Numbered, { n: 0 }, { session: 'a', priority: 'low' })
    await on.idle()
    await urgent
    await on.idle()
    return (await on.events(Booked)).map(({ data }) => data.service).sort()
  }
  return { worker, executed, play }
}

const DONE = ['0: 0 1 2 3 in attempt 1', '1: 0 1 2 3 in attempt 1']

describe('preemption', () => {
  for (let boundary = 0; boundary < STEPS; boundary++) {
    it(`at step ${boundary}: nothing recorded is repeated, nothing is skipped, no attempt is lost`, async () => {
      const { worker, executed, play } = working(boundary)
      const spine = await testSpine({ agents: [worker] })
      expect(await play(spine)).toEqual(DONE)
      expect(executed.filter((line) => line.startsWith('0'))).toEqual(
        Array.from({ length: STEPS }, (_, index) => `0 step ${index}`),
      )
      const order = executed.map((line) => line[0]).join('')
      expect(order).toBe(`${'0'.repeat(boundary)}1111${'0'.repeat(STEPS - boundary)}`)
      await spine.close()
    })

    for (const then of ['resume', 'restart'] as const) {
      it(`at step ${boundary}, with a crash at every append, '${then}' comes to the same end`, async () => {
        const report = await crashEverywhere(async (open) => {
          const { worker, play } = working(boundary, then)
          const booked = await play(await open({ agents: [worker] }))
          return booked.map((line) => line.split(' in ')[0])
        })
        expect(report.plays).toBeGreaterThan(12)
      })
    }
  }

  it('peer bug 17: three quick preemptions end without livelock, and no recorded step is paid twice', async () => {
    const paid: string[] = []
    let stood = 0
    let publish: (n: number) => void = () => {}
    const worker = agent('worker', { on: Numbered, emits: [Booked], concurrency: 1 }, async (evt, ctx) => {
      const { n } = evt.data
      await ctx.step('cheap', () => void paid.push(`${n} cheap`))
      await ctx.step('dear', async ({ signal }) => {
        if (n === 0 && stood < 3) {
          publish(++stood)
          await stopped(signal)
        }
        paid.push(`${n} dear`)
      })
      ctx.emit(Booked, { service: `${n}` })
    })
    const spine = await testSpine({ agents: [worker] })
    publish = (n) => void spine.publish(Numbered, { n }, { session: `s${n}`, priority: 'critical' })
    const low = await spine.publish(Numbered, { n: 0 }, { session: 'a', priority: 'background' })
    expect((await spine.settled(low.request)).status).toBe('done')
    await spine.idle()
    expect(stood).toBe(3)
    expect(paid.filter((line) => line.startsWith('0'))).toEqual(['0 cheap', '0 dear'])
    expect((await spine.events(Booked)).map(({ data }) => data.service)).toHaveLength(4)
    await spine.close()
  })
})

describe('storms', () => {
  it('everything ends once, in any storm of classes; nobody makes room more than three times', async () => {
    const storm = fc.array(fc.tuple(fc.constantFrom(...PRIORITIES), fc.nat(2)), { minLength: 3, maxLength: 24 })
    await fc.assert(
      fc.asyncProperty(storm, fc.constantFrom(1, 2), async (messages, concurrency) => {
        const worker = agent('worker', { on: Numbered, emits: [Booked], concurrency }, async (evt, ctx) => {
          await ctx.step('one', () => null)
          await ctx.sleep(1)
          await ctx.step('two', () => new Promise((resolve) => setImmediate(resolve)))
          ctx.emit(Booked, { service: `${evt.data.n}` })
        })
        const spine = await testSpine({ agents: [worker] })
        await Promise.all(
          messages.map(([priority, session], n) =>
            spine.publish(Numbered, { n }, { priority, session: `s${session}` }),
          ),
        )
        await spine.idle()
        await spine.advance('1m')
        const booked = (await spine.events(Booked)).map(({ data }) => Number(data.service))
        expect(booked.sort((left, right) => left - right)).toEqual(messages.map((_, n) => n))
        const times = new Map<number, number>()
        for await (const { cause } of spine.log.read({ types: ['spine.delivery.preempted'] }))
          times.set(cause, (times.get(cause) ?? 0) + 1)
        expect(Math.max(0, ...times.values())).toBeLessThanOrEqual(3)
        await spine.close()
      }),
      { numRuns: 25 },
    )
  })

  it('whatever waits starts within 16 starts for each that is older', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...PRIORITIES), { minLength: 20, maxLength: 60 }), async (classes) => {
        const starts: number[] = []
        const worker = agent('worker', { on: Numbered, concurrency: 1, preempt: { at: 'never' } }, async (evt, ctx) => {
          await ctx.step('start', () => void starts.push(evt.data.n))
        })
        const spine = await testSpine({ agents: [worker], replay: 'after-crash' })
        await spine.agents.pause('worker')
        await Promise.all(classes.map((priority, n) => spine.publish(Numbered, { n }, { priority, session: `s${n}` })))
        await spine.agents.resume('worker')
        await spine.idle()
        expect(starts).toHaveLength(classes.length)
        for (const n of classes.keys()) expect(starts.indexOf(n)).toBeLessThan(16 * (n + 1))
        await spine.close()
      }),
      { numRuns: 20 },
    )
  })
})
