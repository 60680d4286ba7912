/**
 * W8: a critical event comes while every slot is busy and thousands of events wait; and what making room costs the run that
 * made it.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { agent, createSpine, type Engine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { commitBytes, Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureCount } from '../sliding-window.ts'

const QUEUED = 5_000
const SLOTS = 64
const BUSY_MS = 250
const URGENT = 500
const RESUMED = 150
const PREEMPTIONS_MAX = 3
const STEPS_BEFORE = 10

const Routine = event('routine.due', Payload)
const Alarm = event('alarm.raised', Payload)

export const urgent: Scenario = {
  name: 'urgent',
  variant: '5,000 queued',
  inFlight: 1,
  unit: 'delivery',
  floor: { awaited: 1, trailing: 2, bytesEach: commitBytes(1) },
  nDefault: URGENT,
  run: ({ directory, n }) => measureEntered(join(directory, 'log.db'), n),
}

export const preempted: Scenario = {
  name: 'urgent',
  variant: 'resumed after it',
  inFlight: 1,
  unit: 'delivery',
  floor: { awaited: 2, trailing: 1, bytesEach: commitBytes(1) },
  nDefault: RESUMED,
  run: ({ directory, n }) => measureResumed(join(directory, 'log.db'), n),
}

/** From the moment at which the event is durable to the entry of its handler. */
async function measureEntered(path: string, n: number): Promise<Sample> {
  const durableAt = new Map<number, number>()
  let entered: (atMs: number) => void = () => {}
  const busy = agent('busy', { on: Routine, order: 'none', concurrency: SLOTS }, async (_evt, ctx) => {
    await ctx.step('work', ({ signal }) => pause(BUSY_MS, null, { signal }))
  })
  const rescue = agent('rescue', { on: Alarm }, () => entered(performance.now()))
  const engine = sqlite(path)
  const spine = await createSpine({ engine: telling(engine, durableAt), agents: [busy, rescue] })
  const begun = Date.now()
  try {
    await spine.publishAll(Array.from({ length: QUEUED }, (_, index) => ({ type: Routine, data: payload(index) })))
    // Every slot is taken, and the rest waits.
    await pause(BUSY_MS / 2)
    return await measureCount({
      inFlight: 1,
      count: n,
      durability: engine.durability(),
      one: async (index) => {
        const atMs = new Promise<number>((resolve) => {
          entered = resolve
        })
        const { request } = await spine.publish(Alarm, payload(index), { priority: 'critical' })
        const latencyMs = (await atMs) - (durableAt.get(index) ?? Number.NaN)
        if (!(latencyMs >= 0)) throw new Error(`Alarm ${index} was handled ${latencyMs} ms after it was durable.`)
        const { status } = await spine.settled(request)
        const [info] = spine.agents.list().filter(({ name }) => name === 'busy')
        if (status !== 'done') throw new Error(`Alarm ${index} ended as '${status}'.`)
        if ((info?.open ?? 0) < SLOTS * 2) throw new Error(`After ${Date.now() - begun} ms too little waits.`)
        return latencyMs
      },
    })
  } finally {
    await spine.close({ drain: 0 })
  }
}

/** From the signal that tells a run to make room to the entry of the same step in the resumed run, ten steps behind it. */
async function measureResumed(path: string, n: number): Promise<Sample> {
  let stoppedAtMs = 0
  let isUrgentDue = false
  let resumed: (latencyMs: number) => void = () => {}
  let ready: () => void = () => {}
  let times = 0
  const busy = agent('busy', { on: Routine, pool: 'one' }, async (_evt, ctx) => {
    for (let step = 0; step < STEPS_BEFORE; step++) await ctx.step(`before ${step}`, () => step)
    await ctx.step('work', async ({ signal }) => {
      if (stoppedAtMs !== 0) resumed(performance.now() - stoppedAtMs)
      stoppedAtMs = 0
      if (!isUrgentDue) return
      ready()
      await pause(60_000, null, { signal }).catch((error: unknown) => {
        stoppedAtMs = performance.now()
        throw error
      })
    })
  })
  const rescue = agent('rescue', { on: Alarm, pool: 'one' }, () => {})
  const engine = sqlite(path)
  const spine = await createSpine({ engine, agents: [busy, rescue], pools: { one: 1 } })
  let low: { readonly request: string } | undefined
  try {
    return await measureCount({
      inFlight: 1,
      count: n,
      durability: engine.durability(),
      one: async (index) => {
        isUrgentDue = true
        const latency = new Promise<number>((resolve) => {
          resumed = resolve
        })
        if (low === undefined) {
          const isReady = new Promise<void>((resolve) => {
            ready = resolve
          })
          low = await spine.publish(Routine, payload(index), { priority: 'low' })
          await isReady
        }
        times++
        // The last time that it may be asked to: then it is let go.
        const isLast = times === PREEMPTIONS_MAX || index === n - 1
        if (isLast) isUrgentDue = false
        await spine.publish(Alarm, payload(index), { priority: 'critical' })
        const latencyMs = await latency
        if (isLast) {
          const { status } = await spine.settled(low.request)
          if (status !== 'done') throw new Error(`Run ${index} ended as '${status}'.`)
          low = undefined
          times = 0
        }
        return latencyMs
      },
    })
  } finally {
    await spine.close({ drain: 0 })
  }
}

/** The same engine; notes when it first tells of each alarm, which it does when that is durable. */
function telling(engine: Engine, durableAt: Map<number, number>): Engine {
  const tail: Engine['tail'] = (after, listener) =>
    engine.tail(after, (records) => {
      const atMs = performance.now()
      for (const { type, data } of records)
        if (type === Alarm.type) durableAt.set((data as { index: number }).index, atMs)
      listener(records)
    })
  return new Proxy(engine, {
    get: (target, name) => {
      if (name === 'tail') return tail
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
