/** W3: one agent asks ten others in one turn and gathers their replies; from `publish` to the gathered values. */
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Arrivals } from '../arrivals.ts'
import { HEADER_BYTES, Payload, PAYLOAD_BYTES, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureForSeconds } from '../sliding-window.ts'
import { verifyLog } from '../verify-log.ts'

const Asked = event('question.asked', Payload)
const WIDTH = 10
/** Of one fan-out: what was published, ten calls with their payloads and ten replies with theirs, the gather, the end. */
const BYTES = (2 * WIDTH + 1) * (PAYLOAD_BYTES + HEADER_BYTES) + 2 * HEADER_BYTES

export function fanOut(inFlight: number): Scenario {
  return {
    name: 'fan-out',
    variant: null,
    inFlight,
    unit: 'gather',
    // What was published, the calls, the replies; the end of the run is written behind them.
    floor: { awaited: 3, trailing: 1, bytesEach: Math.round(BYTES / 4) },
    run: ({ directory, seconds }) => measure(join(directory, 'log.db'), inFlight, seconds),
  }
}

async function measure(path: string, inFlight: number, seconds: number): Promise<Sample> {
  const arrivals = new Arrivals()
  const experts = Array.from({ length: WIDTH }, (_, n) =>
    agent(`expert-${n}`, { input: Payload, output: Payload, concurrency: 100 }, (evt) => evt.data),
  )
  const asking = agent('asking', { on: Asked, concurrency: 100 }, async (evt, ctx) => {
    const replies = await ctx.gather(experts.map((expert) => ctx.call(expert, evt.data)))
    if (replies.length !== WIDTH || replies.some(({ index }) => index !== evt.data.index))
      throw new Error(`${replies.length} replies of ${WIDTH}, or replies to something else.`)
    arrivals.arrive(evt.data.index)
  })
  const engine = sqlite(path)
  const spine = await createSpine({ engine, agents: [asking, ...experts] })
  let sample: Sample
  try {
    sample = await measureForSeconds({
      inFlight,
      seconds,
      durability: engine.durability(),
      one: async (index) => {
        let request = ''
        const latencyMs = await arrivals.expect(index, async () => {
          request = (await spine.publish(Asked, payload(index))).request
        })
        // One at a time: its last commit must not share a sync with a neighbour.
        if (inFlight === 1) await spine.settled(request)
        return latencyMs
      },
    })
  } finally {
    await spine.close()
  }
  await verifyLog(path, { requests: arrivals.verify(), events: [Asked.type], completed: WIDTH + 1 })
  return sample
}
