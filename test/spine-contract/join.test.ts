/** `on: join([…])`: one delivery for events of several types, wherever they come from (coordination/join.ts). */
import { agent, event, join, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Inquiry, quickly } from '../support/vocabulary.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { describeOnEachEngine, type World } from '../support/world.ts'

const Priced = event('order.priced', z.object({ total: z.number() }))
const Checked = event('order.checked', z.object({ ok: z.boolean() }))
const Packed = event('order.packed', z.object({ boxes: z.number() }))
const Offered = event('offer.made', z.object({ says: z.string() }))

const pricing = agent('pricing', { on: Inquiry, emits: [Priced] }, (_evt, ctx) => ctx.emit(Priced, { total: 7 }))
const checking = agent('checking', { on: Inquiry, emits: [Checked] }, (_evt, ctx) => ctx.emit(Checked, { ok: true }))

/** What a round was given: `<total> <ok>`, `-` for what is missing. */
const says = ({
  data,
}: {
  data: { 'order.priced'?: { data: { total: number } }; 'order.checked'?: { data: { ok: boolean } } }
}) => `${data['order.priced']?.data.total ?? '-'} ${data['order.checked']?.data.ok ?? '-'}`

const perSession = agent('offer', { on: join([Priced, Checked], { per: 'session' }), emits: [Offered] }, (evt, ctx) =>
  ctx.emit(Offered, { says: says(evt) }),
)
const perRequest = agent('offer', { on: join([Priced, Checked], { per: 'request' }), emits: [Offered] }, (evt, ctx) =>
  ctx.emit(Offered, { says: says(evt) }),
)

async function offers(world: World, spine: Spine): Promise<readonly string[]> {
  const all = await world.records(spine)
  return all.filter(({ type }) => type === 'offer.made').map(({ data }) => (data as { says: string }).says)
}

/** Until that many offers were made. */
async function offered(world: World, spine: Spine, count: number): Promise<readonly string[]> {
  for (let tries = 0; tries < 400; tries++) {
    const made = await offers(world, spine)
    if (made.length >= count) return made
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return offers(world, spine)
}

/** What comes at once on an idle machine. */
const PATIENT = { timeout: 10_000 }

const inSession = { session: 's' } as const

describeOnEachEngine('join', (world) => {
  const { open, records } = world

  it('gives the handler one event of each type of a request, in the place of the first', async () => {
    let given: unknown
    const offer = agent('offer', { on: join([Priced, Checked], { per: 'request' }), emits: [Offered] }, (evt, ctx) => {
      given = evt
      ctx.emit(Offered, { says: says(evt) })
    })
    const spine = await open({ agents: [pricing, checking, offer] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, inSession)
    expect(await spine.settled(request)).toMatchObject({ status: 'done' })
    const all = await records(spine)
    expect(await offers(world, spine)).toEqual(['7 true'])
    const [first] = all.filter(({ type }) => type === 'order.priced' || type === 'order.checked')
    expect(given).toMatchObject({
      type: 'spine.join',
      sequence: first?.sequence,
      cause: first?.cause,
      session: 's',
      request,
      missing: [],
      data: { 'order.priced': { data: { total: 7 }, source: 'pricing' }, 'order.checked': { source: 'checking' } },
    })
    expect(all.find(({ type }) => type === 'offer.made')).toMatchObject({ cause: first?.sequence, hops: 2, request })
  })

  it('is added to a log that has run for a while, and nobody else changes', async () => {
    const before = await open({ agents: [pricing, checking] })
    await before.settled((await before.publish(Inquiry, { text: 'a' })).request)
    await before.close()
    const spine = await open({ agents: [pricing, checking, perRequest] })
    const registered = (await records(spine)).filter(({ type }) => type === 'spine.agent.registered')
    expect(registered.map(({ data }) => (data as { name: string }).name)).toEqual(['pricing', 'checking', 'offer'])
    const { request } = await spine.publish(Inquiry, { text: 'b' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual(['7 true'])
    expect(spine.agents.list().find(({ name }) => name === 'offer')).toMatchObject({
      on: ['order.priced', 'order.checked'],
      join: { per: 'request', withinMs: undefined, atLeast: undefined },
    })
  })

  it('keeps a round over restarts, and settled says that it is joining', async () => {
    const before = await open({ agents: [perSession] })
    const { request } = await before.publish(Priced, { total: 1 }, inSession)
    expect(await before.settled(request, { within: 5 })).toMatchObject({
      status: 'open',
      waiting: [{ agent: 'offer', why: 'joining' }],
    })
    await before.close()
    const between = await open({ agents: [] })
    await between.publish(Priced, { total: 2 }, inSession)
    await between.close()
    const spine = await open({ agents: [perSession] })
    await spine.publish(Checked, { ok: false }, inSession)
    expect((await spine.settled(request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual(['1 false'])
  })

  it('per session: the first of each type counts, and the next event begins a new round, also while the last is handled', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    const offer = agent(
      'offer',
      { on: join([Priced, Checked], { per: 'session' }), emits: [Offered] },
      async (evt, ctx) => {
        if (evt.data['order.priced'].data.total === 1) await ctx.step('wait', () => released)
        ctx.emit(Offered, { says: says(evt) })
      },
    )
    const spine = await open({ agents: [offer] })
    await spine.publish(Priced, { total: 1 }, inSession)
    await spine.publish(Priced, { total: 2 }, inSession)
    await spine.publish(Checked, { ok: true }, inSession)
    await spine.publish(Checked, { ok: false }, inSession)
    const last = await spine.publish(Priced, { total: 3 }, inSession)
    await spine.publish(Priced, { total: 9 }, { session: 'another' })
    expect(spine.agents.list()[0]?.open).toBe(3)
    release()
    expect(await offered(world, spine, 2)).toEqual(['1 true', '3 false'])
    expect((await spine.settled(last.request)).status).toBe('done')
  })

  it('per request: fires once, and again only after the request has come to rest', async () => {
    const seen: string[] = []
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    const slow = agent('slow', { on: Inquiry }, (_evt, ctx) => ctx.step('wait', () => released).then(() => undefined))
    const spine = await open({ agents: [slow, perRequest] })
    const { sequence: cause, request } = await spine.publish(Inquiry, { text: 'a' })
    await spine.publish(Priced, { total: 1 }, { cause })
    await spine.publish(Checked, { ok: true }, { cause })
    seen.push(...(await offered(world, spine, 1)))
    await spine.publish(Priced, { total: 2 }, { cause })
    await spine.publish(Checked, { ok: false }, { cause })
    release()
    expect((await spine.settled(request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual(['1 true'])
    await spine.publish(Priced, { total: 3 }, { cause })
    await spine.publish(Checked, { ok: false }, { cause })
    expect((await spine.settled(request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual([...seen, '3 false'])
  })

  it('atLeast: fires as soon as that many types are there, and names the others', async () => {
    const offer = agent(
      'offer',
      { on: join([Priced, Checked, Packed], { per: 'session', atLeast: 2 }), emits: [Offered] },
      (evt, ctx) => ctx.emit(Offered, { says: `${says(evt)} without ${evt.missing.join()}` }),
    )
    const spine = await open({ agents: [offer] })
    const { request } = await spine.publish(Packed, { boxes: 2 }, inSession)
    await spine.publish(Priced, { total: 1 }, inSession)
    expect((await spine.settled(request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual(['1 - without order.checked'])
    // A third would begin a new round.
    await spine.publish(Checked, { ok: true }, inSession)
    expect(spine.agents.list()[0]?.open).toBe(1)
  })

  it('is given the same events at every attempt, from the dead letters too', async () => {
    const given: string[] = []
    let broken = true
    const offer = agent(
      'offer',
      { on: join([Priced, Checked], { per: 'session' }), emits: [Offered], retry: quickly(3) },
      (evt, ctx) => {
        given.push(says(evt))
        if (broken) throw new Error('broken')
        ctx.emit(Offered, { says: says(evt) })
      },
    )
    const spine = await open({ agents: [offer] })
    const { request } = await spine.publish(Priced, { total: 1 }, inSession)
    await spine.publish(Checked, { ok: true }, inSession)
    const { status, deadLetters } = await spine.settled(request)
    expect(status).toBe('failed')
    await spine.publish(Checked, { ok: false }, inSession)
    const { event: first, joined } = await spine.deadLetters.get(deadLetters[0] as string)
    expect(joined.map(({ type }) => type)).toEqual(['order.priced', 'order.checked'])
    expect(first).toEqual(joined[0])
    broken = false
    await spine.deadLetters.redrive(deadLetters[0] as string)
    expect(await offered(world, spine, 1)).toEqual(['1 true'])
    expect(new Set(given)).toEqual(new Set(['1 true']))
    expect(given.length).toBeGreaterThanOrEqual(4)
  })

  it('a redrive after a restart still has its events', async () => {
    const failing = agent('offer', { on: join([Priced, Checked], { per: 'request' }), retry: quickly(1) }, () => {
      throw new Error('broken')
    })
    const before = await open({ agents: [failing] })
    const { sequence: cause, request } = await before.publish(Priced, { total: 1 })
    await before.publish(Checked, { ok: true }, { cause })
    const { deadLetters } = await before.settled(request)
    await before.close()
    const spine = await open({ agents: [perRequest] })
    await spine.deadLetters.redrive(deadLetters[0] as string)
    expect(await offered(world, spine, 1)).toEqual(['1 true'])
  })

  it('ends with the request that its first event belongs to', async () => {
    const spine = await open({ agents: [perSession] })
    const { request } = await spine.publish(Priced, { total: 1 }, inSession)
    await spine.requests.cancel(request, 'changed my mind')
    expect(await spine.settled(request)).toMatchObject({ status: 'cancelled', waiting: [] })
    const second = await spine.publish(Checked, { ok: true }, inSession)
    await spine.publish(Priced, { total: 2 }, inSession)
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual(['2 true'])
  })

  it('has the earliest deadline of its events, and expires with it', async () => {
    // Time stands while anything is done, so that a busy machine expires nothing too soon.
    const clock = new ManualClock()
    const before = await open({ agents: [perSession], clock })
    const first = await before.publish(Priced, { total: 1 }, inSession)
    await before.publish(Priced, { total: 1 }, { ...inSession, deadline: 20 })
    await before.close()
    // The second of a type counts for nothing, its deadline neither.
    const between = await open({ agents: [], clock })
    await clock.advance(40)
    await between.publish(Checked, { ok: true }, { ...inSession, deadline: 20 })
    await clock.advance(19)
    expect((await between.settled(first.request)).absent).toEqual(['offer'])
    await clock.advance(1)
    await expect.poll(async () => (await between.settled(first.request)).absent, PATIENT).toEqual([])
    await between.close()
    const spine = await open({ agents: [perSession], clock })
    expect(await offers(world, spine)).toEqual([])
    expect((await records(spine)).filter(({ type }) => type === 'spine.delivery.expired')).toHaveLength(1)
  })

  it('a round goes on when its agent is renamed, and ends when it is removed', async () => {
    const old = agent('old-offer', { on: join([Priced, Checked], { per: 'session' }) }, () => {})
    const before = await open({ agents: [old] })
    const { request } = await before.publish(Priced, { total: 1 }, inSession)
    await before.publish(Priced, { total: 2 }, { session: 'another' })
    await before.close()
    const spine = await open({ agents: [] })
    await spine.agents.rename('old-offer', 'offer')
    await spine.publish(Checked, { ok: true }, inSession)
    await spine.close()
    const heir = await open({ agents: [perSession] })
    expect((await heir.settled(request)).status).toBe('done')
    expect(await offers(world, heir)).toEqual(['1 true'])
    expect(heir.agents.list()[0]?.open).toBe(1)
    await heir.close()
    const last = await open({ agents: [] })
    await last.agents.remove('offer')
    expect(last.agents.list()).toEqual([])
  })

  it('a round goes on as it began when the agent joins other types by now', async () => {
    const before = await open({ agents: [perSession] })
    const { request } = await before.publish(Priced, { total: 1 }, inSession)
    await before.close()
    const changed = agent(
      'offer',
      { version: 2, on: join([Priced, Packed], { per: 'session' }), emits: [Offered] },
      (evt, ctx) => ctx.emit(Offered, { says: `${Object.keys(evt.data).sort().join(' ')}` }),
    )
    const spine = await open({ agents: [changed] })
    const packed = await spine.publish(Packed, { boxes: 1 }, inSession)
    await spine.publish(Checked, { ok: true }, inSession)
    expect((await spine.settled(request)).status).toBe('done')
    await spine.publish(Priced, { total: 2 }, inSession)
    expect((await spine.settled(packed.request)).status).toBe('done')
    expect(await offers(world, spine)).toEqual(['order.checked order.priced', 'order.packed order.priced'])
    // Nobody joins it any more.
    await spine.publish(Checked, { ok: true }, inSession)
    expect(spine.agents.list()[0]?.open).toBe(0)
  })
})

it.each<[string, () => unknown, string, RegExp]>([
  ['one type', () => join([Priced] as never, { per: 'request' }), 'SPINE_AGENT_INVALID', /1 event type/],
  ['no list', () => join(Priced as never, { per: 'request' }), 'SPINE_AGENT_INVALID', /list/],
  [
    'a type twice',
    () => join([Priced, Checked, Priced], { per: 'request' }),
    'SPINE_AGENT_INVALID',
    /'order.priced' twice/,
  ],
  [
    'no event type',
    () => join([Priced, 'order.checked'] as never, { per: 'request' }),
    'SPINE_AGENT_INVALID',
    /event\(\)/,
  ],
  ['no per', () => join([Priced, Checked], {} as never), 'SPINE_AGENT_INVALID', /per/],
  [
    'atLeast of more than there are',
    () => join([Priced, Checked], { per: 'request', atLeast: 3 }),
    'SPINE_OPTION_INVALID',
    /atLeast is 3/,
  ],
  [
    'atLeast of none',
    () => join([Priced, Checked], { per: 'request', atLeast: 0 }),
    'SPINE_OPTION_INVALID',
    /atLeast is 0/,
  ],
  [
    'a duration that is none',
    () => join([Priced, Checked], { per: 'request', within: 'soon' as never }),
    'SPINE_DURATION_INVALID',
    /within/,
  ],
  [
    'too many types',
    () => join(Array.from({ length: 33 }, (_, n) => event(`type.n${n}`, z.object({}))) as never, { per: 'request' }),
    'SPINE_AGENT_INVALID',
    /33/,
  ],
])('join refuses %s', (_, make, code, says) => {
  let caught: unknown
  try {
    make()
  } catch (error) {
    caught = error
  }
  expect(caught).toMatchObject({ code, message: expect.stringMatching(says) })
})
