/** Budgets with a crash at every append: nothing is spent twice without being charged, nothing beyond the limit starts. */
import { agent, type SpineError } from 'event-spine'
import { crashEverywhere, testSpine } from 'event-spine/testing'
import { expect, it } from 'vitest'
import { Answer, Inquiry, Question, quickly } from '../support/vocabulary.ts'

const cost = (usd: number) => ({ cost: { estimate: { usd }, actual: () => ({ usd: usd / 2 }) } })

it('peer bug 17: no duplicated cost: what a crash lost is charged once for each try that was started, and no more', async () => {
  const report = await crashEverywhere(async (open) => {
    let executed = 0
    const think = () => void executed++
    const callee = agent('callee', { input: Question, output: Answer, retry: quickly(2) }, async (evt, ctx) => {
      await ctx.step('answer', think, cost(0.2))
      await ctx.step('send', think, { ...cost(0.2), effect: true })
      return { answer: evt.data.question }
    })
    const caller = agent('caller', { on: Inquiry, retry: quickly(2) }, async (_evt, ctx) => {
      await ctx.call(callee, { question: 'q' }, { budget: { usd: 2 } })
      await Promise.all([1, 2, 3].map((n) => ctx.step(`part ${n}`, think, cost(0.4))))
      ctx.spend({ usd: 0.1 })
    })
    const spine = await open({ agents: [callee, caller] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { budget: { usd: 10 }, idempotencyKey: 'one' })
    await spine.idle()
    const { status, spent } = await spine.settled(request)
    const usd = spent['usd'] as number
    let [started, lost] = [0, 0]
    const open2 = new Set<number>()
    for await (const record of spine.log.read({ types: ['spine.step.started', 'spine.step.recorded'] })) {
      const { cost: reserved, reserved: of } = record.data as { cost?: { usd: number }; reserved?: number }
      if (reserved !== undefined) {
        started++
        open2.add(record.sequence)
      }
      if (of !== undefined) open2.delete(of)
    }
    lost = open2.size
    // Five steps at half of their estimates, one spend; each lost try in full.
    expect(usd).toBeGreaterThanOrEqual(0.9)
    expect(usd).toBeLessThanOrEqual(0.9 + lost * 0.4 + 1e-9)
    expect(started).toBe(5 + lost)
    expect(executed).toBeGreaterThanOrEqual(5)
    return status
  })
  expect(report.plays).toBeGreaterThan(8)
})

it('whatever crashes, no more starts than the limit carries, and a raise lets the rest go on', async () => {
  const report = await crashEverywhere(async (open) => {
    const worker = agent('worker', { on: Inquiry, retry: quickly(2) }, async (_evt, ctx) => {
      for (const n of [1, 2, 3, 4]) await ctx.step(`step ${n}`, () => n, { cost: { estimate: { usd: 1 } } })
    })
    const spine = await open({ agents: [worker] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { budget: { usd: 2 }, idempotencyKey: 'one' })
    await spine.idle()
    const { spent, waiting } = await spine.requests.get(request)
    expect(spent['usd']).toBeLessThanOrEqual(2)
    expect(waiting.map(({ why }) => why)).toEqual(['budget exhausted'])
    await spine.requests.raiseBudget(request, { usd: 10 })
    await spine.idle()
    const raised: number[] = []
    for await (const { sequence } of spine.log.read({ types: ['spine.budget.raised'] })) raised.push(sequence)
    expect(raised).toHaveLength(1)
    return (await spine.settled(request)).status
  })
  expect(report.plays).toBeGreaterThan(5)
})

it('a budget without a catch is caught as an error with its numbers, under replay at every await', async () => {
  const seen = new Set<string>()
  const worker = agent('worker', { on: Inquiry }, async (_evt, ctx) => {
    await ctx
      .step('dear', () => 1, { cost: { estimate: { usd: 3 } } })
      .catch((error: SpineError) => seen.add(JSON.stringify(error.value)))
    await ctx.sleep('1h')
  })
  const spine = await testSpine({ agents: [worker] })
  await spine.publish(Inquiry, { text: 'a' }, { budget: { usd: 2 } })
  await spine.advance('2h')
  expect([...seen]).toEqual([JSON.stringify({ unit: 'usd', limit: 2, spent: 0, wanted: 3 })])
  await spine.close()
})
