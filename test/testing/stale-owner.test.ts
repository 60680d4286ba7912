import { agent, type LogRecord } from 'event-spine'
import { SimulatedLog, SimulatedProcess, VirtualClock } from 'event-spine/testing'
import { expect, it } from 'vitest'
import { Booked, Inquiry } from '../support/vocabulary.ts'

it('peer bug 10: an owner whose event loop stood still past its ownership commits nothing when it wakes up', async () => {
  const log = new SimulatedLog()
  const clock = new VirtualClock()
  const done: string[] = []
  const office = (process: string, step: () => unknown) =>
    agent('office', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('work', step)
      done.push(process)
      ctx.emit(Booked, { service: process })
    })
  // What the first process hears and writes is held back, as if its event loop were blocked.
  let isBlocked = false
  const held: (() => void)[] = []
  const orHeld = (act: () => void) => (isBlocked ? void held.push(act) : act())
  let finish = () => {}
  const slow = office('stale', () => new Promise<void>((resolve) => (finish = resolve)))
  const silent = { warn: () => {} }
  const engine = log.engine({ whenToSync: orHeld, whenToDeliver: orHeld })
  const stale = await SimulatedProcess.start({ engine, agents: [slow], clock, logger: silent })
  const { request } = await stale.spine.publish(Inquiry, { text: 'a' })
  await turns(3)
  isBlocked = true

  const fresh = await SimulatedProcess.start({
    engine: log.engine(),
    agents: [office('fresh', () => null)],
    clock,
    logger: silent,
  })
  await turns(10)
  expect((await fresh.spine.requests.get(request)).status).toBe('done')

  finish()
  await turns(5)
  isBlocked = false
  for (const act of held.splice(0)) act()
  await turns(10)
  expect(stale.isAlive).toBe(false)
  expect(stale.runtime.failure).toMatchObject({ code: 'SPINE_LANE_LOST' })
  expect(done).toEqual(['fresh'])
  const records: LogRecord[] = []
  for await (const record of fresh.spine.log.read()) records.push(record)
  expect(records.filter(({ type }) => type === Booked.type)).toHaveLength(1)
  expect(records.filter(({ type }) => type === 'spine.step.recorded')).toHaveLength(1)
  fresh.kill()
})

it('sim seed 1337057327: a process that lost the lane before its agents were registered does not come up', async () => {
  const log = new SimulatedLog()
  const silent = { warn: () => {} }
  const office = agent('office', { on: Inquiry }, () => {})
  let syncs = 0
  const held: (() => void)[] = []
  const engine = log.engine({
    whenToSync: (sync) => (++syncs === 1 ? sync() : void held.push(sync)),
    whenToDeliver: (deliver) => (syncs < 2 ? deliver() : void held.push(deliver)),
  })
  const late = SimulatedProcess.start({ engine, agents: [office], clock: new VirtualClock(), logger: silent })
  const refused = expect(late).rejects.toMatchObject({ code: 'SPINE_LANE_LOST' })
  await turns(5)
  expect(syncs).toBe(2)
  const owner = await SimulatedProcess.start({ engine: log.engine(), agents: [], logger: silent })
  while (held.length > 0) {
    for (const act of held.splice(0)) act()
    await turns(1)
  }
  await refused
  owner.kill()
})

it('a redrive that a stale owner asks for is refused, not lost in silence', async () => {
  const log = new SimulatedLog()
  const silent = { warn: () => {} }
  const failing = agent('failing', { on: Inquiry, retry: { attempts: 1 } }, () => {
    throw new Error('on purpose')
  })
  let isBlocked = false
  const engine = log.engine({ whenToDeliver: (deliver) => (isBlocked ? undefined : deliver()) })
  const stale = await SimulatedProcess.start({ engine, agents: [failing], logger: silent })
  const { request } = await stale.spine.publish(Inquiry, { text: 'a' })
  const { deadLetters } = await stale.spine.settled(request)
  isBlocked = true
  const owner = await SimulatedProcess.start({ engine: log.engine(), agents: [], logger: silent })
  await expect(stale.spine.deadLetters.redrive(deadLetters[0] as string)).rejects.toMatchObject({
    code: 'SPINE_LANE_LOST',
    outcome: 'refused',
  })
  stale.kill()
  owner.kill()
})

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
