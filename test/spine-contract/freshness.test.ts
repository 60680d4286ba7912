import { agent, event, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, deferred, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Message = event('message.received', z.object({ text: z.string() }))
const Wanted = event('appointment.wanted', z.object({ day: z.string() }))

const publish = (spine: Spine, text: string) => spine.publish(Message, { text }, { session: 'customer' })

/** Reads messages; only a message that names a day leads to a booking. */
const reading = agent('reading', { on: Message, emits: [Wanted] }, async (evt, ctx) => {
  const day = await ctx.step('read', () => /on (\w+)/.exec(evt.data.text)?.[1] ?? '')
  if (day !== '') ctx.emit(Wanted, { day })
})

/** What a booking office did, and where it can be stopped. */
function office(then: 'hold' | 'cancel' | 'restart') {
  const log: string[] = []
  const gates = { before: deferred(), during: deferred() }
  const waits = { before: false, during: false }
  const booking = agent(
    'booking',
    { on: Wanted, emits: [Booked], retry: quickly(2), freshness: { newer: [Message], then } },
    async (evt, ctx) => {
      const { day } = evt.data
      await ctx.step('look', async () => {
        log.push(`look ${day}`)
        if (waits.before) await gates.before.promise
      })
      await ctx.step(
        'book',
        async () => {
          log.push(`book ${day}`)
          if (waits.during) await gates.during.promise
        },
        { effect: true },
      )
      ctx.emit(Booked, { service: day })
    },
  )
  return { booking, log, gates, waits, booked: () => log.filter((line) => line.startsWith('book')) }
}

describeOnEachEngine('freshness', (world) => {
  const eventsOf = async (spine: Spine, type: string) =>
    (await world.records(spine)).filter((record) => record.type === type)
  const services = async (spine: Spine) =>
    (await eventsOf(spine, Booked.type)).map(({ data }) => (data as { service: string }).service)

  for (const then of ['hold', 'cancel', 'restart'] as const) {
    it(`'${then}': a correction before the booking starts: only the corrected day is booked`, async () => {
      const { booking, gates, waits, log, booked } = office(then)
      waits.before = true
      const spine = await world.open({ agents: [reading, booking] })
      const first = await publish(spine, 'on friday')
      await expect.poll(() => log).toEqual(['look friday'])
      const second = await publish(spine, 'no, on monday')
      if (then === 'restart') waits.before = false
      // The newer request has given work to the same agent.
      await expect.poll(async () => (await eventsOf(spine, Wanted.type)).length).toBe(2)
      gates.before.resolve()
      expect((await spine.settled(second.request)).status).toBe('done')
      expect((await spine.settled(first.request)).status).toBe('done')
      if (then === 'restart') {
        // It says that its work is to be done on the newer basis, not that it is pointless.
        expect(booked()).toEqual(['book friday', 'book monday'])
        expect((await eventsOf(spine, 'spine.delivery.restarted')).map(({ cause }) => cause)).toHaveLength(1)
        return
      }
      expect(booked()).toEqual(['book monday'])
      expect(await services(spine)).toEqual(['monday'])
      expect(await eventsOf(spine, 'spine.delivery.superseded')).toMatchObject([{ data: { by: second.sequence } }])
    })
  }

  it("'hold': a thanks before the booking starts: the booking goes on, once the thanks has come to rest", async () => {
    const { booking, gates, waits, log } = office('hold')
    waits.before = true
    const spine = await world.open({ agents: [reading, booking] })
    const first = await publish(spine, 'on friday')
    await expect.poll(() => log).toEqual(['look friday'])
    const thanks = await publish(spine, 'thanks')
    expect((await spine.settled(thanks.request)).status).toBe('done')
    gates.before.resolve()
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(log).toEqual(['look friday', 'book friday'])
    expect(await services(spine)).toEqual(['friday'])
  })

  it("'hold': while the newer request is open, the run does nothing more, holds no slot, and says why", async () => {
    const { booking, gates, waits, log } = office('hold')
    waits.before = true
    const slow = deferred()
    const thinking = agent('thinking', { on: Message, pool: 'one' }, async (evt, ctx) => {
      await ctx.step('think', () => (evt.data.text === 'hm' ? slow.promise : undefined))
    })
    const spine = await world.open({
      agents: [reading, thinking, { ...booking, options: { ...booking.options, pool: 'one' } }],
      pools: { one: 1 },
    })
    const first = await publish(spine, 'on friday')
    await expect.poll(() => log).toEqual(['look friday'])
    const hm = await publish(spine, 'hm')
    gates.before.resolve()
    const waiting = async () => (await spine.settled(first.request, { within: 0 })).waiting.map(({ why }) => why)
    await expect.poll(waiting).toEqual(['newer turn'])
    expect(log).toEqual(['look friday'])
    slow.resolve()
    expect((await spine.settled(hm.request)).status).toBe('done')
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(log).toEqual(['look friday', 'book friday'])
  })

  for (const then of ['hold', 'cancel'] as const) {
    it(`'${then}': a correction during the booking: it is finished and visible, and the run commits nothing more`, async () => {
      const { booking, gates, waits, log, booked } = office(then)
      waits.during = true
      const spine = await world.open({ agents: [reading, booking] })
      const first = await publish(spine, 'on friday')
      await expect.poll(() => log).toContain('book friday')
      const second = await publish(spine, 'no, on monday')
      await expect.poll(async () => (await eventsOf(spine, 'spine.delivery.superseded')).length).toBe(1)
      gates.during.resolve()
      waits.during = false
      expect((await spine.settled(second.request)).status).toBe('done')
      expect((await spine.settled(first.request)).status).toBe('done')
      expect(booked()).toEqual(['book friday', 'book monday'])
      expect(await services(spine)).toEqual(['monday'])
      const recorded = (await eventsOf(spine, 'spine.step.recorded')).filter(
        ({ data }) => (data as { command: string }).command === 'book#0',
      )
      expect(recorded.map(({ request }) => request)).toEqual([first.request, second.request])
    })
  }

  it('after the booking both stand', async () => {
    const { booking, booked } = office('cancel')
    const spine = await world.open({ agents: [reading, booking] })
    const first = await publish(spine, 'on friday')
    expect((await spine.settled(first.request)).status).toBe('done')
    const second = await publish(spine, 'and on monday')
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(booked()).toEqual(['book friday', 'book monday'])
    expect(await services(spine)).toEqual(['friday', 'monday'])
  })

  it('work that comes up only after the newer turn is judged by it, too', async () => {
    const { booking, booked } = office('cancel')
    const slow = deferred()
    const late = agent('late', { on: Message, emits: [Wanted], order: 'none' }, async (evt, ctx) => {
      await ctx.step('read', () => (evt.data.text === 'on friday' ? slow.promise : undefined))
      ctx.emit(Wanted, { day: evt.data.text.slice(3) })
    })
    const spine = await world.open({ agents: [late, booking] })
    const first = await publish(spine, 'on friday')
    const second = await publish(spine, 'on monday')
    await expect.poll(async () => (await eventsOf(spine, Wanted.type)).length).toBe(1)
    slow.resolve()
    expect((await spine.settled(first.request)).status).toBe('done')
    expect((await spine.settled(second.request)).status).toBe('done')
    expect(booked()).toEqual(['book monday'])
  })

  it('only agents that declare it are stopped; a superseded run takes its calls with it, and a caller is told', async () => {
    const log: string[] = []
    const gate = deferred()
    const expert = agent(
      'expert',
      { input: Question, output: Answer, freshness: { newer: [Message], then: 'cancel' } },
      async (evt, ctx) => {
        await ctx.step('think', async ({ signal }) => {
          log.push('expert thinks')
          await Promise.race([gate.promise, new Promise((_, stop) => signal.addEventListener('abort', stop))])
        })
        return { answer: evt.data.question }
      },
    )
    const asking = agent('asking', { on: Message, order: 'none', emits: [Booked] }, async (evt, ctx) => {
      if (evt.data.text !== 'ask') return
      const answer = await ctx.call(expert, { question: 'a' }).then(
        () => 'answered',
        (error: { cause: { code: string } }) => error.cause.code,
      )
      ctx.emit(Booked, { service: answer })
    })
    const spine = await world.open({ agents: [expert, asking] })
    const first = await publish(spine, 'ask')
    await expect.poll(() => log).toEqual(['expert thinks'])
    await publish(spine, 'never mind')
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(await services(spine)).toEqual(['SPINE_SUPERSEDED'])
    gate.resolve()
  })

  it("'restart' keeps effects and steps with keep, starts over three times, and then it is a dead letter", async () => {
    const log: string[] = []
    let asked = 0
    const drafting = agent(
      'drafting',
      { on: Wanted, emits: [Booked], freshness: { newer: [Message], then: 'restart' } },
      async (_evt, ctx) => {
        await ctx.step('model', () => void log.push('model'), { keep: true })
        await ctx.step('mail', () => void log.push('mail'), { effect: true })
        await ctx.step('look', () => void log.push('look'))
        await ctx.step('wait', async ({ signal }) => {
          asked++
          await new Promise((_, stop) => signal.addEventListener('abort', () => stop(signal.reason)))
        })
      },
    )
    const spine = await world.open({ agents: [drafting] })
    const { request } = await spine.publish(Wanted, { day: 'friday' }, { session: 'customer' })
    for (let turn = 1; turn <= 4; turn++) {
      await expect.poll(() => asked).toBe(turn)
      await publish(spine, `turn ${turn}`)
    }
    const settled = await spine.settled(request)
    expect(settled.status).toBe('failed')
    const [letter] = await spine.deadLetters.list({ request })
    expect(letter?.error.code).toBe('SPINE_SUPERSEDED')
    expect(log.filter((line) => line === 'model')).toHaveLength(1)
    expect(log.filter((line) => line === 'mail')).toHaveLength(1)
    expect(log.filter((line) => line === 'look')).toHaveLength(4)
  })

  it('another session, the same request, and other types are nothing to it', async () => {
    const { booking, waits, gates, log } = office('cancel')
    waits.before = true
    const Other = event('other.happened', z.object({}))
    const spine = await world.open({ agents: [reading, booking] })
    const first = await publish(spine, 'on friday')
    await expect.poll(() => log).toEqual(['look friday'])
    await spine.publish(Message, { text: 'hello' }, { session: 'somebody else' })
    await spine.publish(Other, {}, { session: 'customer' })
    await spine.publish(Message, { text: 'the same matter' }, { cause: first.sequence })
    gates.before.resolve()
    expect((await spine.settled(first.request)).status).toBe('done')
    expect(await services(spine)).toEqual(['friday'])
  })

  it('what is held is held in the next process, and so is what is superseded', async () => {
    const { booking, waits, log } = office('hold')
    waits.before = true
    const slow = agent('slow', { on: Message }, async (evt, ctx) => {
      if (evt.data.text === 'hm') await ctx.sleep(150)
    })
    const one = await world.open({ agents: [reading, booking, slow] })
    const first = await publish(one, 'on friday')
    await expect.poll(() => log).toEqual(['look friday'])
    const hm = await publish(one, 'hm')
    await one.close({ drain: 0 })
    waits.before = false
    const two = await world.open({ agents: [reading, booking, slow] })
    expect((await two.settled(hm.request)).status).toBe('done')
    expect((await two.settled(first.request)).status).toBe('done')
    expect(log).toEqual(['look friday', 'look friday', 'book friday'])
  })

  it('a wrong option is said at creation', () => {
    const wrong = (freshness: unknown) => () => agent('wrong', { on: Wanted, freshness: freshness as never }, () => {})
    expect(wrong({ newer: [Message], then: 'stop' })).toThrow(/freshness.then/)
    expect(wrong({ newer: ['message.received'], then: 'hold' })).toThrow(/freshness.newer/)
  })
})
