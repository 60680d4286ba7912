/** W7: runs wait for an answer each, all at once; what one costs while it waits, and how fast answers reach them. */
import { join } from 'node:path'
import { agent, createSpine, event, stateOf } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Arrivals } from '../arrivals.ts'
import { memoryInUse, memorySince } from '../memory-in-use.ts'
import { commitBytes, Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureCount } from '../sliding-window.ts'
import { verifyLog } from '../verify-log.ts'

const N = 10_000
const WARM_UP_MAX = 5_000
const IN_FLIGHT = 100
const ASKED_AT_ONCE = 500

const Asked = event('approval.asked', Payload)
const Given = event('approval.given', Payload)

export const waiters: Scenario = {
  name: 'waiters',
  variant: null,
  inFlight: IN_FLIGHT,
  unit: 'answer',
  // The answer, and that it was found; the end of the run is written behind them.
  floor: { awaited: 2, trailing: 1, bytesEach: commitBytes(1) },
  nDefault: N,
  nodeFlags: ['--expose-gc'],
  run: ({ directory, n }) => measure(join(directory, 'log.db'), n),
}

async function measure(path: string, n: number): Promise<Sample> {
  const arrivals = new Arrivals()
  const asking = agent('asking', { on: Asked, concurrency: 100 }, async (evt, ctx) => {
    const answer = await ctx.waitFor(Given, { cause: evt.sequence, within: '1h' })
    if (answer?.data.index !== evt.data.index) throw new Error(`${evt.data.index} was given another answer.`)
    arrivals.arrive(evt.data.index)
  })
  const engine = sqlite(path)
  const spine = await createSpine({ engine, agents: [asking] })
  const asked: number[] = []
  const ask = (from: number, count: number) =>
    measureCount({
      inFlight: ASKED_AT_ONCE,
      count,
      durability: null,
      one: async (offset) => {
        asked[from + offset] = (await spine.publish(Asked, payload(from + offset))).sequence
        return 0
      },
    })
  const answer = (from: number, count: number) =>
    measureCount({
      inFlight: IN_FLIGHT,
      count,
      durability: engine.durability(),
      one: (offset) =>
        arrivals.expect(from + offset, () =>
          spine.publish(Given, payload(from + offset), { cause: asked[from + offset] as number }),
        ),
    })
  const allWait = async (count: number) => {
    while (stateOf(spine).waits.size < count) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const warmUp = Math.min(WARM_UP_MAX, n)
  let sample: Sample
  try {
    await ask(0, warmUp)
    await allWait(warmUp)
    await answer(0, warmUp)
    await allWait(0)
    const before = await memoryInUse()
    await ask(warmUp, n)
    await allWait(n)
    const memory = memorySince(before, await memoryInUse(), n)
    sample = { ...(await answer(warmUp, n)), memory }
  } finally {
    await spine.close()
  }
  const requests = arrivals.verify()
  await verifyLog(path, { requests, events: [Asked.type, Given.type], completed: 1 })
  return sample
}
