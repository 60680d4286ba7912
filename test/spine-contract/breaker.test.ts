import { agent, type LogRecord, Permanent, RetryAfter } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Numbered, Question } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const BREAKER = { failures: 2, within: '1m', cooldown: 60 } as const

describeOnEachEngine('a breaker', (world) => {
  /** A service that is down until it is mended, and an agent that relies on it. */
  const service = (options: { fails?: () => Error; name?: string; cooldown?: number } = {}) => {
    const tried: number[] = []
    const around = { isDown: true, tried }
    const using = agent(
      options.name ?? 'using',
      {
        on: Numbered,
        breaker: { ...BREAKER, cooldown: options.cooldown ?? BREAKER.cooldown },
        concurrency: 1,
        retry: { attempts: 3, backoff: '1ms' },
      },
      async (evt, ctx) => {
        await ctx.step('use', () => {
          tried.push(evt.data.n)
          if (around.isDown) throw (options.fails ?? (() => new Error('down')))()
        })
      },
    )
    return { around, using, tried }
  }
  const until = async (isTrue: () => boolean) => {
    for (let turn = 0; !isTrue() && turn < 400; turn++) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  it('holds what waits after repeated failures, spends nothing, and goes on in order when a probe has passed', async () => {
    const { around, using, tried } = service({ cooldown: 600 })
    const spine = await world.open({ agents: [using] })
    const published = []
    for (const n of [1, 2, 3, 4, 5]) published.push(await spine.publish(Numbered, { n }, { session: `s${n}` }))
    await until(() => spine.agents.list()[0]?.breaker?.state === 'open')
    // The next one may have been entered before the failure was on the log.
    expect(tried.length).toBeLessThanOrEqual(3)
    const { waiting } = await spine.settled(published[4]?.request as string, { within: 10 })
    expect(waiting).toMatchObject([{ agent: 'using', why: 'breaker open', until: expect.any(Date) }])
    expect(spine.agents.list()[0]?.breaker).toMatchObject({ state: 'open', until: expect.any(Date) })
    around.isDown = false
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(tried.slice(-4).every((n, at, all) => at === 0 || n !== all[at - 1])).toBe(true)
    const records = await world.records(spine)
    await until(() => spine.agents.list()[0]?.breaker?.state === 'closed')
    const types = (await world.records(spine))
      .map(({ type }) => type)
      .filter((type) => type.startsWith('spine.breaker.'))
    expect(types).toEqual(['spine.breaker.opened', 'spine.breaker.opened', 'spine.breaker.closed'])
    expect(records.some(({ type }) => type === 'spine.delivery.dead')).toBe(false)
    expect(spine.agents.list()[0]?.breaker).toEqual({ state: 'closed', failures: 0, until: undefined })
    expect(world.warnings.filter((line) => line.includes('breaker is open'))).toHaveLength(1)
  })

  it('lets one probe through, and opens for longer when it fails', async () => {
    const { around, using, tried } = service()
    const spine = await world.open({ agents: [using] })
    const published = []
    for (const n of [1, 2, 3, 4]) published.push(await spine.publish(Numbered, { n }, { session: `s${n}` }))
    await until(() => tried.length >= 5)
    around.isDown = false
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    const opened = (await world.records(spine)).filter(({ type }) => type === 'spine.breaker.opened')
    const data = opened.map((record) => {
      const { until: end, probe } = record.data as unknown as { until: number; probe?: number }
      return { ms: end - record.time, probe }
    })
    const cooldowns = data.filter(({ probe }) => probe === undefined).map(({ ms }) => ms)
    expect(cooldowns.length).toBeGreaterThanOrEqual(3)
    for (const [index, ms] of cooldowns.entries()) {
      expect(ms).toBeGreaterThanOrEqual(60 * 2 ** index)
      expect(ms).toBeLessThanOrEqual(60 * 2 ** index * 1.25 + 1)
    }
    // A probe for each cooldown, and none beside it.
    expect(data.filter(({ probe }) => probe !== undefined)).toHaveLength(cooldowns.length)
  })

  it('holds after a restart, until its time', async () => {
    const { around, using, tried } = service({ cooldown: 600 })
    const one = await world.open({ agents: [using] })
    const first = await one.publish(Numbered, { n: 1 })
    await until(() => one.agents.list()[0]?.breaker?.state === 'open')
    await one.close()
    around.isDown = false
    const before = tried.length
    const two = await world.open({ agents: [using] })
    expect(two.agents.list()[0]?.breaker?.state).not.toBe('closed')
    expect((await two.settled(first.request)).status).toBe('done')
    expect(tried.length).toBe(before + 1)
    await until(() => two.agents.list()[0]?.breaker?.state === 'closed')
    expect(two.agents.list()[0]?.breaker?.state).toBe('closed')
  })

  it('is closed by an operator who resumes the agent, and dropped with the option', async () => {
    const slow = { ...BREAKER, cooldown: '1h' } as const
    const options = { on: Numbered, retry: { attempts: 3, backoff: '1ms' } } as const
    let isDown = true
    const handler = () => {
      if (isDown) throw new Error('down')
    }
    const one = await world.open({ agents: [agent('using', { ...options, breaker: slow }, handler)] })
    const first = await one.publish(Numbered, { n: 1 })
    await until(() => one.agents.list()[0]?.breaker?.state === 'open')
    isDown = false
    await one.agents.resume('using')
    expect((await one.settled(first.request)).status).toBe('done')
    isDown = true
    const second = await one.publish(Numbered, { n: 2 })
    await until(() => one.agents.list()[0]?.breaker?.state === 'open')
    isDown = false
    expect((await one.settled(second.request, { within: 10 })).waiting).toMatchObject([{ why: 'breaker open' }])
    await one.close()
    const two = await world.open({ agents: [agent('using', options, handler)] })
    expect((await two.settled(second.request)).status).toBe('done')
    expect(two.agents.list()[0]?.breaker).toBeUndefined()
  })

  it('does not open for failures of the input, nor for those between which something went well', async () => {
    const picky = agent('picky', { on: Numbered, breaker: BREAKER, retry: { attempts: 1 } }, async (evt) => {
      if (evt.data.n === 1) throw new Permanent('never')
      if (evt.data.n === 2) throw new Error('down')
    })
    const spine = await world.open({ agents: [picky] })
    for (const n of [1, 1, 1, 2, 0, 2, 0, 2]) await spine.settled((await spine.publish(Numbered, { n })).request)
    expect(spine.agents.list()[0]?.breaker).toMatchObject({ state: 'closed', failures: 1 })
  })

  it('is tried again no sooner than a RetryAfter asked for', async () => {
    const { around, using, tried } = service({ fails: () => new RetryAfter(150) })
    const spine = await world.open({ agents: [using] })
    const a = await spine.publish(Numbered, { n: 1 }, { session: 'a' })
    const b = await spine.publish(Numbered, { n: 2 }, { session: 'b' })
    await until(() => spine.agents.list()[0]?.breaker?.state === 'open')
    around.isDown = false
    for (const { request } of [a, b]) expect((await spine.settled(request)).status).toBe('done')
    const opened = (await world.records(spine)).find(({ type }) => type === 'spine.breaker.opened') as LogRecord
    const { until: end } = opened.data as unknown as { until: number }
    expect(end - opened.time).toBeGreaterThanOrEqual(140)
    expect(tried).toHaveLength(4)
  })

  it('is passed over by a route, and waited for by a call within its bound', async () => {
    const Main = agent('main', {
      input: Question,
      output: Answer,
      breaker: { ...BREAKER, cooldown: '1h' },
      retry: { attempts: 2, backoff: '1ms' },
    })
    const Other = agent('other', { input: Question, output: Answer })
    const main = Main.handle(() => {
      throw new Error('down')
    })
    const seen: string[] = []
    const desk = agent('desk', { on: Numbered }, async (_evt, ctx) => {
      const target = await ctx.route(1, [{ atLeast: 0.5, to: Main }, { else: Other }])
      const { answer } = await ctx.call(target, { question: 'x' })
      const code = await ctx.call(Main, { question: 'y' }, { within: 20 }).catch((error) => error.cause.code)
      await ctx.step('note', () => void seen.push(answer, code as string))
    })
    const spine = await world.open({ agents: [desk, main, Other.handle(() => ({ answer: 'other' }))] })
    const direct = await spine.start(Main, { question: 'z' })
    await expect(direct.result({ within: '5s' })).rejects.toMatchObject({ code: 'SPINE_CALL_FAILED' })
    await until(() => spine.agents.list().find(({ name }) => name === 'main')?.breaker?.state === 'open')
    const { request } = await spine.publish(Numbered, { n: 1 })
    expect((await spine.settled(request)).status).toBe('done')
    expect(seen).toEqual(['other', 'SPINE_EXPIRED'])
    const [route] = (await world.records(spine)).filter(({ type }) => type === 'spine.route.decided')
    expect(route?.data).toMatchObject({ target: 'other', rejected: [{ rule: 0, target: 'main', why: 'breaker open' }] })
  })

  it('lets a suspended run go on while it is open, and keeps nobody waiting when its probe is cancelled', async () => {
    const done: number[] = []
    let isDown = true
    const using = agent(
      'using',
      { on: Numbered, breaker: BREAKER, retry: { attempts: 9, backoff: '1ms' } },
      async (evt, ctx) => {
        if (evt.data.n === 0) await ctx.sleep(40)
        if (evt.data.n === 7) await ctx.waitFor(Numbered, { match: { n: 99 }, within: '1h' })
        await ctx.step('use', () => {
          if (isDown && evt.data.n > 0) throw new Error('down')
          done.push(evt.data.n)
        })
      },
    )
    const spine = await world.open({ agents: [using] })
    const sleeping = await spine.publish(Numbered, { n: 0 }, { session: 'a' })
    await spine.settled(sleeping.request, { within: 5 })
    const failing = await spine.publish(Numbered, { n: 1 }, { session: 'b' })
    await until(() => spine.agents.list()[0]?.breaker?.state === 'open')
    expect((await spine.settled(sleeping.request)).status).toBe('done')
    expect(done).toEqual([0])
    // The first that could start waits for something that does not come; whoever is behind it is tried after its end.
    await spine.requests.cancel(failing.request, 'never mind')
    const probe = await spine.publish(Numbered, { n: 7 }, { session: 'c' })
    const held = await spine.publish(Numbered, { n: 8 }, { session: 'd' })
    isDown = false
    await until(() => spine.agents.list()[0]?.breaker?.state === 'half-open')
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect((await spine.settled(held.request, { within: 5 })).waiting).toMatchObject([
      { why: 'breaker open', on: [`${probe.sequence}/using`] },
    ])
    await spine.requests.cancel(probe.request, 'never mind')
    expect((await spine.settled(held.request)).status).toBe('done')
    expect(done).toEqual([0, 8])
  })

  it('is refused at creation where it cannot work', () => {
    const declare = (breaker: never) => () => agent('x', { on: Numbered, breaker }, () => {})
    expect(declare({ failures: 0 } as never)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    expect(declare({ failures: 1_001 } as never)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    expect(declare({ cooldown: 0 } as never)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    expect(declare({ within: 'soon' } as never)).toThrow(expect.objectContaining({ code: 'SPINE_DURATION_INVALID' }))
    expect(declare({ failure: 3 } as never)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    expect(declare(true as never)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
  })
})
