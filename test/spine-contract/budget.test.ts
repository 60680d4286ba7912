/** Budgets: what requests may spend, on every engine and replayed at every await. */
import { agent, type Amounts, type Spine, SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const recordsOf = async (spine: Spine, type: string) => {
  const found = []
  for await (const { data } of spine.log.read({ types: [type] })) found.push(data)
  return found
}
const cost = (usd: number, actual?: number) => ({
  cost: actual === undefined ? { estimate: { usd } } : { estimate: { usd }, actual: () => ({ usd: actual }) },
})
const code = (error: unknown) => (error as SpineError).code

describeOnEachEngine('budget', (world) => {
  it('reserves the estimate, charges what it was, and tells what was spent', async () => {
    const left: Amounts[] = []
    const worker = agent('worker', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('think', () => 1, cost(0.4, 0.1))
      const remaining = await ctx.budget.remaining()
      if (left.length === 0) left.push(remaining)
      await ctx.step('counted', () => 2, { cost: { estimate: { tokens: 50 } } })
      ctx.spend({ usd: 0.2 })
      ctx.emit(Booked, { service: JSON.stringify(remaining) })
    })
    const spine = await world.open({ agents: [worker] })
    const { request } = await spine.publish(Numbered, { n: 0 }, { budget: { usd: 1 } })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', spent: { tokens: 50, usd: 0.3 } })
    expect(left).toEqual([{ usd: 0.9 }])
    expect((await spine.requests.get(request)).spent).toEqual({ tokens: 50, usd: 0.3 })
    const free = await spine.publish(Numbered, { n: 1 })
    expect((await spine.settled(free.request)).spent).toEqual({ tokens: 50, usd: 0.3 })
    await spine.close()
    const again = await world.open({ agents: [worker] })
    expect((await again.settled(request)).spent).toEqual({ tokens: 50, usd: 0.3 })
  })

  it('rejects what the budget cannot carry, in a way that a handler can catch', async () => {
    let told: unknown
    const worker = agent('worker', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('cheap', () => 1, cost(0.6))
      const how = await ctx
        .step('dear', () => 'dear', cost(0.5))
        .catch((error: unknown) => {
          told = error
          return code(error)
        })
      ctx.emit(Booked, { service: how })
    })
    const spine = await world.open({ agents: [worker] })
    const { request } = await spine.publish(Numbered, { n: 0 }, { budget: { usd: 1 } })
    expect((await spine.settled(request)).spent).toEqual({ usd: 0.6 })
    expect(SpineError.is(told, 'SPINE_BUDGET_EXHAUSTED')).toBe(true)
    expect((told as SpineError).value).toEqual({ unit: 'usd', limit: 1, spent: 0.6, wanted: 0.5 })
    expect((await spine.waitFor(Booked, { request, within: '1s' }))?.data.service).toBe('SPINE_BUDGET_EXHAUSTED')
    expect(await recordsOf(spine, 'spine.budget.exhausted')).toEqual([
      { unit: 'usd', limit: 1, spent: 0.6, wanted: 0.5, command: 'dear#0' },
    ])
  })

  it('pauses a run that does not catch it, also over a restart, until somebody raises the budget', async () => {
    const ran: string[] = []
    const worker = agent('worker', { on: Numbered, retry: quickly(2) }, async (_evt, ctx) => {
      await ctx.step('first', () => void ran.push('first'), cost(0.6))
      await ctx.step('second', () => void ran.push('second'), cost(0.6))
    })
    const one = await world.open({ agents: [worker] })
    const { request } = await one.publish(Numbered, { n: 0 }, { budget: { usd: 1 } })
    await expect.poll(async () => (await one.requests.get(request)).waiting[0]?.why).toBe('budget exhausted')
    expect(await recordsOf(one, 'spine.delivery.paused')).toMatchObject([{ why: 'budget', failed: 'second#0' }])
    await one.close()
    const two = await world.open({ agents: [worker] })
    expect((await two.requests.get(request)).waiting[0]?.why).toBe('budget exhausted')
    await two.requests.raiseBudget(request, { usd: 0.1 })
    await expect.poll(async () => recordsOf(two, 'spine.delivery.paused')).toHaveLength(2)
    await two.requests.raiseBudget(request, { usd: 0.1 }, 'worth it')
    expect(await two.settled(request)).toMatchObject({ status: 'done', spent: { usd: 1.2 } })
    expect(ran).toEqual(['first', 'second'])
    expect(await recordsOf(two, 'spine.budget.raised')).toEqual([
      { amounts: { usd: 0.1 } },
      { amounts: { usd: 0.1 }, why: 'worth it' },
    ])
  })

  it('is raised once by a key, however often it is asked for, also after a restart', async () => {
    const worker = agent('worker', { on: Numbered }, async (_evt, ctx) => {
      await ctx.step('paid', () => 1, cost(1.5))
    })
    const one = await world.open({ agents: [worker] })
    const { request } = await one.publish(Numbered, { n: 0 }, { budget: { usd: 1 } })
    const other = await one.publish(Numbered, { n: 1 }, { budget: { usd: 1 } })
    await expect.poll(async () => (await one.requests.get(request)).waiting[0]?.why).toBe('budget exhausted')
    const key = { idempotencyKey: 'payment 7' }
    await Promise.all([1, 2, 3].map(() => one.requests.raiseBudget(request, { usd: 0.4, tokens: 5 }, 'worth it', key)))
    await one.close()
    const two = await world.open({ agents: [worker] })
    await two.requests.raiseBudget(request, { tokens: 5, usd: 0.4 }, 'worth it, as was said', key)
    const reused = two.requests.raiseBudget(request, { usd: 0.5 }, 'worth it', key)
    await expect(reused).rejects.toMatchObject({ code: 'SPINE_KEY_REUSED', value: 'payment 7' })
    await two.requests.raiseBudget(other.request, { usd: 0.5 }, 'a key is of one request', key)
    expect((await two.settled(other.request)).status).toBe('done')
    const raised = [
      { amounts: { tokens: 5, usd: 0.4 }, why: 'worth it' },
      { amounts: { usd: 0.5 }, why: 'a key is of one request' },
    ]
    expect(await recordsOf(two, 'spine.budget.raised')).toEqual(raised)
    await expect(two.requests.raiseBudget(request, { usd: 1 }, '', { idempotencyKey: '' })).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
    })
    await expect(two.requests.raiseBudget(request, { usd: 1 }, '', { key: 'a' } as never)).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
    })
    expect((await two.requests.get(request)).waiting[0]?.why).toBe('budget exhausted')
  })

  it('a hundred parallel steps never spend more than the limit', async () => {
    let ran = 0
    const worker = agent('worker', { on: Inquiry, emits: [Numbered] }, async (_evt, ctx) => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 100 }, (_, n) => ctx.step(`branch ${n}`, () => void ran++, cost(0.1))),
      )
      ctx.emit(Numbered, { n: outcomes.filter(({ status }) => status === 'fulfilled').length })
    })
    const spine = await world.open({ agents: [worker] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { budget: { usd: 1 } })
    expect((await spine.settled(request)).spent).toEqual({ usd: 1 })
    expect(ran).toBe(10)
    expect((await spine.waitFor(Numbered, { request, within: '1s' }))?.data.n).toBe(10)
  })

  it('a call takes a part of the budget along, and what is left returns', async () => {
    const seen: Amounts[] = []
    const callee = agent('callee', { input: Question, output: Answer, retry: quickly(1) }, async (evt, ctx) => {
      const before = await ctx.budget.remaining()
      await ctx.step('answer', () => 1, cost(0.2))
      const more = await ctx.step('more', () => 'more', cost(0.2)).catch(code)
      return { answer: `${evt.data.question} ${before['usd']} ${more}` }
    })
    const caller = agent('caller', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const asked = ctx.call(callee, { question: 'q' }, { budget: { usd: 0.3 } })
      const tooMuch = await ctx.call(callee, { question: 'q' }, { budget: { usd: 0.9 } }).catch(code)
      const { answer } = await asked
      const left = await ctx.budget.remaining()
      if (seen.length === 0) seen.push(left)
      ctx.emit(Booked, { service: `${answer}, ${String(tooMuch)}` })
    })
    const spine = await world.open({ agents: [callee, caller] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { budget: { usd: 1 } })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', spent: { usd: 0.2 } })
    expect((await spine.waitFor(Booked, { request, within: '1s' }))?.data.service).toBe(
      'q 0.3 SPINE_BUDGET_EXHAUSTED, SPINE_BUDGET_EXHAUSTED',
    )
    expect(seen).toEqual([{ usd: 0.8 }])
  })

  it('tells once per unit that most of it is spent', async () => {
    const worker = agent('worker', { on: Numbered }, async (_evt, ctx) => {
      for (let n = 0; n < 10; n++) await ctx.step('step', () => n, cost(0.1))
    })
    const spine = await world.open({ agents: [worker] })
    const { request } = await spine.publish(Numbered, { n: 0 }, { budget: { usd: 1 } })
    expect((await spine.settled(request)).status).toBe('done')
    expect(await recordsOf(spine, 'spine.budget.low')).toEqual([{ unit: 'usd', limit: 1, spent: 0.8 }])
  })

  it('every try is charged, of a step and of an attempt; a recorded step is not charged again', async () => {
    let tries = 0
    const worker = agent('worker', { on: Numbered, retry: quickly(3) }, async (_evt, ctx) => {
      await ctx.step('recorded', () => 1, cost(1))
      await ctx.step(
        'flaky',
        () => {
          if (++tries < 4) throw new Error('flaky')
        },
        { ...cost(0.1), retry: { attempts: 2, backoff: '1ms' } },
      )
    })
    const spine = await world.open({ agents: [worker] })
    const { request } = await spine.publish(Numbered, { n: 0 })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', spent: { usd: 1.4 } })
    expect(tries).toBe(4)
  })

  it('a redriven dead letter, and an answer to a request at rest, spend from what is left', async () => {
    let isMended = false
    const worker = agent('worker', { on: Numbered, retry: quickly(1), emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('think', () => 1, cost(0.4))
      if (!isMended) throw new Error('broken')
      ctx.emit(Booked, { service: JSON.stringify(await ctx.budget.remaining()) })
    })
    const spine = await world.open({ agents: [worker] })
    const { request, sequence } = await spine.publish(Numbered, { n: 0 }, { budget: { usd: 1 } })
    const { deadLetters } = await spine.settled(request)
    isMended = true
    await spine.deadLetters.redrive(deadLetters[0] as string)
    expect(await spine.settled(request)).toMatchObject({ status: 'done', spent: { usd: 0.4 } })
    await spine.publish(Numbered, { n: 1 }, { cause: sequence })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', spent: { usd: 0.8 } })
    await spine.publish(Numbered, { n: 2 }, { cause: sequence })
    await expect.poll(async () => (await spine.requests.get(request)).waiting[0]?.why).toBe('budget exhausted')
    const services = []
    for await (const { data } of spine.log.read({ types: [Booked.type] })) services.push(data)
    expect(services).toEqual([{ service: '{"usd":0.6}' }, { service: '{"usd":0.2}' }])
  })

  it('refuses what is no amount, with a code and before anything is on the log', async () => {
    const failures: string[] = []
    const worker = agent('worker', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
      const bad: unknown[] = [
        {},
        { usd: -1 },
        { usd: Number.NaN },
        { '': 1 },
        { usd: Number.POSITIVE_INFINITY },
        3,
        null,
      ]
      const found: string[] = []
      for (const [index, estimate] of bad.entries())
        await ctx
          .step(`bad ${index}`, () => 1, { cost: { estimate: estimate as Amounts } })
          .catch((error: unknown) => found.push(code(error)))
      try {
        ctx.spend({ usd: -1 })
      } catch (error) {
        found.push(code(error))
      }
      if (failures.length === 0) failures.push(...found)
      await ctx.step('thrown', () => 1, {
        cost: {
          estimate: { usd: 0.1 },
          actual: () => {
            throw new Error('no price')
          },
        },
      })
      await ctx.step('nonsense', () => 1, { cost: { estimate: { usd: 0.1 }, actual: () => ({ usd: -5 }) } })
    })
    const spine = await world.open({ agents: [worker] })
    const at = (await spine.publish(Numbered, { n: 0 })).sequence
    const units = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`unit ${n}`, 1]))
    for (const budget of [{}, { usd: -1 }, { usd: Number.NaN }, { '': 1 }, units])
      await expect(spine.publish(Inquiry, { text: 'a' }, { budget })).rejects.toMatchObject({
        code: 'SPINE_BUDGET_INVALID',
      })
    await expect(spine.publish(Inquiry, { text: 'a' }, { cause: at, budget: { usd: 1 } })).rejects.toMatchObject({
      code: 'SPINE_BUDGET_INVALID',
    })
    await expect(spine.requests.raiseBudget('nobody', { usd: 1 })).rejects.toMatchObject({
      code: 'SPINE_REQUEST_UNKNOWN',
    })
    const { request, sequence } = await spine.publish(Inquiry, { text: 'a' })
    expect(sequence).toBe(at + 1)
    await expect(spine.requests.raiseBudget(request, { usd: -1 })).rejects.toMatchObject({
      code: 'SPINE_BUDGET_INVALID',
    })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', spent: { usd: 0.2 } })
    expect(failures).toEqual(Array.from({ length: 8 }, () => 'SPINE_BUDGET_INVALID'))
    const recorded = await recordsOf(spine, 'spine.step.recorded')
    const unmeasured = recorded.map((data) => (data as { unmeasured?: { message: string } }).unmeasured?.message)
    expect(unmeasured.filter((message) => message !== undefined)).toEqual(['no price', expect.stringContaining('-5')])
  })

  it('peer bug 18: branches of one budget never overspend it by more than one reservation, however many processes of it there were', async () => {
    let ran = 0
    const gate = deferred()
    const worker = (holds: boolean) =>
      agent('worker', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
        await Promise.allSettled(
          Array.from({ length: 20 }, (_, n) =>
            ctx.step(
              `branch ${n}`,
              async () => {
                ran++
                if (holds) await gate.promise
              },
              cost(0.25),
            ),
          ),
        )
      })
    const one = await world.open({ agents: [worker(true)] })
    const { request } = await one.publish(Inquiry, { text: 'a' }, { budget: { usd: 2 } })
    await expect.poll(() => ran).toBe(8)
    await one.close({ drain: 0 })
    gate.resolve()
    const two = await world.open({ agents: [worker(false)] })
    // What the first process reserved is charged in full: nothing is left for the tries of the second.
    expect(await two.settled(request)).toMatchObject({ status: 'done', spent: { usd: 2 } })
    expect(ran).toBe(8)
  })
})
