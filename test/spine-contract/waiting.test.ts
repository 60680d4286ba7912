import { agent, type Context, event, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Inquiry, Numbered, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Asked = event('approval.asked', z.object({ order: z.string() }))
const Given = event('approval.given', z.object({ by: z.string(), yes: z.boolean() }))

async function all(spine: Spine, type: string) {
  const records = []
  for await (const record of spine.log.read({ types: [type] })) records.push(record)
  return records
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 500 && !(await holds()); turn++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await holds()).toBe(true)
}

const isWaiting = (spine: Spine) => async () => (await all(spine, 'spine.wait.opened')).length > 0

/** Asks, waits for the answer to its own question, and says what came. */
const approval = agent('approval', { on: Inquiry, emits: [Asked, Booked] }, async (evt, ctx) => {
  const asked = await ctx.publish(Asked, { order: evt.data.text })
  const answer = await ctx.waitFor(Given, { cause: asked, within: '1h' })
  ctx.emit(Booked, { service: answer === undefined ? 'nobody' : `${answer.data.by} ${answer.data.yes}` })
})

describeOnEachEngine('waiting for an event', (world) => {
  it('gives the answer to its own question, which a person publishes with the question as its cause', async () => {
    const spine = await world.open({ agents: [approval] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    const other = await spine.publish(Inquiry, { text: 'b' }, { session: 't' })
    await until(async () => (await all(spine, 'spine.wait.opened')).length === 2)
    const [first, second] = await all(spine, Asked.type)
    await spine.publish(Given, { by: 'Bo', yes: false }, { cause: second?.sequence as number })
    const given = await spine.publish(Given, { by: 'Ann', yes: true }, { cause: first?.sequence as number })
    expect(given).toMatchObject({ request, session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await spine.settled(other.request)).status).toBe('done')
    const booked = (await all(spine, Booked.type)).map(({ session, data }) => [session, data])
    expect(booked).toEqual(
      expect.arrayContaining([
        ['s', { service: 'Ann true' }],
        ['t', { service: 'Bo false' }],
      ]),
    )
  })

  it('goes on over a restart, also when the answer came while nobody hosted the agent', async () => {
    const one = await world.open({ agents: [approval] })
    const { request } = await one.publish(Inquiry, { text: 'a' })
    await until(isWaiting(one))
    await one.close()
    const without = await world.open({ agents: [] })
    const [asked] = await all(without, Asked.type)
    await without.publish(Given, { by: 'Ann', yes: true }, { cause: asked?.sequence as number })
    await without.close()
    const two = await world.open({ agents: [approval] })
    expect((await two.settled(request)).status).toBe('done')
    expect((await all(two, 'spine.wait.matched')).length).toBe(1)
  })

  it('takes an event that came before the wait was recorded, and never one from before its own', async () => {
    const late = agent('late', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.sleep(40)
      const number = await ctx.waitFor(Numbered, { within: '1h' })
      ctx.emit(Booked, { service: `${number?.data.n}` })
    })
    const spine = await world.open({ agents: [late] })
    await spine.publish(Numbered, { n: 1 }, { session: 's' })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await spine.publish(Numbered, { n: 2 }, { session: 's' })
    await spine.publish(Numbered, { n: 3 }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: '2' })
  })

  it('nobody is told that an event is unheard while a run waits for its type', async () => {
    const waiting = agent(
      'waiting',
      { on: Inquiry },
      async (_evt, ctx) => void (await ctx.waitFor(Given, { within: '1h' })),
    )
    const spine = await world.open({ agents: [waiting] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(isWaiting(spine))
    await spine.publish(Given, { by: 'Ann', yes: true }, { session: 's' })
    await spine.settled(request)
    expect(world.warnings).toEqual([])
    await spine.publish(Given, { by: 'Ann', yes: true }, { session: 's' })
    expect(world.warnings).toEqual([expect.stringContaining("no agent is registered for 'approval.given'")])
  })

  it('compares parts of the data, and looks in its own session only', async () => {
    const picky = agent('picky', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const given = await ctx.waitFor(Given, { match: { yes: true }, within: '1h' })
      ctx.emit(Booked, { service: given?.data.by ?? 'nobody' })
    })
    const spine = await world.open({ agents: [picky] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(isWaiting(spine))
    await spine.publish(Given, { by: 'elsewhere', yes: true }, { session: 't' })
    await spine.publish(Given, { by: 'no', yes: false }, { session: 's' })
    await spine.publish(Given, { by: 'yes', yes: true }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: 'yes' })
  })

  it('two waits in a row take one event each, in order; the second begins after what the first took', async () => {
    const both = agent('both', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const first = await ctx.waitFor(Numbered, { within: '1h' })
      const second = await ctx.waitFor(Numbered, { within: '1h' })
      ctx.emit(Booked, { service: `${first?.data.n} ${second?.data.n}` })
    })
    const spine = await world.open({ agents: [both] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await spine.publishAll([1, 2].map((n) => ({ type: Numbered, data: { n }, options: { session: 's' } })))
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: '1 2' })
  })

  it('peer bug 8: a wait times out, and the next one still gets its event', async () => {
    const patient = agent('patient', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const first = await ctx.waitFor(Numbered, { within: 30 })
      const second = await ctx.waitFor(Numbered, { within: '1h' })
      ctx.emit(Booked, { service: `${first?.data.n} ${second?.data.n}` })
    })
    const spine = await world.open({ agents: [patient] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(async () => (await all(spine, 'spine.wait.expired')).length === 1)
    await spine.publish(Numbered, { n: 7 }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: 'undefined 7' })
  })

  it("what a wait takes is not delivered to the same agent again ('taken'); others are given it", async () => {
    const talks: string[] = []
    const others: number[] = []
    const talk = agent('talk', { on: [Inquiry, Numbered] }, async (evt, ctx) => {
      talks.push(evt.type)
      if (Inquiry.is(evt)) await ctx.waitFor(Numbered, { within: '1h' })
    })
    const other = agent('other', { on: Numbered }, (evt) => void others.push(evt.data.n))
    const spine = await world.open({ agents: [talk, other] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(isWaiting(spine))
    const number = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await spine.settled(number.request)).status).toBe('done')
    expect(new Set(talks)).toEqual(new Set([Inquiry.type]))
    expect(others).toEqual([1])
    expect((await all(spine, 'spine.delivery.taken')).map(({ cause, agent }) => [cause, agent])).toEqual([
      [number.sequence, 'talk'],
    ])
  })

  it('a failed attempt keeps what a wait took; a wait that is open goes on for the next attempt', async () => {
    let tries = 0
    const clumsy = agent('clumsy', { on: Inquiry, emits: [Booked], retry: quickly(3) }, async (_evt, ctx) => {
      const number = await ctx.waitFor(Numbered, { within: '1h' })
      await ctx.step('try', () => {
        if (++tries === 1) throw new Error('once')
      })
      ctx.emit(Booked, { service: `${number?.data.n}` })
    })
    const spine = await world.open({ agents: [clumsy] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(isWaiting(spine))
    await spine.publish(Numbered, { n: 1 }, { session: 's' })
    await spine.publish(Numbered, { n: 2 }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type)).map(({ data }) => data)).toEqual([{ service: '1' }])
    expect((await all(spine, 'spine.wait.opened')).length).toBe(1)
  })

  it('gives the same event to a native race on every replay', async () => {
    const racing = agent('racing', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const number = ctx.waitFor(Numbered, { within: '1h' })
      const winner = await Promise.race([number.then((evt) => `${evt?.data.n}`), ctx.sleep('1h').then(() => 'slept')])
      await ctx.sleep(1)
      ctx.emit(Booked, { service: winner })
    })
    const spine = await world.open({ agents: [racing] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(isWaiting(spine))
    await spine.publish(Numbered, { n: 5 }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: '5' })
  })

  it('ends with its request; an answer to a question of a cancelled request is refused', async () => {
    const spine = await world.open({ agents: [approval] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    await until(isWaiting(spine))
    await spine.requests.cancel(request, 'never mind')
    const [asked] = await all(spine, Asked.type)
    const answer = spine.publish(Given, { by: 'Ann', yes: true }, { cause: asked?.sequence as number })
    await expect(answer).rejects.toMatchObject({ code: 'SPINE_REQUEST_CANCELLED' })
    expect(await all(spine, Booked.type)).toEqual([])
  })

  it.each([
    ['within', { within: 'soon' as never }, 'SPINE_DURATION_INVALID'],
    ['within', undefined as never, 'SPINE_DURATION_INVALID'],
    ['within', { within: Number.POSITIVE_INFINITY }, 'SPINE_DURATION_INVALID'],
    ['within', { within: '101000d' as never }, 'SPINE_DURATION_INVALID'],
    ['cause', { within: 1, cause: 0 }, 'SPINE_OPTION_INVALID'],
    ['cause', { within: 1, cause: '7' as never }, 'SPINE_OPTION_INVALID'],
    ['cause', { within: 1, cause: 1.5 }, 'SPINE_OPTION_INVALID'],
    ['cause', { within: 1, cause: { id: 'x' } as never }, 'SPINE_OPTION_INVALID'],
    ['cause', { within: 1, cause: null as never }, 'SPINE_OPTION_INVALID'],
    ['match', { within: 1, match: ['x'] as never }, 'SPINE_OPTION_INVALID'],
    ['match', { within: 1, match: null as never }, 'SPINE_OPTION_INVALID'],
    ['match', { within: 1, match: 'Ann' as never }, 'SPINE_OPTION_INVALID'],
    ['match', { within: 1, match: { n: () => 1 } as never }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['match', { within: 1, match: { x: 'y'.repeat(5_000) } as never }, 'SPINE_PAYLOAD_TOO_LARGE'],
  ])('refuses a wrong %s before anything of it is recorded', async (_what, options, code) => {
    const wrong = agent('wrong', { on: Inquiry, retry: { attempts: 1 } }, async (_evt, ctx) => {
      await ctx.waitFor(Numbered, options)
    })
    const spine = await world.open({ agents: [wrong] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    const { deadLetters } = await spine.settled(request)
    expect((await spine.deadLetters.get(deadLetters[0] as string)).error.code).toBe(code)
    expect(await all(spine, 'spine.wait.opened')).toEqual([])
  })
})

describeOnEachEngine('what cannot be waited for', (world) => {
  const refusal = async (ask: (ctx: Context<{ emits: [typeof Numbered] }>) => unknown) => {
    const wrong = agent('wrong', { on: Inquiry, emits: [Numbered], retry: { attempts: 1 } }, async (_evt, ctx) => {
      await ask(ctx as never)
    })
    const spine = await world.open({ agents: [wrong] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    const { deadLetters } = await spine.settled(request)
    const { code } = (await spine.deadLetters.get(deadLetters[0] as string)).error
    const left = (await world.records(spine)).map(({ type }) => type)
    return { code, left: left.filter((type) => /^(?:number|spine\.(?:timer|wait))/.test(type)) }
  }

  it.each<readonly [string, Parameters<typeof refusal>[0], string]>([
    ['a sleep', (ctx) => ctx.sleep('tomorrow' as never), 'SPINE_DURATION_INVALID'],
    ['a sleep', (ctx) => ctx.sleep(-1), 'SPINE_DURATION_INVALID'],
    ['a publish', (ctx) => ctx.publish(Numbered, { n: 1 }, { delay: 'later' as never }), 'SPINE_DURATION_INVALID'],
    ['an emit', (ctx) => ctx.emit(Numbered, { n: 1 }, { delay: -5 }), 'SPINE_DURATION_INVALID'],
    ['a name', (ctx) => ctx.waitFor('number.drawn' as never, { within: 1 }), 'SPINE_EVENT_INVALID'],
    ['nothing', (ctx) => ctx.waitFor(undefined as never, { within: 1 }), 'SPINE_EVENT_INVALID'],
  ])('refuses %s that makes no sense, before anything of it is recorded', async (_what, ask, code) => {
    expect(await refusal(ask)).toEqual({ code, left: [] })
  })

  it('refuses one wait more than a run may make', async () => {
    const { code } = await refusal((ctx) =>
      Promise.all(Array.from({ length: 10_001 }, () => ctx.waitFor(Numbered, { within: '1h' }))),
    )
    expect(code).toBe('SPINE_OPTION_INVALID')
  })

  it.each(['7', 1.5, 0, -1, 1_000_000, Number.NaN, { sequence: 1 }, null])(
    'refuses to publish an answer to %j',
    async (cause) => {
      const spine = await world.open({ agents: [] })
      const answer = spine.publish(Numbered, { n: 1 }, { cause: cause as never })
      await expect(answer).rejects.toMatchObject({ code: 'SPINE_OPTION_INVALID', limit: expect.any(Number) })
      expect(await all(spine, Numbered.type)).toEqual([])
    },
  )

  it('two waits of one run that are open at once are both given the next event, unless it fits only one', async () => {
    const both = agent('both', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const waits = [{}, {}, { match: { n: 2 } }].map((which) => ctx.waitFor(Numbered, { ...which, within: '1h' }))
      const given = await Promise.all(waits)
      ctx.emit(Booked, { service: given.map((number) => number?.data.n).join() })
    })
    const spine = await world.open({ agents: [both] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(async () => (await all(spine, 'spine.wait.opened')).length === 3)
    for (const n of [1, 2]) await spine.publish(Numbered, { n }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: '1,1,2' })
  })
})

describeOnEachEngine('a delayed event', (world) => {
  it('is on the log at once and delivered when it is due; later ones of its key are not held up', async () => {
    const seen: [number, number][] = []
    const counter = agent('counter', { on: Numbered }, async (evt, ctx) => {
      await ctx.step('see', () => void seen.push([evt.data.n, Date.now()]))
    })
    const spine = await world.open({ agents: [counter] })
    const before = Date.now()
    const delayed = await spine.publish(Numbered, { n: 1 }, { session: 's', delay: 120 })
    const plain = await spine.publish(Numbered, { n: 2 }, { session: 's' })
    expect(plain.sequence).toBe(delayed.sequence + 1)
    expect((await spine.settled(plain.request)).status).toBe('done')
    const waiting = await spine.settled(delayed.request, { within: 0 })
    expect(waiting).toMatchObject({ status: 'open', waiting: [{ agent: 'counter', why: 'delayed' }] })
    expect((await spine.settled(delayed.request)).status).toBe('done')
    expect(seen.map(([n]) => n)).toEqual([2, 1])
    expect((seen[1] as [number, number])[1]).toBeGreaterThanOrEqual(before + 120)
  })

  it('keeps its time over a restart, is emitted by agents too, and ends with its request', async () => {
    const seen: number[] = []
    const counter = agent('counter', { on: Numbered }, (evt) => void seen.push(evt.data.n))
    const reminding = agent('reminding', { on: Inquiry, emits: [Numbered] }, (_evt, ctx) => {
      ctx.emit(Numbered, { n: 1 }, { delay: 60 })
      ctx.emit(Numbered, { n: 2 }, { delay: '1h' })
    })
    const one = await world.open({ agents: [counter, reminding] })
    const { request } = await one.publish(Inquiry, { text: 'a' })
    await until(async () => (await all(one, Numbered.type)).length === 2)
    await one.close()
    const two = await world.open({ agents: [counter, reminding] })
    await until(() => seen.length > 0)
    await two.requests.cancel(request, 'enough')
    expect((await two.settled(request)).status).toBe('cancelled')
    expect(new Set(seen)).toEqual(new Set([1]))
  })

  it('is taken by a wait only from then on', async () => {
    const waiting = agent('waiting', { on: Inquiry, emits: [Booked, Numbered] }, async (_evt, ctx) => {
      await ctx.publish(Numbered, { n: 1 }, { delay: 80 })
      await ctx.publish(Numbered, { n: 2 })
      const first = await ctx.waitFor(Numbered, { within: '1h' })
      ctx.emit(Booked, { service: `${first?.data.n}` })
    })
    const spine = await world.open({ agents: [waiting] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await all(spine, Booked.type))[0]?.data).toEqual({ service: '2' })
    const alone = agent('waiting', { version: 2, on: Inquiry, emits: [Booked, Numbered] }, async (_evt, ctx) => {
      const asked = await ctx.publish(Numbered, { n: 3 }, { delay: 60 })
      const due = await ctx.waitFor(Numbered, { within: '1h' })
      ctx.emit(Booked, { service: `${due?.sequence === asked.sequence}` })
    })
    await spine.close()
    const again = await world.open({ agents: [alone] })
    const second = await again.publish(Inquiry, { text: 'b' })
    expect((await again.settled(second.request)).status).toBe('done')
    const matched = (await all(again, 'spine.wait.matched')).at(-1)
    const event = (await all(again, Numbered.type)).at(-1)
    expect(matched?.time).toBeGreaterThanOrEqual(event?.due as number)
  })

  it.each(['-1s', -1, Number.NaN, 'later'])('refuses a delay of %s', async (delay) => {
    const spine = await world.open({ agents: [] })
    await expect(spine.publish(Numbered, { n: 1 }, { delay: delay as never })).rejects.toMatchObject({
      code: 'SPINE_DURATION_INVALID',
    })
  })
})
