/** `exclusive`: agents of one name never work at once on one session. */
import { agent, type Context, event } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine, type World } from '../support/world.ts'

/** Who works on what, and whether any two ever did at once on one session. */
function floor() {
  const inside = new Map<string, Set<string>>()
  const seen: string[] = []
  const overlaps: string[] = []
  return {
    seen,
    overlaps,
    enter(who: string, session: string) {
      const others = inside.get(session) ?? new Set()
      inside.set(session, others.add(who))
      if (others.size > 1) overlaps.push([...others].join(' and '))
      seen.push(who)
    },
    leave(who: string, session: string) {
      inside.get(session)?.delete(who)
    },
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const why = async (spine: Awaited<ReturnType<World['open']>>, request: string) =>
  (await spine.settled(request, { within: 20 })).waiting.map((each) => `${each.agent}: ${each.why}`)

describeOnEachEngine('agents that are exclusive', (world) => {
  it('never work at once on one session, and do on different ones', async () => {
    const on = floor()
    const atOnce = { now: 0, max: 0 }
    const working = (name: string) =>
      agent(name, { on: Numbered, exclusive: 'calendar' }, async (evt, ctx) => {
        for (const part of ['look', 'write']) {
          await ctx.step(part, async () => {
            on.enter(name, evt.session)
            atOnce.max = Math.max(atOnce.max, ++atOnce.now)
            await pause(2)
            atOnce.now--
            on.leave(name, evt.session)
          })
          await ctx.sleep(3)
        }
      })
    const spine = await world.open({ agents: ['ann', 'ben', 'cas'].map(working) })
    const published = await Promise.all(
      [1, 2, 3, 4].map((n) => spine.publish(Numbered, { n }, { session: `s${n % 2}` })),
    )
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(on.seen).toHaveLength(24)
    expect(on.overlaps).toEqual([])
    // A run that sleeps holds its session: nobody else of it comes in between.
    for (let at = 0; at < 24; at += 2) expect(atOnce.max).toBeGreaterThan(1)
  })

  it('hold their session while they are suspended, back off and have made room, to their end', async () => {
    const order: string[] = []
    const attempts = { made: 0 }
    const ann = agent('ann', { on: Numbered, exclusive: 'x', retry: quickly(3) }, async (_evt, ctx) => {
      await ctx.step('first', () => order.push('ann began'))
      await ctx.sleep(20)
      await ctx.step('second', () => {
        if (++attempts.made < 3) throw new Error('not yet')
      })
      await ctx.step('third', () => order.push('ann ends'))
    })
    const ben = agent('ben', { on: Inquiry, exclusive: 'x' }, async (_evt, ctx) => {
      await ctx.step('only', () => order.push('ben'))
    })
    const spine = await world.open({ agents: [ann, ben] })
    await spine.publish(Numbered, { n: 1 }, { session: 's' })
    while (order.length === 0) await pause(2)
    const other = await spine.publish(Inquiry, { text: '' }, { session: 's' })
    const { waiting } = await spine.settled(other.request, { within: 5 })
    expect(waiting).toMatchObject([{ agent: 'ben', why: 'exclusive', on: [expect.stringMatching(/^\d+\/ann$/)] }])
    expect((await spine.settled(other.request)).status).toBe('done')
    expect(order).toEqual(['ann began', 'ann ends', 'ben'])
  })

  it('are not kept waiting by an agent that is paused, absent, or has no slot: what has not started holds nothing', async () => {
    const order: string[] = []
    const noting = (name: string) =>
      agent(name, { on: Numbered, exclusive: 'x' }, async (_evt, ctx) => {
        await ctx.step('note', () => order.push(name))
      })
    const one = await world.open({ agents: [noting('ann'), noting('ben'), noting('cas')] })
    await one.agents.pause('ann')
    await one.close()
    // 'cas' is hosted by nobody from here on.
    const two = await world.open({ agents: [noting('ann'), noting('ben')] })
    const { request } = await two.publish(Numbered, { n: 1 }, { session: 's' })
    while (order.length === 0) await pause(2)
    expect(order).toEqual(['ben'])
    expect(await why(two, request)).toEqual(['ann: agent paused'])
    await two.agents.resume('ann')
    while (order.length === 1) await pause(2)
    expect(order).toEqual(['ben', 'ann'])
  })

  it('a run that began goes on first after a restart', async () => {
    const order: string[] = []
    const gate = deferred()
    const ann = agent('ann', { on: Numbered, exclusive: 'x' }, async (_evt, ctx) => {
      await ctx.step('first', () => order.push('ann began'))
      await ctx.step('hang', () => gate.promise)
      await ctx.step('last', () => order.push('ann ends'))
    })
    const ben = agent('ben', { on: Inquiry, exclusive: 'x', priority: 'critical' }, async (_evt, ctx) => {
      await ctx.step('only', () => order.push('ben'))
    })
    const one = await world.open({ agents: [ann, ben] })
    await one.publish(Numbered, { n: 1 }, { session: 's' })
    while (order.length === 0) await pause(2)
    const { request } = await one.publish(Inquiry, { text: '' }, { session: 's' })
    await one.close({ drain: 0 })
    gate.resolve()
    const two = await world.open({ agents: [ann, ben] })
    expect((await two.settled(request)).status).toBe('done')
    expect(order).toEqual(['ann began', 'ann ends', 'ben'])
  })

  it('a stopped run keeps the others waiting until its step has ended', async () => {
    const on = floor()
    const began = deferred()
    const ann = agent('ann', { on: Numbered, exclusive: 'x' }, async (evt, ctx) => {
      await ctx.step('slow', async () => {
        on.enter('ann', evt.session)
        began.resolve()
        await pause(40)
        on.leave('ann', evt.session)
      })
    })
    const ben = agent('ben', { on: Inquiry, exclusive: 'x' }, async (evt, ctx) => {
      await ctx.step('only', () => on.enter('ben', evt.session))
    })
    const spine = await world.open({ agents: [ann, ben] })
    const first = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    await began.promise
    const second = await spine.publish(Inquiry, { text: '' }, { session: 's' })
    await spine.requests.cancel(first.request, 'changed my mind')
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(on).toMatchObject({ seen: ['ann', 'ben'], overlaps: [] })
  })

  it('the most urgent of those that wait goes next, and lends its class to what it waits for', async () => {
    const order: string[] = []
    const gate = deferred()
    const holding = agent('holding', { on: Numbered, exclusive: 'x' }, async (_evt, ctx) => {
      await ctx.step('hang', () => gate.promise)
    })
    const noting = (name: string, priority: 'low' | 'normal' | 'critical') =>
      agent(name, { on: Inquiry, exclusive: 'x', priority }, async (_evt, ctx) => {
        await ctx.step('note', () => order.push(name))
      })
    const spine = await world.open({
      agents: [holding, noting('ann', 'low'), noting('ben', 'normal'), noting('cas', 'critical')],
    })
    await spine.publish(Numbered, { n: 1 }, { session: 's', priority: 'background' })
    await until(() => spine.agents.list().some(({ name, open }) => name === 'holding' && open > 0))
    await pause(10)
    const { request } = await spine.publish(Inquiry, { text: '' }, { session: 's' })
    await why(spine, request)
    gate.resolve()
    expect((await spine.settled(request)).status).toBe('done')
    expect(order).toEqual(['cas', 'ben', 'ann'])
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(2)
}

describeOnEachEngine('calls of exclusive agents', (world) => {
  const Ann = agent('ann', { input: Question, output: Answer, exclusive: 'x', retry: quickly(1) })
  const Ben = agent('ben', { input: Question, output: Answer, exclusive: 'x', retry: quickly(1) })
  const Cas = agent('cas', { input: Question, output: Answer, exclusive: 'y', retry: quickly(1) })

  it('run inside the hold of a caller, at any distance, one at a time', async () => {
    const on = floor()
    const asked = async (evt: { session: string; data: { question: string } }, ctx: Context) => {
      await ctx.step('work', async () => {
        on.enter(evt.data.question, evt.session)
        await pause(3)
        on.leave(evt.data.question, evt.session)
      })
      return { answer: evt.data.question }
    }
    const ann = Ann.handle(async (evt, ctx) => {
      if (evt.data.question !== 'root') return asked(evt, ctx as unknown as Context)
      const both = await ctx.gather([
        ctx.call(Ben, { question: 'left' }),
        ctx.call(Cas, { question: 'through cas' }),
        ctx.call(Ben, { question: 'right' }),
      ])
      return { answer: both.map(({ answer }) => answer).join(', ') }
    })
    const ben = Ben.handle((evt, ctx) => asked(evt, ctx as unknown as Context))
    const cas = Cas.handle(async (_evt, ctx) => ctx.call(Ann, { question: 'deep' }))
    const spine = await world.open({ agents: [ann, ben, cas] })
    const handle = await spine.start(Ann, { question: 'root' }, { session: 's' })
    expect(await handle.result({ within: '5s' })).toEqual({ answer: 'left, deep, right' })
    expect(on.seen.toSorted()).toEqual(['deep', 'left', 'right'])
    expect(on.overlaps).toEqual([])
  })

  it('a circle of two holds is broken at its youngest call', async () => {
    const codes: string[] = []
    const crossing =
      (to: typeof Ann | typeof Cas, ms: number) => async (evt: { data: { question: string } }, ctx: Context) => {
        if (evt.data.question !== 'cross') return { answer: 'plain' }
        await ctx.sleep(ms)
        try {
          return await ctx.call(to, { question: 'plain' })
        } catch (error) {
          await ctx.step(
            'note',
            () => void codes.push(`${(error as { code: string }).code} ${(error as Error).message}`),
          )
          return { answer: 'did without' }
        }
      }
    const ann = Ann.handle((evt, ctx) => crossing(Cas, 10)(evt, ctx as unknown as Context))
    const cas = Cas.handle((evt, ctx) => crossing(Ann, 60)(evt, ctx as unknown as Context))
    const spine = await world.open({ agents: [ann, cas] })
    const one = await spine.start(Ann, { question: 'cross' }, { session: 's' })
    const two = await spine.start(Cas, { question: 'cross' }, { session: 's' })
    expect(await two.result({ within: '5s' })).toEqual({ answer: 'did without' })
    expect(await one.result({ within: '5s' })).toEqual({ answer: 'plain' })
    expect(codes).toEqual([expect.stringMatching(/^SPINE_CALL_CYCLE .*cas → ann → cas/)])
  })
})

describeOnEachEngine('exclusive and freshness', (world) => {
  const Message = event('message.received', z.object({ text: z.string() }))
  const Wanted = event('appointment.wanted', z.object({ text: z.string() }))
  const Noted = event('note.wanted', z.object({ text: z.string() }))

  it("a run that waits for a newer turn lets that turn's work pass, and goes on behind it", async () => {
    const order: string[] = []
    const gate = deferred()
    const reading = agent('reading', { on: Message, emits: [Wanted, Noted] }, (evt, ctx) => {
      ctx.emit(evt.data.text === 'book' ? Wanted : Noted, evt.data)
    })
    const freshness = { newer: [Message], then: 'hold' } as const
    const booking = agent('booking', { on: Wanted, exclusive: 'calendar', freshness }, async (_evt, ctx) => {
      await ctx.step('look', () => gate.promise)
      await ctx.step('book', () => void order.push('booked'), { effect: true })
    })
    const noting = agent('noting', { on: Noted, exclusive: 'calendar' }, async (_evt, ctx) => {
      await ctx.step('note', () => void order.push('noted'), { effect: true })
    })
    const spine = await world.open({ agents: [reading, booking, noting] })
    const first = await spine.publish(Message, { text: 'book' }, { session: 's' })
    await until(() => spine.agents.list().some(({ name, open }) => name === 'booking' && open > 0))
    await pause(10)
    const second = await spine.publish(Message, { text: 'note' }, { session: 's' })
    await pause(10)
    // Its step still executes: until that has ended, nobody else comes in.
    expect(order).toEqual([])
    gate.resolve()
    expect((await spine.settled(second.request)).status).toBe('done')
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(order).toEqual(['noted', 'booked'])
  })

  it('a caller and what it called stand still for one turn, and go on in order when it is over', async () => {
    const order: string[] = []
    const [looked, turned] = [deferred(), deferred()]
    const freshness = { newer: [Message], then: 'hold' } as const
    const Inner = agent('inner', { input: Question, output: Answer, exclusive: 'calendar', freshness })
    const inner = Inner.handle(async (_evt, ctx) => {
      await ctx.step('look', () => looked.promise)
      await ctx.step('note', () => void order.push('inner'))
      return { answer: 'inner' }
    })
    const outer = agent('outer', { on: Wanted, exclusive: 'calendar', freshness }, async (_evt, ctx) => {
      await ctx.call(Inner, { question: 'what?' })
      await ctx.step('note', () => void order.push('outer'))
    })
    const turning = agent('turning', { on: Message }, async (_evt, ctx) => {
      await ctx.step('read', () => turned.promise)
      await ctx.step('note', () => void order.push('turn'))
    })
    const spine = await world.open({ agents: [inner, outer, turning] })
    const { request } = await spine.publish(Wanted, { text: 'book' }, { session: 's' })
    await until(() => spine.agents.list().some(({ name, open }) => name === 'inner' && open > 0))
    await pause(10)
    await spine.publish(Message, { text: 'well' }, { session: 's' })
    await pause(10)
    looked.resolve()
    await pause(20)
    expect(order).toEqual([])
    turned.resolve()
    expect((await spine.settled(request)).status).toBe('done')
    expect(order).toEqual(['turn', 'inner', 'outer'])
  })
})

it.each([['a b'], [''], [7], ['x'.repeat(129)]])('refuses the name %j', (exclusive) => {
  expect(() => agent('ann', { on: Numbered, exclusive: exclusive as string }, () => {})).toThrow(
    expect.objectContaining({ code: 'SPINE_AGENT_INVALID', value: exclusive }),
  )
})
