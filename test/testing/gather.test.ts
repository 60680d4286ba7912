/** Gathers and the death of their process. */
import { agent, type LogRecord, quorum } from 'event-spine'
import { crashEverywhere, type TestSpine, testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { Answer, Booked, deferred, Numbered, Question, quickly } from '../support/vocabulary.ts'

const Worker = agent('worker', { input: Question, output: Answer, retry: quickly(1) })
const worker = Worker.handle(async (evt, ctx) => {
  const { question } = evt.data
  if (question === 'hang') await ctx.sleep('30d')
  if (question === 'slow') await ctx.sleep('1h')
  if (question === 'fail') throw new Error('no answer')
  return { answer: question }
})

async function records(spine: TestSpine): Promise<readonly LogRecord[]> {
  const all: LogRecord[] = []
  for await (const record of spine.log.read()) all.push(record)
  return all
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

describe('crashes anywhere', () => {
  it('all, settled, first, a quorum, nested, in functions: the same values, and nothing is left open', async () => {
    const { plays } = await crashEverywhere(async (open) => {
      const ran = { steps: 0 }
      const collector = agent('collector', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
        const ask = (question: string) => ctx.call(Worker, { question })
        const all = await ctx.gather({
          a: ask('a'),
          slow: ask('slow'),
          stepped: ctx.step('stepped', () => ++ran.steps && 1),
        })
        const first = await ctx.gather([ask('hang'), ask('b')], { until: 'first' })
        const two = await ctx.gather(
          { x: ask('fail'), y: ask('y'), z: ask('z'), hang: ask('hang') },
          { until: quorum(2) },
        )
        const timed = await ctx.gather(
          {
            made: async (scope) => {
              await scope.step('draft', () => 1)
              return (await scope.call(Worker, { question: 'made' })).answer
            },
            late: async (scope) => {
              await scope.call(Worker, { question: 'hang' })
              await scope.step('never', () => 1)
            },
            inner: ctx.gather([ask('c'), ask('hang')], { until: 'settled' }),
          },
          { within: '2h', atLeast: 1 },
        )
        const words = [all, first, two.values, two.reached, timed.values, timed.reached]
        const missing = [first, two, timed].flatMap((each) =>
          each.missing.map(({ branch, reason }) => [branch, reason]),
        )
        ctx.emit(Booked, { service: JSON.stringify([words, missing]) })
      })
      const spine = await open({ agents: [collector, worker] })
      const { request } = await spine.publish(Numbered, { n: 1 })
      await spine.advance('4h')
      const { status, waiting } = await spine.settled(request)
      const left = (await spine.events(Booked)).map(({ data }) => data.service)
      return { status, waiting: waiting.map(({ agent: name }) => name), left }
    })
    expect(plays).toBeGreaterThan(30)
  })

  it("a run that goes on without its late call: the call is cancelled, whoever does it; with 'finish' it ends well", async () => {
    for (const onLate of ['cancel', 'finish'] as const) {
      await crashEverywhere(async (open) => {
        const collector = agent('collector', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
          const asked = ['slow', 'a'].map((question) => ctx.call(Worker, { question }))
          const { missing } = await ctx.gather(asked, { until: 'first', onLate })
          if (onLate === 'cancel') await ctx.sleep('10m')
          ctx.emit(Booked, { service: missing.map(({ reason }) => reason).join() })
        })
        const spine = await open({ agents: [collector, worker] })
        const { request } = await spine.publish(Numbered, { n: 1 })
        await spine.advance('2h')
        const ends = (await records(spine)).filter(
          (record) =>
            record.request === request && record.agent === 'worker' && record.type.startsWith('spine.delivery.'),
        )
        return [(await spine.settled(request)).status, ends.map(({ type }) => type).sort()]
      })
    }
  })

  it('attempts that fail because a gather rejected go on where they were', async () => {
    await crashEverywhere(async (open) => {
      let tries = 0
      const collector = agent('collector', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
        const { good, made } = await ctx.gather({
          good: ctx.call(Worker, { question: 'good' }),
          made: (scope) =>
            scope.step('flaky', () => {
              if (tries++ === 0) throw new Error('once')
              return 'made'
            }),
        })
        ctx.emit(Booked, { service: good.answer + made })
      })
      const spine = await open({ agents: [collector, worker] })
      const { request } = await spine.publish(Numbered, { n: 1 })
      await spine.advance('10m')
      return (await spine.settled(request)).status
    })
  })
})

describe('a crash after the firing', () => {
  it('a late step that left nothing is not begun again: it ends as late', async () => {
    let entered = 0
    const hang = () => {
      entered++
      return new Promise<never>(() => {})
    }
    const said: unknown[] = []
    const collector = agent('collector', { on: Numbered }, async (_evt, ctx) => {
      const slow = ctx.step('slow', hang)
      const inFunction = async (scope: typeof ctx) => {
        await scope.step('slow', hang)
      }
      const { missing } = await ctx.gather(
        { slow, inFunction, quick: ctx.call(Worker, { question: 'a' }) },
        { until: 'first' },
      )
      await ctx.sleep('1h')
      await slow.catch((error) => said.push(error.code))
      said.push(missing.map(({ reason }) => reason))
    })
    const spine = await testSpine({ agents: [collector, worker], replay: 'after-crash' })
    const { request } = await spine.publish(Numbered, { n: 1 })
    // The steps never end, so the run is past its gather when it sleeps.
    while (!(await records(spine)).some(({ type }) => type === 'spine.timer.set')) await nextTurn()
    await spine.crash()
    await spine.advance('2h')
    expect((await spine.settled(request)).status).toBe('done')
    expect([entered, said]).toEqual([2, ['SPINE_GATHER_LATE', ['cancelled', 'cancelled']]])
    await spine.close()
  })

  it('the signal of a late step says so', async () => {
    const reason = deferred<unknown>()
    const collector = agent('collector', { on: Numbered }, async (_evt, ctx) => {
      const slow = ctx.step(
        'slow',
        ({ signal }) =>
          new Promise((resolve) => signal.addEventListener('abort', () => resolve(reason.resolve(signal.reason)))),
      )
      await ctx.gather([slow, ctx.call(Worker, { question: 'a' })], { until: 'first' })
      await ctx.sleep('1s')
    })
    const spine = await testSpine({ agents: [collector, worker], replay: 'after-crash' })
    await spine.publish(Numbered, { n: 1 })
    expect(await reason.promise).toMatchObject({ code: 'SPINE_GATHER_LATE' })
    await spine.close()
  })

  it('steps inside branches are replaced by their own names', async () => {
    const collector = agent('collector', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
      const { a } = await ctx.gather({ a: (scope) => scope.step('draft', () => 'model') })
      ctx.emit(Booked, { service: a })
    })
    const spine = await testSpine({ agents: [collector] })
    spine.step('collector/draft', 'mocked')
    await spine.settled((await spine.publish(Numbered, { n: 1 })).request)
    expect((await spine.events(Booked)).map(({ data }) => data)).toEqual([{ service: 'mocked' }])
    await spine.close()
  })
})
