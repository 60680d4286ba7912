import { agent } from 'event-spine'
import { expect, it } from 'vitest'
import { Collector, once, typesOf, Worker, worker } from '../support/gathering.ts'
import { deferred, Numbered } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('what comes too late', (world) => {
  const two = (onLate: 'cancel' | 'finish') =>
    once<unknown>(world, async (ctx, left) => {
      const slow = ctx.call(Worker, { question: 'slow' })
      const result = await ctx.gather({ quick: ctx.call(Worker, { question: 'a' }), slow }, { until: 'first', onLate })
      left(result)
    })

  it("onLate 'finish': the call outlives the run, and its end is on the log", async () => {
    const { left, settled, records } = await two('finish')
    expect(settled.status).toBe('done')
    expect(left).toEqual({
      values: { quick: { answer: 'a' } },
      missing: [{ branch: 'slow', reason: 'late' }],
      reached: true,
    })
    const ends = records.filter(({ type }) => type === 'spine.delivery.completed')
    expect(ends.map(({ agent, data }) => [agent, data])).toEqual([
      ['worker', { reply: { answer: 'a' } }],
      ['collector', {}],
      ['worker', { reply: { answer: 'slow' } }],
    ])
  })

  it("onLate 'cancel': the call is cancelled, or ends with the run, and nobody replies", async () => {
    const { left, records } = await two('cancel')
    expect(left).toMatchObject({ missing: [{ branch: 'slow', reason: 'cancelled' }] })
    const ends = records.filter(({ type }) => type === 'spine.delivery.completed')
    expect(ends.map(({ agent }) => agent)).toEqual(['worker', 'collector'])
  })

  it('a late result that still arrives is recorded, and not counted', async () => {
    const { left, records } = await once<unknown>(world, async (ctx, left) => {
      const slow = ctx.step('slow', () => new Promise<string>((resolve) => setTimeout(() => resolve('late'), 25)))
      const result = await ctx.gather({ slow, quick: ctx.sleep(5) }, { until: 'first' })
      left({ result, after: await slow })
    })
    expect(left).toEqual({
      result: { values: {}, missing: [{ branch: 'slow', reason: 'cancelled' }], reached: true },
      after: 'late',
    })
    expect(records.map(({ data }) => data)).toContainEqual({ command: 'slow#0', value: 'late' })
  })

  it('an effect that has started is finished first', async () => {
    const done: string[] = []
    const { settled } = await once<unknown>(world, async (ctx) => {
      const pay = ctx.step(
        'pay',
        async ({ signal }) => {
          await new Promise((resolve) => setTimeout(resolve, 25))
          done.push(`paid, ${signal.aborted}`)
        },
        { effect: true },
      )
      await ctx.gather([pay, ctx.sleep(5)], { until: 'first' })
    })
    expect([settled.status, done]).toEqual(['done', ['paid, false']])
  })
})

describeOnEachEngine('a function that waits for something of its own', (world) => {
  it('keeps its slot, as a handler does', async () => {
    let running = 0
    let most = 0
    const collector = agent('collector', { on: Numbered, order: 'none', concurrency: 1 }, async (_evt, ctx) => {
      await ctx.gather([
        async () => {
          most = Math.max(most, ++running)
          await new Promise((resolve) => setTimeout(resolve, 20))
          running--
        },
      ])
    })
    const spine = await world.open({ agents: [collector] })
    const published = await Promise.all([1, 2, 3].map((n) => spine.publish(Numbered, { n })))
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    // A handler that is run again from the top enters it again.
    if (!world.isReplayed) expect([running, most]).toEqual([0, 1])
  })

  it('is late when it ends too late: nothing of it is recorded', async () => {
    const { left, records } = await once<unknown>(world, async (ctx, left) => {
      const result = await ctx.gather(
        { own: () => new Promise((resolve) => setTimeout(() => resolve('own'), 20)), quick: ctx.sleep(5) },
        { until: 'first' },
      )
      await ctx.sleep(40)
      left(result.missing)
    })
    expect(left).toEqual([{ branch: 'own', reason: 'cancelled' }])
    expect(typesOf(records)).not.toContain('spine.step.recorded')
  })
})

describeOnEachEngine('a gather and a failed attempt', (world) => {
  it('a branch that failed is tried again, and what succeeded is kept', async () => {
    const ran: string[] = []
    const failing = (name: string, times: number) => () => {
      ran.push(name)
      if (ran.filter((each) => each === name).length <= times) throw new Error(`${name} failed`)
      return name
    }
    const { left, settled, records } = await once<unknown>(world, async (ctx, left) => {
      left(
        await ctx.gather({
          good: ctx.step('good', failing('good', 0)),
          bad: ctx.step('bad', failing('bad', 1)),
          made: (scope) => scope.step('bad', failing('made', 1)),
        }),
      )
    })
    expect([settled.status, left]).toEqual(['done', { good: 'good', bad: 'bad', made: 'made' }])
    expect(ran.sort()).toEqual(['bad', 'bad', 'good', 'made', 'made'])
    // The log names the branch, not the gather that rejected with it.
    const retried = records.filter(({ type }) => type === 'spine.delivery.retried')
    for (const { data } of retried) expect((data as { failed: string }).failed).toMatch(/^(bad#0|@gather#0\/made#0)$/)
  })

  it('one that was caught before a success is not', async () => {
    let attempts = 0
    const ran: string[] = []
    const { settled, left } = await once<unknown>(world, async (ctx, left) => {
      const { missing } = await ctx.gather(
        {
          bad: ctx.step('bad', () => {
            ran.push('bad')
            throw new Error('bad')
          }),
        },
        { until: 'settled' },
      )
      await ctx.step('after', () => void ran.push('after'))
      await ctx.step('flaky', () => {
        if (++attempts === 1) throw new Error('flaky')
      })
      left(missing.length)
    })
    expect([settled.status, left, ran]).toEqual(['done', 1, ['bad', 'after']])
  })

  it('an error that the handler takes from the result and throws is tried again', async () => {
    let tries = 0
    const { settled } = await once<unknown>(world, async (ctx) => {
      const { missing } = await ctx.gather(
        {
          bad: ctx.step('bad', () => {
            if (++tries === 1) throw new Error('bad')
          }),
        },
        { until: 'settled' },
      )
      await ctx.step('note', () => null)
      if (missing[0] !== undefined) throw missing[0].error
    })
    expect([settled.status, tries]).toEqual(['done', 2])
  })
})

describeOnEachEngine('a gather over a restart', (world) => {
  it('a handler that gathers something else under the same number is a mismatch', async () => {
    const gathering = (until: 'all' | 'settled') =>
      Collector.handle(async (_evt, ctx) => {
        await ctx.gather([ctx.call(Worker, { question: 'hang' })], { until })
      })
    const one = await world.open({ agents: [gathering('all'), worker] })
    const { request } = await one.publish(Numbered, { n: 1 })
    await until(async () => typesOf(await world.records(one)).includes('spine.timer.set'))
    await one.close()
    const two = await world.open({ agents: [gathering('settled'), worker] })
    await until(async () => typesOf(await world.records(two)).includes('spine.delivery.paused'))
    const { waiting } = await two.settled(request, { within: 20 })
    expect(waiting).toContainEqual(expect.objectContaining({ agent: 'collector', why: 'paused' }))
    expect(world.warnings.join('\n')).toContain('@gather#0 of [@call worker#0]')
  })

  it('its time goes on while nobody is there', async () => {
    const gate = deferred()
    const results: unknown[] = []
    const collector = Collector.handle(async (_evt, ctx) => {
      results.push(await ctx.gather([ctx.call(Worker, { question: 'hang' })], { within: 50 }))
      gate.resolve()
    })
    const one = await world.open({ agents: [collector, worker] })
    await one.publish(Numbered, { n: 1 })
    await until(async () => typesOf(await world.records(one)).includes('spine.timer.set'))
    await one.close()
    await new Promise((resolve) => setTimeout(resolve, 60))
    await world.open({ agents: [collector, worker] })
    await gate.promise
    expect(results).toEqual([{ values: [], missing: [{ branch: 0, reason: 'late' }], reached: false }])
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()) && turn < 1_000; turn++) await new Promise((resolve) => setTimeout(resolve, 2))
}
