import { agent } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('an agent that is paused', (world) => {
  const counting = (done: number[], name = 'counter') =>
    agent(name, { on: Numbered, retry: quickly(3), concurrency: 2 }, async (evt, ctx) => {
      await ctx.step('count', () => void done.push(evt.data.n))
    })

  it('starts nothing new, is listed with the reason, and resumes in order', async () => {
    const done: number[] = []
    const spine = await world.open({ agents: [counting(done)] })
    await spine.agents.pause('counter', 'the bank is down')
    const published = await Promise.all([1, 2, 3, 4].map((n) => spine.publish(Numbered, { n }, { session: `s${n}` })))
    const waiting = await spine.settled(published[0]?.request as string, { within: 20 })
    expect(waiting).toMatchObject({ status: 'open', waiting: [{ agent: 'counter', why: 'agent paused' }] })
    expect(waiting.waiting[0]?.detail).toContain('the bank is down')
    const [info] = spine.agents.list()
    expect(info?.paused).toEqual({ since: expect.any(Number), why: 'the bank is down' })
    expect(done).toEqual([])
    await spine.agents.resume('counter')
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(done).toEqual([1, 2, 3, 4])
    expect(spine.agents.list()[0]?.paused).toBeUndefined()
  })

  it('stays paused over restarts and another registration, also when it was absent; an unknown one is refused; twice is once', async () => {
    const done: number[] = []
    const one = await world.open({ agents: [counting(done)] })
    await one.close()
    const without = await world.open({ agents: [] })
    await without.agents.pause('counter')
    await without.agents.pause('counter', 'again')
    await expect(without.agents.pause('conter')).rejects.toMatchObject({
      code: 'SPINE_AGENT_UNKNOWN',
      message: expect.stringContaining("Did you mean 'counter'?"),
    })
    await expect(without.agents.resume('conter')).rejects.toMatchObject({ code: 'SPINE_AGENT_UNKNOWN' })
    const { request } = await without.publish(Numbered, { n: 1 })
    await without.close()
    const other = agent('counter', { on: Numbered, version: 2 }, async (evt, ctx) => {
      await ctx.step('count', () => void done.push(evt.data.n))
    })
    const two = await world.open({ agents: [other] })
    expect((await two.settled(request, { within: 20 })).waiting).toMatchObject([{ why: 'agent paused' }])
    expect(done).toEqual([])
    await two.agents.resume('counter')
    await two.agents.resume('counter')
    expect((await two.settled(request)).status).toBe('done')
    const types = (await world.records(two)).map(({ type }) => type)
    expect(types.filter((type) => type === 'spine.agent.paused')).toHaveLength(1)
    expect(types.filter((type) => type === 'spine.agent.resumed')).toHaveLength(1)
  })

  it('lets what runs and what is suspended go on, in the next process too', async () => {
    const done: string[] = []
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, emits: [Booked] }, async (evt, ctx) => {
      if (evt.data.n === 1) await ctx.step('long', () => gate.promise.then(() => null))
      else await ctx.sleep(300)
      await ctx.step('end', () => void done.push(`n${evt.data.n}`))
    })
    const one = await world.open({ agents: [worker] })
    const running = await one.publish(Numbered, { n: 1 })
    const sleeping = await one.publish(Numbered, { n: 2 })
    const isAsleep = async () => (await world.records(one)).some(({ type }) => type === 'spine.timer.set')
    await expect.poll(isAsleep).toBe(true)
    await one.agents.pause('worker')
    const later = await one.publish(Numbered, { n: 3 })
    gate.resolve()
    expect((await one.settled(running.request)).status).toBe('done')
    await one.close()
    const two = await world.open({ agents: [worker] })
    expect((await two.settled(sleeping.request)).status).toBe('done')
    expect(done).toEqual(['n1', 'n2'])
    expect((await two.settled(later.request, { within: 10 })).waiting).toMatchObject([{ why: 'agent paused' }])
    await two.agents.resume('worker')
    expect((await two.settled(later.request)).status).toBe('done')
  })

  it('makes no further attempt at what failed, and spends none meanwhile', async () => {
    let attempts = 0
    let broken = true
    const failing = agent('failing', { on: Numbered, retry: { attempts: 3, backoff: '30ms' } }, async (_evt, ctx) => {
      await ctx.step('try', () => {
        attempts++
        if (broken) throw new Error('down')
      })
    })
    const spine = await world.open({ agents: [failing] })
    const { request } = await spine.publish(Numbered, { n: 1 })
    await spine.settled(request, { within: 10 })
    await spine.agents.pause('failing')
    const before = attempts
    const { waiting } = await spine.settled(request, { within: 80 })
    expect([attempts - before, waiting[0]?.why]).toEqual([0, 'agent paused'])
    broken = false
    await spine.agents.resume('failing')
    expect((await spine.settled(request)).status).toBe('done')
  })

  it('keeps its deadlines: what waits too long expires, a caller is told', async () => {
    const Slow = agent('slow', { input: Question, output: Answer })
    const codes: string[] = []
    const caller = agent('caller', { on: Numbered }, async (_evt, ctx) => {
      const outcome = await ctx.call(Slow, { question: 'x' }, { within: 30 }).catch((error) => error.cause.code)
      await ctx.step('note', () => void codes.push(String(outcome)))
    })
    const spine = await world.open({ agents: [caller, Slow.handle(async () => ({ answer: 'never' }))] })
    await spine.agents.pause('slow')
    const { request } = await spine.publish(Numbered, { n: 1 })
    expect((await spine.settled(request)).status).toBe('done')
    expect(codes).toEqual(['SPINE_EXPIRED'])
  })

  it('takes its pause along when it is renamed, and loses it when it is removed', async () => {
    const done: number[] = []
    const one = await world.open({ agents: [counting(done)] })
    await one.agents.pause('counter', 'moving')
    await one.close()
    const two = await world.open({ agents: [] })
    await two.agents.rename('counter', 'accountant')
    expect(two.agents.list()).toMatchObject([{ name: 'accountant', paused: { why: 'moving' } }])
    await two.close()
    const three = await world.open({ agents: [counting(done, 'accountant')] })
    const { request } = await three.publish(Numbered, { n: 1 })
    expect((await three.settled(request, { within: 20 })).status).toBe('open')
    await three.close()
    const four = await world.open({ agents: [] })
    await four.agents.remove('accountant')
    await four.close()
    const five = await world.open({ agents: [counting(done, 'accountant')] })
    const again = await five.publish(Numbered, { n: 2 })
    expect((await five.settled(again.request)).status).toBe('done')
    expect(done).toEqual([2])
  })
})
