import { agent, join, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { Booked, deferred, Inquiry, Numbered } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('an agent that begins in the past', (world) => {
  const publishAll = async (spine: Spine, count: number, first = 0) => {
    const published = []
    for (let n = first; n < first + count; n++)
      published.push(await spine.publish(Numbered, { n }, { session: `s${n % 3}` }))
    return published
  }
  const level = async (spine: Spine, name: string) => {
    for (let turn = 0; turn < 400; turn++) {
      const info = spine.agents.list().find((each) => each.name === name)
      if (info?.behind === undefined && info?.open === 0) return
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error('it did not catch up')
  }
  const reading = (done: number[], options: { from?: 'now' | 'beginning' | number } = {}, name = 'reading') =>
    agent(name, { on: Numbered, ...options }, async (evt, ctx) => {
      await ctx.step('read', () => void done.push(evt.data.n))
    })
  const bySession = (done: readonly number[]) => [0, 1, 2].map((session) => done.filter((n) => n % 3 === session))

  it('is given all that was there, once and in order, and then what comes; over a restart in the middle', async () => {
    const count = world.isReplayed ? 60 : 600
    const one = await world.open({ agents: [] })
    await publishAll(one, count)
    await one.close()
    const done: number[] = []
    const two = await world.open({ agents: [reading(done, { from: 'beginning' })] })
    expect(two.agents.list()[0]?.behind).toEqual({ since: expect.any(Number), upTo: 0 })
    await publishAll(two, 5, count)
    await two.close({ drain: 1_000 })
    const three = await world.open({ agents: [reading(done, { from: 'beginning' })] })
    await publishAll(three, 5, count + 5)
    await level(three, 'reading')
    const all = Array.from({ length: count + 10 }, (_, n) => n)
    expect(bySession(done)).toEqual(bySession(all))
    await publishAll(three, 3, count + 10)
    await level(three, 'reading')
    expect(done).toHaveLength(count + 13)
    const admitted = (await world.records(three)).filter(({ type }) => type === 'spine.agent.admitted')
    expect(admitted.flatMap(({ data }) => (data as unknown as { events: number[] }).events).length).toBeLessThanOrEqual(
      count + 10,
    )
  })

  it('begins at a sequence, and keeps its place when it is registered again or renamed', async () => {
    const one = await world.open({ agents: [] })
    const published = await publishAll(one, 9)
    await one.close()
    const done: number[] = []
    const from = published[4]?.sequence as number
    const two = await world.open({ agents: [reading(done, { from })] })
    await level(two, 'reading')
    expect([...done].sort()).toEqual([4, 5, 6, 7, 8])
    await two.close()
    const three = await world.open({ agents: [reading(done, { from: 'beginning' })] })
    await level(three, 'reading')
    expect(done).toHaveLength(5)
    await three.close()
    const four = await world.open({ agents: [] })
    await four.agents.rename('reading', 'lector')
    await four.close()
    const five = await world.open({ agents: [reading(done, { from: 'beginning' }, 'lector')] })
    await level(five, 'lector')
    expect(done).toHaveLength(5)
  })

  it('opens nothing of a request that was cancelled, and again one that was at rest; settled waits for it', async () => {
    const one = await world.open({
      agents: [agent('holding', { on: Inquiry }, async (_evt, ctx) => void (await ctx.sleep('1h')))],
    })
    const cancelled = await one.publish(Inquiry, { text: 'cancelled' })
    const late = await one.publish(Inquiry, { text: 'late' }, { deadline: new Date(Date.now() + 60) })
    const atRest = await publishAll(one, 1)
    expect((await one.settled(atRest[0]?.request as string)).status).toBe('done')
    await one.requests.cancel(cancelled.request, 'never mind')
    expect((await one.settled(late.request)).status).toBe('expired')
    await one.close()
    const gate = deferred()
    const done: string[] = []
    const reading = agent('reading', { on: [Inquiry, Numbered], from: 'beginning' }, async (evt, ctx) => {
      await ctx.step('read', () => gate.promise.then(() => void done.push(evt.type)))
    })
    const two = await world.open({ agents: [reading] })
    expect((await two.settled(atRest[0]?.request as string, { within: 30 })).status).toBe('open')
    gate.resolve()
    expect((await two.settled(atRest[0]?.request as string)).status).toBe('done')
    await level(two, 'reading')
    expect(done).toEqual([Numbered.type])
    expect((await two.settled(cancelled.request)).status).toBe('cancelled')
  })

  it("hears everything but its own emissions with '*', and looks on where it observes", async () => {
    const one = await world.open({ agents: [] })
    await publishAll(one, 3)
    const cancelled = await one.publish(Inquiry, { text: 'x' })
    await one.close()
    const heard: string[] = []
    const looking = agent(
      'looking',
      { on: '*', observes: true, from: 'beginning', emits: [Booked] },
      async (evt, ctx) => {
        await ctx.step('look', () => void heard.push(evt.type))
        if (evt.type === Inquiry.type) ctx.emit(Booked, { service: 'x' })
      },
    )
    const two = await world.open({ agents: [looking] })
    await level(two, 'looking')
    expect(heard.sort()).toEqual([Inquiry.type, Numbered.type, Numbered.type, Numbered.type])
    expect((await two.settled(cancelled.request)).status).toBe('done')
  })

  it('is refused where it cannot be', async () => {
    const code = (name: string) => expect.objectContaining({ code: name })
    const from = (value: unknown) => () => agent('x', { on: Numbered, from: value as never }, () => {})
    for (const value of [0, -1, 1.5, 'start']) expect(from(value)).toThrow(code('SPINE_OPTION_INVALID'))
    expect(() =>
      agent('x', { on: join([Numbered, Inquiry], { per: 'request' }), from: 'beginning' }, () => {}),
    ).toThrow(code('SPINE_AGENT_INVALID'))
    const one = await world.open({ agents: [reading([], { from: 1_000 })] })
    expect(one.agents.list()[0]?.behind).toBeUndefined()
  })
})
