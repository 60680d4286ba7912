/** Breakers and rates, with a crash at every append. */
import { agent, type LogRecord } from 'event-spine'
import { crashEverywhere, SimulatedLog, SimulatedProcess, testSpine, type TestSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { Booked, deferred, Inquiry, Numbered } from '../support/vocabulary.ts'

async function recordsOf(spine: { readonly log: TestSpine['log'] }): Promise<readonly LogRecord[]> {
  const all: LogRecord[] = []
  for await (const record of spine.log.read()) all.push(record)
  return all
}

/** What began while the log said that the breaker was not closed, and was not the probe. */
function begunWhileOpen(records: readonly LogRecord[]): readonly number[] {
  let probe: number | undefined = 0
  const closedTo: (number | undefined)[] = [0]
  for (const { sequence, type, data } of records) {
    if (type === 'spine.breaker.opened') probe = (data as { probe?: number }).probe
    if (type === 'spine.breaker.closed') probe = 0
    closedTo[sequence] = probe
  }
  return records.flatMap(({ cause, data, agent: name }) => {
    const { basis } = data as { basis?: number }
    if (name !== 'using' || basis === undefined) return []
    const allowed = closedTo[basis]
    return allowed === 0 || allowed === cause ? [] : [cause]
  })
}

describe('with a crash at every append', () => {
  it('a breaker holds what waits, lets one through when its time is over, and loses nothing', async () => {
    const report = await crashEverywhere(async (open) => {
      const using = agent(
        'using',
        {
          on: Numbered,
          emits: [Booked],
          concurrency: 1,
          breaker: { failures: 2, within: '1h', cooldown: '1m' },
          retry: { attempts: 9, backoff: '1s' },
        },
        async (evt, ctx) => {
          await ctx.step('use', () => {
            if (spine.now() < mendedAt) throw new Error('down')
          })
          ctx.emit(Booked, { service: `n${evt.data.n}` })
        },
      )
      const spine = await open({ agents: [using] })
      const mendedAt = spine.now() + 4 * 60_000
      const requests: string[] = []
      for (const n of [1, 2, 3]) requests.push((await spine.publish(Numbered, { n }, { session: `s${n}` })).request)
      await spine.idle()
      await spine.advance('30m')
      const ends: string[] = []
      for (const request of requests) ends.push((await spine.settled(request)).status)
      const records = await recordsOf(spine)
      const dead = records.filter(({ type }) => type === 'spine.delivery.dead').length
      const done = (await spine.events(Booked)).map(({ data }) => data.service).sort()
      const { breaker } = spine.agents.list()[0] ?? {}
      return { ends, dead, done, breaker, begunWhileOpen: begunWhileOpen(records) }
    })
    expect(report.plays).toBeGreaterThan(10)
  })

  it('a rate is counted, and nothing starts sooner because the process died', async () => {
    const report = await crashEverywhere(async (open) => {
      const using = agent(
        'using',
        { on: Numbered, emits: [Booked], rate: { limit: 2, per: '1m', key: (evt) => `k${evt.data.n % 2}` } },
        async (evt, ctx) => {
          await ctx.step('use', () => 1)
          ctx.emit(Booked, { service: `n${evt.data.n}` })
        },
      )
      const spine = await open({ agents: [using] })
      for (const n of [1, 3, 5, 2, 7]) await spine.publish(Numbered, { n }, { session: `s${n}` })
      await spine.idle()
      await spine.advance('10m')
      const tooSoon: string[] = []
      const starts = new Map<string, number[]>()
      for (const { time, data } of (await recordsOf(spine)).filter(({ type }) => type === 'spine.runs.started')) {
        for (const key of (data as { rates?: string[] }).rates ?? []) {
          const times = starts.get(key) ?? []
          starts.set(key, [...times, time])
          const before = times.at(-2)
          if (before !== undefined && time - before < 60_000) tooSoon.push(`${key} ${time - before}`)
        }
      }
      return { done: (await spine.events(Booked)).map(({ data }) => data.service).sort(), tooSoon }
    })
    expect(report.plays).toBeGreaterThan(10)
  })
})

describe('a rate', () => {
  it('is not multiplied by a loop of crashes: a run that is entered again is counted again', async () => {
    const entered: number[] = []
    let crashes = 3
    const using = agent('using', { on: Numbered, rate: { limit: 1, per: '1m' } }, async (_evt, ctx) => {
      await ctx.step('use', () => {
        entered.push(spine.now())
        if (crashes-- > 0) {
          void spine.crash()
          return new Promise<null>(() => {})
        }
        return null
      })
    })
    const spine = await testSpine({ agents: [using], replay: 'after-crash' })
    const { request } = await spine.publish(Numbered, { n: 1 })
    for (let minute = 0; minute < 6; minute++) await spine.advance('1m')
    expect((await spine.settled(request)).status).toBe('done')
    expect(entered).toHaveLength(4)
    for (const [index, at] of entered.entries())
      if (index > 0) expect(at - (entered[index - 1] as number)).toBeGreaterThanOrEqual(60_000)
    await spine.close()
  })
})

describe('an agent that is behind', () => {
  it('begins in the past and is given everything once, whenever its process dies', async () => {
    const report = await crashEverywhere(async (open) => {
      const writing = agent('writing', { on: Numbered, from: 'beginning', emits: [Booked] }, async (evt, ctx) => {
        ctx.emit(Booked, { service: `n${evt.data.n}` })
      })
      const spine = await open({ agents: [writing] })
      for (const n of [1, 2, 3, 4]) await spine.publish(Numbered, { n }, { session: 's' })
      await spine.idle()
      await spine.advance('1m')
      const done = (await spine.events(Booked)).map(({ data }) => data.service)
      return { done, behind: spine.agents.list().some(({ behind }) => behind !== undefined) }
    })
    expect(report.plays).toBeGreaterThan(5)
  })

  it('takes no turn and no budget from a request that it was not given yet, whenever its process dies', async () => {
    let admitted = 0
    await crashEverywhere(async (open) => {
      const booking = agent(
        'booking',
        { on: Booked, freshness: { newer: [Numbered], then: 'hold' }, emits: [Inquiry] },
        async (evt, ctx) => {
          await ctx.sleep('2s')
          await ctx.step('book', () => null, { effect: true })
          ctx.emit(Inquiry, { text: `booked ${evt.data.service}` })
        },
      )
      const paying = agent('paying', { on: Numbered }, async (_evt, ctx) => {
        await ctx.step('pay', () => null, { cost: { estimate: { usd: 1 } } })
      })
      const reading = agent('reading', { on: Numbered, emits: [Inquiry] }, async (evt, ctx) => {
        await ctx.sleep('5s')
        const isBounded = (await ctx.budget.remaining())['usd'] !== undefined
        ctx.emit(Inquiry, { text: `read ${evt.data.n}${isBounded ? ' within its budget' : ''}` })
      })
      const spine = await open({ agents: [booking, paying, reading], pendingInMemory: 2 })
      await spine.publish(Booked, { service: 'friday' }, { session: 's' })
      for (const n of [1, 2, 3, 4]) await spine.publish(Numbered, { n }, { session: 's', budget: { usd: 50 } })
      await spine.idle()
      await spine.advance('1m')
      for (const { type, data } of await recordsOf(spine))
        if (type === 'spine.agent.admitted') admitted += (data as unknown as { events: number[] }).events.length
      const texts = (await spine.events(Inquiry)).map(({ data }) => data.text)
      expect(texts).toEqual([...[1, 2, 3, 4].map((n) => `read ${n} within its budget`), 'booked friday'])
      return texts
    })
    expect(admitted).toBeGreaterThan(0)
  })

  it('is one for which too much waits: it holds few in memory, and misses nothing', async () => {
    const log = new SimulatedLog()
    const done: number[] = []
    const gate = deferred()
    const slow = agent('slow', { on: Numbered, concurrency: 2 }, async (evt, ctx) => {
      await ctx.step('work', () => gate.promise.then(() => void done.push(evt.data.n)))
    })
    const options = { engine: log.engine(), agents: [slow], logger: { warn: () => {} } }
    const { spine } = await SimulatedProcess.start(options, { pendingInMemory: 8 })
    const published = []
    for (let n = 0; n < 100; n++) published.push(await spine.publish(Numbered, { n }, { session: `s${n % 3}` }))
    const [info] = spine.agents.list()
    expect(info?.behind).toEqual({ since: expect.any(Number), upTo: expect.any(Number) })
    expect(info?.open).toBeLessThan(20)
    const last = published[99]?.request as string
    expect(await spine.settled(last, { within: 20 })).toMatchObject({
      status: 'open',
      waiting: [{ agent: 'slow', why: 'behind' }],
    })
    gate.resolve()
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    for (const session of [0, 1, 2])
      expect(done.filter((n) => n % 3 === session)).toEqual(
        Array.from({ length: 100 }, (_, n) => n).filter((n) => n % 3 === session),
      )
    await spine.close()
  })
})
