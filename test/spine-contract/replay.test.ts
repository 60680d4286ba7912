import { agent } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Inquiry, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

/** A spine that is closed without a chance to end anything: what a kill leaves, as far as one process can show it. */
const abruptly = { drain: 0 } as const

describeOnEachEngine('runs and their replay', (world) => {
  it('a restart goes on from the journal: recorded steps do not run again', async () => {
    const ran: string[] = []
    const hold = deferred()
    const inquiry = (release: boolean) =>
      agent('inquiry', { on: Inquiry, emits: [Booked] }, async (evt, ctx) => {
        const first = await ctx.step('first', () => {
          ran.push('first')
          return { at: ctx.now().getTime(), chance: ctx.random(), id: ctx.uuid() }
        })
        expect(Object.isFrozen(first)).toBe(true)
        await ctx.step('second', async () => {
          ran.push('second')
          if (!release) await hold.promise
          return null
        })
        ctx.emit(Booked, { service: `${evt.data.text} ${first.id} ${ctx.uuid()}` })
      })
    const one = await world.open({ agents: [inquiry(false)] })
    const { request } = await one.publish(Inquiry, { text: 'haircut' })
    await until(() => ran.length === 2)
    await one.close(abruptly)
    hold.resolve()
    const two = await world.open({ agents: [inquiry(true)] })
    expect((await two.settled(request)).status).toBe('done')
    expect(ran).toEqual(['first', 'second', 'second'])
  })

  it('random, uuid and now are the same on every replay', async () => {
    const seen: string[] = []
    const drawing = agent('drawing', { on: Inquiry, retry: quickly(3) }, async (_evt, ctx) => {
      const before = [ctx.random(), ctx.uuid(), ctx.now().getTime()]
      await ctx.step('wait', () => new Promise((resolve) => setTimeout(() => resolve(null), 5)))
      seen.push(JSON.stringify([before, ctx.random(), ctx.uuid(), ctx.now().getTime()]))
      if (ctx.attempt < 3) throw new Error('again')
    })
    const spine = await world.open({ agents: [drawing] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(seen).toHaveLength(3)
    expect(new Set(seen).size).toBe(1)
  })

  it('a native Promise.race has the same winner after a restart, though the other is faster then', async () => {
    const winners: string[] = []
    const hold = deferred()
    const racing = (slow: string) =>
      agent('racing', { on: Inquiry }, async (_evt, ctx) => {
        const after = (name: string) =>
          new Promise<string>((resolve) => setTimeout(() => resolve(name), name === slow ? 30 : 1))
        const winner = await Promise.race([
          ctx.step('left', () => after('left')),
          ctx.step('right', () => after('right')),
        ])
        winners.push(winner)
        await ctx.step('hold', () => (slow === 'left' ? hold.promise.then(() => null) : null))
      })
    const one = await world.open({ agents: [racing('left')] })
    const { request } = await one.publish(Inquiry, { text: 'a' })
    await until(() => winners.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await one.close(abruptly)
    hold.resolve()
    const two = await world.open({ agents: [racing('right')] })
    expect((await two.settled(request)).status).toBe('done')
    expect(new Set(winners)).toEqual(new Set(['right']))
    expect(winners.length).toBeGreaterThanOrEqual(2)
  })

  it('values are JSON round-tripped and frozen on the first run too; what is not JSON fails the step by name', async () => {
    const seen: unknown[] = []
    const loose = agent('loose', { on: Inquiry, retry: quickly(1) }, async (evt, ctx) => {
      const kept = await ctx.step('keep', () => ({ list: [1, { deep: true }], gone: undefined }))
      seen.push(kept, Object.isFrozen(kept.list[1]))
      if (evt.data.text === 'date') await ctx.step('bad', () => new Date(0))
    })
    const spine = await world.open({ agents: [loose] })
    const fine = await spine.publish(Inquiry, { text: 'fine' })
    expect((await spine.settled(fine.request)).status).toBe('done')
    expect(seen).toEqual([{ list: [1, { deep: true }] }, true])
    expect(Object.hasOwn(seen[0] as object, 'gone')).toBe(false)
    const bad = await spine.publish(Inquiry, { text: 'date' })
    const { deadLetters } = await spine.settled(bad.request)
    const { error } = await spine.deadLetters.get(deadLetters[0] as string)
    expect(error).toMatchObject({ code: 'SPINE_PAYLOAD_NOT_JSON' })
    expect(error.message).toContain("step 'bad#0'")
  })

  it('parallel steps that share a name fail with SPINE_STEP_NAME; in turn they may share it', async () => {
    const turns = agent('turns', { on: Inquiry, emits: [Booked], retry: quickly(1) }, async (evt, ctx) => {
      if (evt.data.text === 'parallel') await Promise.all([ctx.step('read', () => 1), ctx.step('read', () => 2)])
      let sum = 0
      for (const n of [1, 2, 3]) sum += await ctx.step('read', () => n)
      ctx.emit(Booked, { service: String(sum) })
    })
    const spine = await world.open({ agents: [turns] })
    const inTurn = await spine.publish(Inquiry, { text: 'in turn' })
    expect(await spine.waitFor(Booked, { request: inTurn.request, within: '5s' })).toMatchObject({
      data: { service: '6' },
    })
    const parallel = await spine.publish(Inquiry, { text: 'parallel' })
    const { deadLetters } = await spine.settled(parallel.request)
    expect((await spine.deadLetters.get(deadLetters[0] as string)).error.code).toBe('SPINE_STEP_NAME')
  })

  it('a new attempt may take another way: a call that the last one left open holds nothing up', async () => {
    const answer = deferred()
    const expert = agent('expert', { input: Question, output: Answer }, async (_evt, ctx) => {
      await ctx.step('think', () => answer.promise.then(() => null))
      return { answer: 'too late' }
    })
    const ways: string[] = []
    const trying = agent('trying', { on: Inquiry, retry: quickly(3) }, async (_evt, ctx) => {
      const direct = await ctx
        .step('direct', () => {
          if (ctx.attempt === 1) throw new Error('not today')
          return 'direct'
        })
        .catch(() => undefined)
      if (direct === undefined) {
        void ctx.call(expert, { question: 'how' })
        await ctx.step('give up', () => {
          throw new Error('attempt over')
        })
      }
      answer.resolve()
      await ctx.step('first', () => new Promise((resolve) => setTimeout(() => resolve(null), 20)))
      ways.push(await ctx.step('second', () => `${direct}`))
    })
    const spine = await world.open({ agents: [trying, expert] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect(await spine.settled(request, { within: '5s' })).toMatchObject({ status: 'done' })
    expect(ways).toEqual(['direct'])
  })

  it('a handler that changed under a run pauses it with a readable difference; the old code finishes it', async () => {
    const hold = deferred()
    let reached = false
    const original = (wait: boolean) =>
      agent('changing', { on: Inquiry }, async (_evt, ctx) => {
        await ctx.step('read', () => 1)
        await ctx.step('write', () => {
          reached = true
          return wait ? hold.promise.then(() => null) : null
        })
      })
    const changed = agent('changing', { on: Inquiry, version: '2' }, async (_evt, ctx) => {
      await ctx.step('fetch', () => 1)
    })
    const one = await world.open({ agents: [original(true)] })
    const { request } = await one.publish(Inquiry, { text: 'a' })
    await until(() => reached)
    await one.close(abruptly)
    hold.resolve()
    const two = await world.open({ agents: [changed] })
    await until(() => world.warnings.some((line) => line.includes('SPINE_REPLAY_MISMATCH')))
    expect(world.warnings.at(-1)).toContain("The journal goes on with 'read#0'")
    expect(world.warnings.at(-1)).toContain("asks for 'fetch#0'")
    expect(await two.settled(request, { within: 50 })).toMatchObject({
      status: 'open',
      waiting: [{ agent: 'changing', why: 'paused' }],
    })
    await two.close(abruptly)
    const three = await world.open({ agents: [original(false)] })
    expect((await three.settled(request)).status).toBe('done')
  })

  it('a sleep survives restarts, holds no slot, and is not reset', async () => {
    const done: string[] = []
    const sleepy = agent('sleepy', { on: Inquiry, concurrency: 1, order: 'none' }, async (evt, ctx) => {
      if (evt.data.text === 'long') await ctx.sleep('150ms')
      done.push(evt.data.text)
    })
    const one = await world.open({ agents: [sleepy] })
    const began = Date.now()
    const long = await one.publish(Inquiry, { text: 'long' })
    const short = await one.publish(Inquiry, { text: 'short' })
    expect((await one.settled(short.request)).status).toBe('done')
    expect(await one.settled(long.request, { within: 0 })).toMatchObject({ waiting: [{ why: 'suspended' }] })
    await one.close()
    const two = await world.open({ agents: [sleepy] })
    expect((await two.settled(long.request)).status).toBe('done')
    expect(Date.now() - began).toBeGreaterThanOrEqual(149)
    expect(done).toEqual(['short', 'long'])
  })

  it('ctx.publish is on the log at once and once, whatever becomes of the run', async () => {
    const given: unknown[] = []
    const eager = agent('eager', { on: Inquiry, emits: [Booked], retry: quickly(3) }, async (_evt, ctx) => {
      given.push(await ctx.publish(Booked, { service: 'now' }))
      if (ctx.attempt < 3) throw new Error('again')
    })
    const spine = await world.open({ agents: [eager] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    const booked = (await world.records(spine)).filter((record) => record.type === 'appointment.booked')
    expect(booked).toHaveLength(1)
    expect(given).toEqual(Array(3).fill({ sequence: booked[0]?.sequence, id: `${request}.${booked[0]?.sequence}` }))
  })

  it('commands that the handler left open are dropped and recorded; none becomes an unhandled rejection', async () => {
    const careless = agent('careless', { on: Inquiry }, async (_evt, ctx) => {
      void ctx.step('forgotten', () => Promise.reject(new Error('nobody looks')))
      void ctx.sleep('1h')
      await ctx.step('awaited', () => 1)
    })
    const spine = await world.open({ agents: [careless] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    const completed = (await world.records(spine)).find((record) => record.type === 'spine.delivery.completed')
    expect(completed?.data).toMatchObject({ dropped: expect.arrayContaining(['@sleep#0']) })
  })
})

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; !holds(); round++) {
    if (round > 2000) throw new Error('what the test waits for did not happen')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
