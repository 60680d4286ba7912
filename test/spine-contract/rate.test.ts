import { agent, type LogRecord, RetryAfter } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, deferred, Inquiry, Numbered, Question } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

/** Starts that the log counts, by key. */
function startsOf(records: readonly LogRecord[]): ReadonlyMap<string, readonly number[]> {
  const starts = new Map<string, number[]>()
  for (const { type, time, data } of records) {
    if (type !== 'spine.runs.started') continue
    for (const key of (data as { rates?: readonly string[] }).rates ?? [])
      starts.set(key, [...(starts.get(key) ?? []), time])
  }
  return starts
}

function expectAtMost(times: readonly number[], limit: number, perMs: number): void {
  for (const [index, time] of times.entries()) {
    const before = times[index - limit]
    if (before !== undefined) expect(time - before).toBeGreaterThanOrEqual(perMs)
  }
}

describeOnEachEngine('a rate', (world) => {
  it('lets so many start in any window, and the rest by themselves, in order; they say until when they wait', async () => {
    const done: number[] = []
    const using = agent('using', { on: Numbered, rate: { limit: 2, per: 80 } }, async (evt, ctx) => {
      await ctx.step('use', () => void done.push(evt.data.n))
    })
    const spine = await world.open({ agents: [using] })
    const published = []
    for (const n of [1, 2, 3, 4, 5]) published.push(await spine.publish(Numbered, { n }, { session: `s${n}` }))
    const last = await spine.settled(published[4]?.request as string, { within: 20 })
    expect(last.waiting).toMatchObject([{ agent: 'using', why: 'rate limited', until: expect.any(Date) }])
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(done).toEqual([1, 2, 3, 4, 5])
    const starts = startsOf(await world.records(spine)).get('') ?? []
    expect(starts).toHaveLength(5)
    expectAtMost(starts, 2, 80)
  })

  it('counts apart by key, takes no slot while it waits, and counts no resume', async () => {
    const done: string[] = []
    const using = agent(
      'using',
      { on: Inquiry, concurrency: 1, rate: { limit: 1, per: 120, key: (evt) => evt.data.text } },
      async (evt, ctx) => {
        await ctx.sleep(5)
        await ctx.step('use', () => void done.push(evt.data.text))
      },
    )
    const spine = await world.open({ agents: [using] })
    const published = []
    for (const text of ['a', 'a', 'b', 'c'])
      published.push(await spine.publish(Inquiry, { text }, { session: `s${published.length}` }))
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect([done[0], [...done].sort(), done[3]]).toEqual(['a', ['a', 'a', 'b', 'c'], 'a'])
    const starts = startsOf(await world.records(spine))
    expect([...starts].map(([key, times]) => [key, times.length])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1],
    ])
    expectAtMost(starts.get('a') ?? [], 1, 120)
  })

  it('is counted over restarts, however many', async () => {
    const done: number[] = []
    const using = agent('using', { on: Numbered, rate: { limit: 1, per: 150 } }, async (evt, ctx) => {
      await ctx.step('use', () => void done.push(evt.data.n))
    })
    let spine = await world.open({ agents: [using] })
    const published = []
    for (const n of [1, 2, 3]) published.push(await spine.publish(Numbered, { n }, { session: `s${n}` }))
    for (let restart = 0; restart < 4; restart++) {
      await spine.settled(published[0]?.request as string, { within: 20 })
      await spine.close()
      spine = await world.open({ agents: [using] })
    }
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(done).toEqual([1, 2, 3])
    expectAtMost(startsOf(await world.records(spine)).get('') ?? [], 1, 150)
  })

  it('counts every attempt, and fails one whose key cannot be told', async () => {
    let asked = 0
    const using = agent(
      'using',
      {
        on: Numbered,
        retry: { attempts: 2, backoff: '1ms' },
        rate: {
          limit: 1,
          per: 60,
          key: (evt) => {
            asked++
            if (evt.data.n === 1) throw new Error('no key')
            return evt.data.n === 2 ? (2 as never) : 'k'
          },
        },
      },
      (evt) => {
        if (evt.data.n === 3) throw new Error('down')
      },
    )
    const spine = await world.open({ agents: [using] })
    const codes = []
    for (const n of [1, 2, 3]) {
      const { request } = await spine.publish(Numbered, { n })
      const { deadLetters } = await spine.settled(request)
      codes.push((await spine.deadLetters.get(deadLetters[0] as string)).error.message)
    }
    expect(codes).toEqual(['no key', expect.stringContaining('rate.key of using returned no text'), 'down'])
    // What is no text is wrong for good.
    expect(asked).toBe(5)
    const starts = startsOf(await world.records(spine)).get('k') ?? []
    expect(starts).toHaveLength(2)
    expectAtMost(starts, 1, 60)
  })

  it('lets others go on when who waits is cancelled, or the agent is paused and resumed', async () => {
    const done: number[] = []
    const using = agent('using', { on: Numbered, rate: { limit: 1, per: 60 } }, async (evt, ctx) => {
      await ctx.step('use', () => void done.push(evt.data.n))
    })
    const spine = await world.open({ agents: [using] })
    const published = []
    for (const n of [1, 2, 3, 4]) published.push(await spine.publish(Numbered, { n }, { session: `s${n}` }))
    await spine.settled(published[0]?.request as string)
    await spine.requests.cancel(published[1]?.request as string, 'never mind')
    await spine.agents.pause('using')
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(done).toEqual([1])
    await spine.agents.resume('using')
    for (const at of [2, 3]) expect((await spine.settled(published[at]?.request as string)).status).toBe('done')
    expect(done).toEqual([1, 3, 4])
    expectAtMost(startsOf(await world.records(spine)).get('') ?? [], 1, 60)
  })

  it('is refused at creation where it cannot work', () => {
    const declare = (rate: never) => () => agent('x', { on: Numbered, rate }, () => {})
    const [option, invalid] = ['SPINE_OPTION_INVALID', 'SPINE_AGENT_INVALID'].map((code) =>
      expect.objectContaining({ code }),
    )
    for (const limit of [0, 10_001, 1.5]) expect(declare({ limit, per: '1m' } as never)).toThrow(option)
    for (const per of [0, '2d']) expect(declare({ limit: 1, per } as never)).toThrow(option)
    expect(declare({ limit: 1, per: '1m', key: 'customer' } as never)).toThrow(invalid)
    expect(declare({ limit: 1, per: '1m', every: 3 } as never)).toThrow(option)
    expect(declare(10 as never)).toThrow(option)
    expect(declare({ limit: 1 } as never)).toThrow(expect.objectContaining({ code: 'SPINE_DURATION_INVALID' }))
  })
})

describeOnEachEngine('a provider that says 429', (world) => {
  it('and a fan-out of 16 that it told together when to come back: all end well, and not at one moment', async () => {
    const Worker = agent('worker', { input: Question, output: Answer, retry: { attempts: 10, backoff: '20ms..50ms' } })
    const times: number[] = []
    let inWindow = 0
    const worker = Worker.handle(async (evt, ctx) => ({
      answer: await ctx.step('ask', () => {
        times.push(Date.now())
        if (times.length > 16 && inWindow++ % 3 === 0) throw new RetryAfter(40, '429')
        if (times.length <= 16) throw new RetryAfter(40, '429')
        return evt.data.question
      }),
    }))
    const answers = deferred<readonly string[]>()
    const desk = agent('desk', { on: Numbered }, async (_evt, ctx) => {
      const calls = Array.from({ length: 16 }, (_, n) => ctx.call(Worker, { question: `q${n}` }))
      const replies = await ctx.gather(calls)
      answers.resolve(replies.map(({ answer }) => answer))
    })
    const spine = await world.open({ agents: [desk, worker] })
    const { request } = await spine.publish(Numbered, { n: 1 })
    expect((await spine.settled(request, { within: '20s' })).status).toBe('done')
    expect(await answers.promise).toEqual(Array.from({ length: 16 }, (_, n) => `q${n}`))
    const records = await world.records(spine)
    const dues = records
      .filter(({ type }) => type === 'spine.delivery.retried')
      .map(({ time, data }) => ({ time, due: (data as unknown as { due: number }).due }))
    expect(dues.length).toBeGreaterThanOrEqual(16)
    for (const { time, due } of dues) expect(due - time).toBeGreaterThanOrEqual(40)
    expect(new Set(dues.slice(0, 16).map(({ due }) => due)).size).toBeGreaterThan(4)
  })
})
