/** Bugs that other systems had where many runs wait at once, as named tests (research: peers §11; the number is the one there). */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { agent, createSpine, type Engine, event, type ReadQuery, type Spine, stateOf } from 'event-spine'
import { memory } from 'event-spine/memory'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Numbered } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Given = event('approval.given', z.object({ n: z.number() }))

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 4_000 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(holds()).toBe(true)
}

/** As docs/reference/limits.md says. */
const SUSPENDED_RUNS_MAX = 10_000

const openWaits = (spine: Spine) => stateOf(spine).waits.size
const everyNumber = (count: number) => Array.from({ length: count }, (_, n) => n)

describeOnEachEngine('many runs that wait', (world) => {
  const PARKED = 450
  const SLEEPERS = 150

  it('peer bug 5: restart with 450 parked runs enqueues none twice', async () => {
    const effects = new Map<string, number>()
    const note = (what: string) => void effects.set(what, (effects.get(what) ?? 0) + 1)
    const parking = agent('parking', { on: Numbered, emits: [Booked], concurrency: 32 }, async (evt, ctx) => {
      const { n } = evt.data
      await ctx.step('before', () => note(`before ${n}`), { effect: true })
      if (n < SLEEPERS) await ctx.sleep('2500ms')
      else await ctx.waitFor(Given, { within: '1h' })
      await ctx.step('after', () => note(`after ${n}`), { effect: true })
      ctx.emit(Booked, { service: `${n}` })
    })
    const open = () => world.open({ agents: [parking] })
    const one = await open()
    const drawn = everyNumber(PARKED).map((n) => ({ type: Numbered, data: { n }, options: { session: `s${n}` } }))
    const published = await one.publishAll(drawn)
    await until(() => effects.size >= PARKED && openWaits(one) === PARKED - SLEEPERS)
    await one.close()
    const two = await open()
    await two.close({ drain: 0 })
    const three = await open()
    const answers = everyNumber(PARKED).slice(SLEEPERS)
    await three.publishAll(answers.map((n) => ({ type: Given, data: { n }, options: { session: `s${n}` } })))
    for (const { request } of published) expect((await three.settled(request, { within: '20s' })).status).toBe('done')
    const all = await world.records(three)
    const booked = all
      .filter(({ type }) => type === Booked.type)
      .map(({ data }) => Number((data as { service: string }).service))
    expect(booked.sort((left, right) => left - right)).toEqual(everyNumber(PARKED))
    expect(all.filter(({ type }) => type === 'spine.delivery.completed')).toHaveLength(PARKED)
    expect(all.filter(({ type }) => type === 'spine.wait.opened')).toHaveLength(PARKED - SLEEPERS)
    expect(all.filter(({ type }) => type === 'spine.timer.set')).toHaveLength(SLEEPERS)
    expect(effects.size).toBe(2 * PARKED)
    expect(new Set(effects.values())).toEqual(new Set([1]))
  })
})

describe('ten thousand runs that wait', () => {
  const WAITERS = 10_000
  /** A small run that waits, with its handler's promise and its records in the memory engine: about 8.4 kB measured. */
  const WAITER_BYTES_MAX = 12_000

  it('peer bug 13: 10,000 waiters cause no polling storm', async () => {
    const touched = { read: 0, append: 0, timer: 0 }
    let entered = 0
    const done: number[] = []
    const waiting = agent('waiting', { on: Numbered, order: 'none' }, async (evt, ctx) => {
      entered++
      await ctx.waitFor(Given, { cause: evt.sequence, within: '1d' })
      done.push(evt.data.n)
    })
    const spine = await createSpine({
      engine: counted(memory(), touched),
      clock: countedClock(touched),
      agents: [waiting],
    })
    const before = heapBytes()
    const drawn = everyNumber(WAITERS).map((n) => ({ type: Numbered, data: { n }, options: { session: 'crowd' } }))
    const published = await spine.publishAll(drawn)
    await until(() => openWaits(spine) === WAITERS)
    // What was read when the waits began has come back.
    let reads = -1
    await until(() => {
      const isQuiet = reads === touched.read
      reads = touched.read
      return isQuiet
    })
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect((heapBytes() - before) / WAITERS).toBeLessThan(WAITER_BYTES_MAX)
    // One look at the past serves all that began while the one before was under way.
    expect(touched.read).toBeLessThan(WAITERS / 2)
    Object.assign(touched, { read: 0, append: 0, timer: 0 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(touched).toEqual({ read: 0, append: 0, timer: 0 })

    const enteredBefore = entered
    const chosen = published[5_000]
    await spine.publish(Given, { n: 1 }, { cause: chosen?.sequence as number })
    await spine.settled(chosen?.request as string)
    expect([done, entered - enteredBefore]).toEqual([[5_000], 0])
    expect(touched.append).toBeLessThanOrEqual(4)
    expect(touched.read).toBeLessThanOrEqual(2)

    // Each answer looks at its own wait only: all of them are soon through, in one session.
    const others = published.filter((each) => each !== chosen)
    await Promise.all(others.map(({ sequence }) => spine.publish(Given, { n: 2 }, { cause: sequence })))
    await until(() => done.length === WAITERS)
    expect([new Set(done).size, entered, openWaits(spine)]).toEqual([WAITERS, WAITERS, 0])
    await spine.close()
  }, 60_000)

  it('answers by content in one session: each event is kept once for all who wait, however many come at once', async () => {
    const waiters = 1_000
    let done = 0
    const waiting = agent('waiting', { on: Numbered, order: 'none' }, async (evt, ctx) => {
      const answer = await ctx.waitFor(Given, { match: { n: evt.data.n }, within: '1d' })
      if (answer?.data.n === evt.data.n) done++
    })
    const spine = await createSpine({ engine: memory(), agents: [waiting] })
    const drawn = everyNumber(waiters).map((n) => ({ type: Numbered, data: { n }, options: { session: 'crowd' } }))
    await spine.publishAll(drawn)
    await until(() => openWaits(spine) === waiters)
    await spine.publishAll(
      everyNumber(waiters).map((n) => ({ type: Given, data: { n }, options: { session: 'crowd' } })),
    )
    await until(() => done === waiters)
    await spine.close()
  }, 30_000)

  it('a restart reads their session about once, not once for each; those answered meanwhile have their answers', async () => {
    const engine = memory()
    let entered = 0
    let done = 0
    const waiting = agent('waiting', { on: Numbered, order: 'none' }, async (evt, ctx) => {
      entered++
      await ctx.waitFor(Given, { cause: evt.sequence, within: '1d' })
      done++
    })
    const one = await createSpine({ engine, agents: [waiting] })
    const drawn = everyNumber(WAITERS).map((n) => ({ type: Numbered, data: { n }, options: { session: 'crowd' } }))
    const published = await one.publishAll(drawn)
    await until(() => openWaits(one) === WAITERS)
    await one.close({ drain: 0 })
    const without = await createSpine({ engine, agents: [] })
    const answered = published.slice(0, 1_500)
    await without.publishAll(
      answered.map(({ sequence }) => ({ type: Given, data: { n: 1 }, options: { cause: sequence } })),
    )
    await without.close()

    entered = 0
    const read: string[] = []
    const two = await createSpine({ engine: sessionReads(engine, read), agents: [waiting] })
    await until(() => entered === WAITERS && done === answered.length)
    expect(openWaits(two)).toBe(WAITERS - answered.length)
    const count = (type: string) => read.filter((each) => each === type).length
    // Two pages of answers, and the state that all of them had.
    expect([count(Given.type), count('spine.session.patched')]).toEqual([2, 1])
    await two.close({ drain: 0 })
  }, 60_000)

  it('of more than are kept, the one that has waited longest is run again from its journal, and only that', async () => {
    const count = SUSPENDED_RUNS_MAX + 250
    let entered = 0
    const done: number[] = []
    const waiting = agent('waiting', { on: Numbered, order: 'none' }, async (evt, ctx) => {
      entered++
      await ctx.waitFor(Given, { cause: evt.sequence, within: '1d' })
      done.push(evt.data.n)
    })
    const spine = await createSpine({ engine: memory(), agents: [waiting] })
    const published = await spine.publishAll(everyNumber(count).map((n) => ({ type: Numbered, data: { n } })))
    await until(() => openWaits(spine) === count)
    expect(entered).toBe(count)
    const chosen = [count - 1, 0, 5, count - 2]
    for (const n of chosen) {
      const { sequence, request } = published[n] as (typeof published)[number]
      await spine.publish(Given, { n }, { cause: sequence })
      expect((await spine.settled(request)).status).toBe('done')
    }
    expect(done).toEqual(chosen)
    expect(entered).toBe(count + 2)
    const { waiting: forgotten } = await spine.settled(published[7]?.request as string, { within: 0 })
    expect(forgotten).toMatchObject([
      { agent: 'waiting', why: 'suspended', detail: expect.stringContaining(Given.type) },
    ])
    await spine.close({ drain: 0 })
  }, 60_000)
})

/** After a collection, which a test has to ask for by a flag. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

interface Touched {
  read: number
  append: number
  timer: number
}

function counted(engine: Engine, touched: Touched): Engine {
  return new Proxy(engine, {
    get: (target, name) => {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...given: unknown[]) => {
        if (name === 'read' || name === 'append') touched[name]++
        return value.apply(target, given)
      }
    },
  })
}

/** Notes for each read of a session what type it was for. */
function sessionReads(engine: Engine, read: string[]): Engine {
  return new Proxy(engine, {
    get: (target, name) => {
      const value = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...given: readonly unknown[]) => {
        const { session, types = [] } = (given[0] ?? {}) as ReadQuery
        if (name === 'read' && session !== undefined) read.push(types.join())
        return value.apply(target, given)
      }
    },
  })
}

function countedClock(touched: Touched) {
  return {
    now: () => Date.now(),
    setTimer: (at: number, fire: () => void) => {
      touched.timer++
      const timer = setTimeout(fire, Math.min(Math.max(0, at - Date.now()), 2 ** 31 - 1))
      timer.unref()
      return { cancel: () => clearTimeout(timer) }
    },
  }
}
