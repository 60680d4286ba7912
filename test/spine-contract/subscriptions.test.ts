/** `on: '*'`, `observes` and `after`: what a subscription asks beyond the events of its types. */
import { agent, event, message, type Spine } from 'event-spine'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Inquiry, quickly, Requirements } from '../support/vocabulary.ts'
import { describeOnEachEngine, type World } from '../support/world.ts'

const Heard = event('event.heard', z.object({ of: z.string() }))
const Profile = event('profile.loaded', z.object({ name: z.string() }))

async function heard(world: World, spine: Spine): Promise<readonly string[]> {
  const all = await world.records(spine)
  return all.filter(({ type }) => type === 'event.heard').map(({ data }) => (data as { of: string }).of)
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400 && !(await isSo()); tries++) await new Promise((resolve) => setTimeout(resolve, 5))
}

describeOnEachEngine("on: '*'", (world) => {
  const { open } = world
  const hearing = agent('hearing', { on: '*', emits: [Heard] }, (evt, ctx) =>
    ctx.emit(Heard, { of: `${evt.type} ${evt.source}` }),
  )
  const booking = agent('booking', { on: Inquiry, emits: [Booked] }, (_evt, ctx) => ctx.emit(Booked, { service: 'x' }))

  it('is given every event but its own, whoever else hears it, and no system fact', async () => {
    const spine = await open({ agents: [hearing, booking] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    await spine.publish(Profile, { name: 'b' }, { session: 'b' })
    expect((await spine.settled(request)).status).toBe('done')
    await until(async () => (await heard(world, spine)).length === 3)
    expect([...(await heard(world, spine))].sort()).toEqual([
      'appointment.booked booking',
      'inquiry.received undefined',
      'profile.loaded undefined',
    ])
    expect(world.warnings).toEqual([])
    expect(spine.agents.list()).toContainEqual(expect.objectContaining({ name: 'hearing', on: ['*'] }))
  })

  it('comes back from the dead letters, and goes on under another name without hearing anything twice', async () => {
    let broken = true
    const failing = agent('hearing', { on: '*', emits: [Heard], retry: quickly(1) }, (evt, ctx) => {
      if (broken) throw new Error('broken')
      ctx.emit(Heard, { of: evt.type })
    })
    const before = await open({ agents: [failing] })
    const { request } = await before.publish(Inquiry, { text: 'a' })
    const { deadLetters } = await before.settled(request)
    broken = false
    await before.deadLetters.redrive(deadLetters[0] as string)
    expect((await before.settled(request)).status).toBe('done')
    await before.close()
    const between = await open({ agents: [] })
    const second = await between.publish(Inquiry, { text: 'b' })
    await between.agents.rename('hearing', 'listening')
    await between.close()
    const listening = agent('listening', { on: '*', emits: [Heard] }, (evt, ctx) => ctx.emit(Heard, { of: evt.type }))
    const spine = await open({ agents: [listening] })
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(await heard(world, spine)).toEqual(['inquiry.received', 'inquiry.received'])
  })
})

describeOnEachEngine('observes', (world) => {
  const { open, records } = world
  const booking = agent('booking', { on: Inquiry, emits: [Booked] }, (_evt, ctx) => ctx.emit(Booked, { service: 'x' }))

  it('holds nobody: the request settles while it still runs, and what it emits belongs to the request', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    const audit = agent('audit', { on: '*', observes: true, emits: [Heard] }, async (evt, ctx) => {
      await ctx.step('write', () => released)
      ctx.emit(Heard, { of: evt.type })
    })
    const spine = await open({ agents: [booking, audit] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { deadline: '1h' })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', waiting: [], absent: [] })
    expect(spine.agents.list()).toContainEqual(expect.objectContaining({ name: 'audit', observes: true, open: 2 }))
    release()
    await until(async () => (await heard(world, spine)).length === 2)
    const written = (await records(spine)).filter(({ type }) => type === 'event.heard')
    expect(written.map((record) => record.request)).toEqual([request, request])
    expect((await spine.settled(request)).status).toBe('done')
  })

  it('outlives the cancel of the request, with what it calls, and a restart', async () => {
    const archive = agent(
      'archive',
      { input: z.object({ of: z.string() }), output: z.object({}) },
      async (_evt, ctx) => {
        await ctx.sleep(30)
        return {}
      },
    )
    const audit = agent('audit', { on: Inquiry, observes: true, emits: [Heard] }, async (evt, ctx) => {
      await ctx.call(archive, { of: evt.type })
      ctx.emit(Heard, { of: evt.type })
    })
    const hanging = agent('hanging', { on: Inquiry }, (_evt, ctx) => ctx.sleep('1h'))
    const before = await open({ agents: [audit, archive, hanging] })
    const { request } = await before.publish(Inquiry, { text: 'a' })
    await until(async () => (await records(before)).some(({ type }) => type === 'spine.timer.set'))
    await before.requests.cancel(request, 'no longer wanted')
    expect((await before.settled(request)).status).toBe('cancelled')
    await before.close()
    const spine = await open({ agents: [audit, archive, hanging] })
    await until(async () => (await heard(world, spine)).length === 1)
    expect(await heard(world, spine)).toEqual(['inquiry.received'])
    await until(() => spine.agents.list().every(({ open: count }) => count === 0))
    expect(spine.agents.list().map(({ open: count }) => count)).toEqual([0, 0, 0])
  })

  it('has no deadline: it goes on after its request has expired', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    const audit = agent('audit', { on: Inquiry, observes: true, emits: [Heard] }, async (evt, ctx) => {
      await ctx.step('wait', () => released)
      ctx.emit(Heard, { of: `${evt.type} ${ctx.deadline}` })
    })
    const hanging = agent('hanging', { on: Inquiry }, (_evt, ctx) => ctx.sleep('1h'))
    const spine = await open({ agents: [audit, hanging] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { deadline: 30 })
    expect((await spine.settled(request)).status).toBe('expired')
    release()
    await until(async () => (await heard(world, spine)).length === 1)
    expect(await heard(world, spine)).toEqual(['inquiry.received undefined'])
  })

  it('a request is not taken up again after its deadline, though an observer keeps it in memory', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    const audit = agent('audit', { on: Inquiry, observes: true }, async (_evt, ctx) => {
      await ctx.step('wait', () => released)
    })
    const late = agent('late', { on: Requirements }, () => {})
    const spine = await open({ agents: [audit, late] })
    const { request, sequence } = await spine.publish(Inquiry, { text: 'a' }, { deadline: 20 })
    await new Promise((resolve) => setTimeout(resolve, 40))
    await expect(spine.publish(Requirements, { service: 'x' }, { cause: sequence })).rejects.toMatchObject({
      code: 'SPINE_EXPIRED',
      value: request,
    })
    expect((await records(spine)).map(({ type }) => type)).not.toContain(Requirements.type)
    expect(spine.agents.list().find(({ name }) => name === 'late')?.open).toBe(0)
    expect(await spine.settled(request)).toMatchObject({ waiting: [], absent: [] })
    release()
  })

  it('is retried and dead-lettered like others; the request has not failed by it, and a redrive observes again', async () => {
    let broken = true
    const audit = agent('audit', { on: Inquiry, observes: true, emits: [Heard], retry: quickly(2) }, (evt, ctx) => {
      if (broken) throw new Error('broken')
      ctx.emit(Heard, { of: evt.type })
    })
    const spine = await open({ agents: [booking, audit] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    await until(async () => (await spine.deadLetters.list()).length === 1)
    expect(await spine.settled(request)).toMatchObject({ status: 'done', deadLetters: [] })
    const [letter] = await spine.deadLetters.list({ request })
    expect(letter).toMatchObject({ agent: 'audit', attempts: 2 })
    broken = false
    await spine.requests.cancel(request, 'late')
    await spine.deadLetters.redrive(letter?.id as string)
    await until(async () => (await heard(world, spine)).length === 1)
    expect(await heard(world, spine)).toEqual(['inquiry.received'])
  })

  it('is ordered by its key like others', async () => {
    const order: number[] = []
    const audit = agent('audit', { on: Inquiry, observes: true, emits: [Heard] }, async (evt, ctx) => {
      await ctx.step('write', () => void order.push(evt.sequence))
      ctx.emit(Heard, { of: evt.data.text })
    })
    const spine = await open({ agents: [audit] })
    for (const text of ['1', '2', '3']) await spine.publish(Inquiry, { text }, { session: 's' })
    await until(async () => (await heard(world, spine)).length === 3)
    expect(await heard(world, spine)).toEqual(['1', '2', '3'])
    expect(order).toEqual([...order].sort((left, right) => left - right))
  })
})

describeOnEachEngine('after', (world) => {
  const { open, records } = world
  const booking = agent('booking', { on: Inquiry, after: [Profile], emits: [Booked] }, (evt, ctx) =>
    ctx.emit(Booked, { service: evt.data.text }),
  )
  const booked = async (spine: Spine) =>
    (await records(spine)).filter(({ type }) => type === 'appointment.booked').map(({ data }) => data)

  it('holds what comes before, in order, and settled says until what', async () => {
    const spine = await open({ agents: [booking] })
    const first = await spine.publish(Inquiry, { text: '1' }, { session: 's' })
    const second = await spine.publish(Inquiry, { text: '2' }, { session: 's' })
    await spine.publish(Profile, { name: 'another' }, { session: 'another' })
    expect((await spine.settled(first.request, { within: 20 })).waiting).toEqual([
      { agent: 'booking', why: 'held', since: first.sequence, detail: 'held until profile.loaded' },
    ])
    expect((await spine.settled(second.request, { within: 5 })).waiting[0]?.why).toBe('behind its key')
    await spine.publish(Profile, { name: 'ann' }, { session: 's' })
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(await booked(spine)).toEqual([{ service: '1' }, { service: '2' }])
    // The fold saw it come: nothing had to be looked up.
    expect((await records(spine)).filter(({ type }) => type === 'spine.wait.matched')).toEqual([])
    expect(spine.agents.list()[0]?.after).toEqual(['profile.loaded'])
  })

  it('finds what lies in the log already, also from before the agent was there, and records where', async () => {
    const before = await open({ agents: [] })
    const profile = await before.publish(Profile, { name: 'ann' }, { session: 's' })
    await before.publish(Profile, { name: 'ann' }, { session: 's' })
    await before.close()
    const spine = await open({ agents: [booking] })
    const { request, sequence } = await spine.publish(Inquiry, { text: '1' }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect((await records(spine)).filter(({ type }) => type === 'spine.wait.matched')).toMatchObject([
      { cause: sequence, agent: 'booking', data: { command: '@after profile.loaded', event: profile.sequence } },
    ])
  })

  it('needs all of several types, the one that it is given included', async () => {
    const both = agent('both', { on: Inquiry, after: [Inquiry, Profile, Requirements], emits: [Booked] }, (evt, ctx) =>
      ctx.emit(Booked, { service: evt.data.text }),
    )
    const spine = await open({ agents: [both] })
    await spine.publish(Requirements, { service: 'x' }, { session: 's' })
    const { request } = await spine.publish(Inquiry, { text: '1' }, { session: 's' })
    expect((await spine.settled(request, { within: 30 })).waiting[0]?.detail).toBe('held until profile.loaded')
    await spine.publish(Profile, { name: 'ann' }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
  })

  it('is held over a restart, and let go by what came meanwhile', async () => {
    const before = await open({ agents: [booking] })
    const { request } = await before.publish(Inquiry, { text: '1' }, { session: 's' })
    await before.close()
    const between = await open({ agents: [] })
    await between.publish(Profile, { name: 'ann' }, { session: 's' })
    await between.close()
    const spine = await open({ agents: [booking] })
    expect((await spine.settled(request)).status).toBe('done')
  })

  it('ends with its request, and lets the next of its key go to where it stands', async () => {
    const spine = await open({ agents: [booking] })
    const first = await spine.publish(Inquiry, { text: '1' }, { session: 's', deadline: 30 })
    const second = await spine.publish(Inquiry, { text: '2' }, { session: 's' })
    expect((await spine.settled(first.request)).status).toBe('expired')
    expect((await spine.settled(second.request, { within: 5 })).waiting[0]?.detail).toBe('held until profile.loaded')
    await spine.requests.cancel(second.request, 'enough')
    expect(spine.agents.list()[0]?.open).toBe(0)
  })

  it('what a later version asks no longer is waited for no longer', async () => {
    const before = await open({ agents: [booking] })
    const { request } = await before.publish(Inquiry, { text: '1' }, { session: 's' })
    await before.close()
    const asksLess = agent('booking', { on: Inquiry, emits: [Booked] }, (evt, ctx) =>
      ctx.emit(Booked, { service: evt.data.text }),
    )
    const spine = await open({ agents: [asksLess] })
    expect((await spine.settled(request)).status).toBe('done')
  })

  it('is looked up for many at once, in few commits', async () => {
    const sessions = Array.from({ length: 150 }, (_, n) => `s${n}`)
    const spine = await open({ agents: [booking] })
    await spine.publishAll(sessions.map((session) => message(Profile, { name: 'ann' }, { session })))
    const published = await spine.publishAll(sessions.map((session) => message(Inquiry, { text: 'a' }, { session })))
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    const matched = (await records(spine)).filter(({ type }) => type === 'spine.wait.matched')
    expect(new Set(matched.map(({ session }) => session)).size).toBe(150)
    expect(matched).toHaveLength(150)
  })

  it('is looked up again when the log could not be read', async () => {
    let broken = true
    const engine = world.engine()
    const read = engine.read.bind(engine)
    engine.read = (query) => {
      const fails = broken && query.types?.[0] === 'profile.loaded'
      if (fails) broken = false
      return fails ? Promise.reject(new Error('the disk is away')) : read(query)
    }
    const spine = await open({ agents: [booking], engine })
    await spine.publish(Profile, { name: 'ann' }, { session: 's' })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(broken).toBe(false)
    expect(world.warnings).toEqual([
      expect.stringContaining('could not be looked up, once more in 1000 ms: the disk is away'),
    ])
  })

  it('refuses agents that could never start, also where one of them is absent', async () => {
    const Read = event('profile.read', z.object({}))
    const loading = agent('loading', { on: Read, after: [Booked], emits: [Profile] }, () => {})
    await expect(open({ agents: [booking, loading] })).rejects.toMatchObject({
      code: 'SPINE_AGENT_INVALID',
      message: expect.stringContaining(
        "'booking' waits for 'profile.loaded'; 'loading' waits for 'appointment.booked'",
      ),
    })
    await (await open({ agents: [loading] })).close()
    await expect(open({ agents: [booking] })).rejects.toMatchObject({ code: 'SPINE_AGENT_INVALID' })
    await open({ agents: [] })
  })
})

describe('refused at agent()', () => {
  const directed = { input: z.object({}), output: z.object({}) }
  it.each<[string, object, string]>([
    ["'after' without 'on'", { ...directed, after: [Profile] }, "has 'after' without 'on'"],
    ["'observes' without 'on'", { ...directed, observes: true }, "has 'observes' without 'on'"],
    ["'after' of no event type", { on: Inquiry, after: ['profile.loaded'] }, 'what event() returned'],
    ["'after' of no list", { on: Inquiry, after: Profile }, 'a list'],
    ["'after' twice the same", { on: Inquiry, after: [Profile, Profile] }, "names 'profile.loaded' twice"],
    ["'observes' of another kind", { on: Inquiry, observes: 'yes' }, 'observes is no boolean'],
    ['another text than *', { on: 'inquiry.received' }, 'what event() returned'],
  ])('%s', (_, options, says) => {
    let caught: unknown
    try {
      agent('one', options as never, (() => {}) as never)
    } catch (error) {
      caught = error
    }
    expect(caught).toMatchObject({ code: 'SPINE_AGENT_INVALID', message: expect.stringContaining(says) })
  })
})
