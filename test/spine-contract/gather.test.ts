import { agent, type LogRecord, quorum, SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, deferred, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine, type World } from '../support/world.ts'

const Worker = agent('worker', { input: Question, output: Answer, retry: quickly(1) })

/** Replies with the question; 'fail' fails, 'hang' waits for the signal. */
const worker = Worker.handle(async (evt, ctx) => {
  const { question } = evt.data
  if (question.startsWith('fail')) throw new Error(`no answer to ${question}`)
  if (question.startsWith('hang')) await ctx.sleep('1h')
  if (question.startsWith('slow')) await ctx.sleep(40)
  return { answer: question }
})

const missingOf = (missing: readonly { branch: string | number; reason: string; error?: Error }[]) =>
  missing.map(({ branch, reason, error }) => `${branch} ${reason}${error === undefined ? '' : `: ${error.message}`}`)

/** Runs one handler over one event, and gives what it left behind. */
async function once<Left>(
  world: World,
  handle: (ctx: Parameters<Parameters<typeof Collector.handle>[0]>[1], left: (what: Left) => void) => Promise<void>,
) {
  let found: { readonly left: Left } | undefined
  const collector = Collector.handle((_evt, ctx) => handle(ctx, (left) => void (found = { left })))
  const spine = await world.open({ agents: [collector, worker] })
  const { request } = await spine.publish(Numbered, { n: 1 })
  const settled = await spine.settled(request, { within: '10s' })
  const records = (await world.records(spine)).filter((record) => record.request === request)
  return { spine, request, settled, left: found?.left as Left, records }
}

const Collector = agent('collector', { on: Numbered, emits: [Numbered], retry: quickly(3) })
const typesOf = (records: readonly LogRecord[]) => records.map(({ type }) => type)
const openings = (records: readonly LogRecord[]) => records.filter(({ type }) => type === 'spine.gather.opened')

describeOnEachEngine('gather all', (world) => {
  it('gives the values by key, and in order of an array, of calls, steps and functions', async () => {
    const { left, settled } = await once<unknown[]>(world, async (ctx, left) => {
      const byKey = await ctx.gather({
        called: ctx.call(Worker, { question: 'one' }),
        stepped: ctx.step('two', () => 2),
        made: async (scope) => (await scope.call(Worker, { question: 'three' })).answer,
      })
      const inOrder = await ctx.gather([ctx.step('four', () => 4), ctx.call(Worker, { question: 'five' })])
      left([byKey, inOrder, await ctx.gather({}), await ctx.gather([])])
    })
    expect(settled.status).toBe('done')
    expect(left).toEqual([{ called: { answer: 'one' }, stepped: 2, made: 'three' }, [4, { answer: 'five' }], {}, []])
  })

  it("rejects with the branch's error, and cancels the calls that are still open", async () => {
    const { left, settled, records } = await once<string>(world, async (ctx, left) => {
      try {
        await ctx.gather({ bad: ctx.call(Worker, { question: 'fail' }), slow: ctx.call(Worker, { question: 'hang' }) })
      } catch (error) {
        left((error as Error).message)
        await ctx.sleep(20)
      }
    })
    expect(settled.deadLetters).toEqual([expect.stringContaining('/worker')])
    expect(left).toContain('no answer to fail')
    const cancelled = records.filter(({ type }) => type === 'spine.delivery.cancelled')
    expect(cancelled.map(({ agent, data }) => [agent, data])).toEqual([
      ['worker', { why: expect.stringMatching(/^late for @gather#0 of \d+\/collector$/) }],
    ])
  })

  it('writes one opening and no record for firing', async () => {
    const { records } = await once<null>(world, async (ctx) => {
      await ctx.gather([ctx.call(Worker, { question: 'a' }), ctx.call(Worker, { question: 'b' })])
    })
    expect(typesOf(records).filter((type) => type !== 'spine.delivery.completed')).toEqual([
      'number.drawn',
      'spine.call.requested',
      'spine.call.requested',
      'spine.gather.opened',
    ])
    expect(openings(records)[0]?.data).toMatchObject({
      command: '@gather#0',
      branches: ['@call worker#0', '@call worker#1'],
      until: 'all',
    })
  })
})

describeOnEachEngine('gather in the forms that never reject', (world) => {
  it("'settled' waits for all, and says which failed", async () => {
    const { left } = await once<unknown>(world, async (ctx, left) => {
      const { values, missing, reached } = await ctx.gather(
        { good: ctx.call(Worker, { question: 'a' }), bad: ctx.call(Worker, { question: 'fail' }) },
        { until: 'settled' },
      )
      left({ values, reached, missing: missingOf(missing) })
    })
    expect(left).toEqual({
      values: { good: { answer: 'a' } },
      reached: true,
      missing: [expect.stringMatching(/^bad failed: .*no answer to fail/)],
    })
  })

  it("'first' takes the first success, and cancels the rest", async () => {
    const { left, settled, records } = await once<unknown>(world, async (ctx, left) => {
      const result = await ctx.gather(
        [
          ctx.call(Worker, { question: 'hang' }),
          ctx.call(Worker, { question: 'fail' }),
          ctx.call(Worker, { question: 'slow' }),
        ],
        { until: 'first' },
      )
      left({ ...result, missing: missingOf(result.missing) })
    })
    expect(left).toEqual({
      values: [{ answer: 'slow' }],
      reached: true,
      missing: ['0 cancelled', expect.stringMatching(/^1 failed/)],
    })
    expect(settled.deadLetters).toEqual([expect.stringContaining('/worker')])
    expect(openings(records)[0]?.data).toMatchObject({ until: { quorum: 1 } })
  })

  it('a quorum counts successes, and gives up as soon as it is out of reach', async () => {
    const { left } = await once<unknown[]>(world, async (ctx, left) => {
      const two = await ctx.gather(
        ['fail', 'a', 'b'].map((question) => ctx.call(Worker, { question })),
        { until: quorum(2) },
      )
      const never = await ctx.gather(
        ['fail 1', 'fail 2', 'hang'].map((question) => ctx.call(Worker, { question })),
        { until: quorum(2) },
      )
      left([two.values, two.reached, never.values, never.reached, never.missing.map(({ reason }) => reason)])
    })
    expect(left).toEqual([[{ answer: 'a' }, { answer: 'b' }], true, [], false, ['failed', 'failed', 'cancelled']])
  })

  it('within: goes on with what is there when the time has come', async () => {
    const { left, settled, records } = await once<unknown>(world, async (ctx, left) => {
      const result = await ctx.gather(
        { quick: ctx.call(Worker, { question: 'a' }), slow: ctx.call(Worker, { question: 'hang' }) },
        { within: 60, atLeast: 1 },
      )
      left(result)
    })
    expect(left).toEqual({
      values: { quick: { answer: 'a' } },
      missing: [{ branch: 'slow', reason: 'late' }],
      reached: true,
    })
    expect(settled.status).toBe('done')
    expect(typesOf(records)).toContain('spine.timer.fired')
    expect(openings(records)[0]?.data).toMatchObject({ atLeast: 1, due: expect.any(Number) })
  })
})

void [SpineError, deferred]
