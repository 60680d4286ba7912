/** W2: sessions that pass A, B and C, handed over by emitted events; three durable handoffs a session. */
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureWindow } from '../sliding-window.ts'

const Received = event('session.received', Payload)
const Understood = event('session.understood', Payload)
const Planned = event('session.planned', Payload)

export function pipeline(inFlight: number): Scenario {
  return {
    name: 'pipeline',
    inFlight,
    unit: 'session',
    handoffsPerUnit: 3,
    run: ({ directory, seconds }) => measure(join(directory, 'log.db'), inFlight, seconds),
  }
}

async function measure(path: string, inFlight: number, seconds: number): Promise<Sample> {
  const arrivals = new Map<number, () => void>()
  const a = agent('a', { on: Received, emits: [Understood] }, (evt, ctx) => ctx.emit(Understood, evt.data))
  const b = agent('b', { on: Understood, emits: [Planned] }, (evt, ctx) => ctx.emit(Planned, evt.data))
  const c = agent('c', { on: Planned }, (evt) => {
    const { index } = evt.data
    arrivals.get(index)?.()
    arrivals.delete(index)
  })
  const engine = sqlite(path)
  const spine = await createSpine({ engine, agents: [a, b, c] })
  try {
    return await measureWindow({
      inFlight,
      seconds,
      durability: engine.durability(),
      one: (index) =>
        new Promise((resolve, reject) => {
          const startedAt = performance.now()
          arrivals.set(index, () => resolve(performance.now() - startedAt))
          // No session of its own is named: each request is one.
          spine.publish(Received, payload(index)).catch(reject)
        }),
    })
  } finally {
    await spine.close()
  }
}
