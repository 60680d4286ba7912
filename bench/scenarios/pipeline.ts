/** W2: sessions that pass A, B and C, handed over by emitted events; three durable handoffs a session. */
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Arrivals } from '../arrivals.ts'
import { asideAgents, useFeatures } from '../features-in-use.ts'
import { commitBytes, Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureForSeconds } from '../sliding-window.ts'
import { verifyLog } from '../verify-log.ts'

const Received = event('session.received', Payload)
const Understood = event('session.understood', Payload)
const Planned = event('session.planned', Payload)

/** `others use all`: the same load, while agents beside it use every feature that it does not. */
export function pipeline(inFlight: number, variant: 'others use all' | null = null): Scenario {
  return {
    name: 'pipeline',
    variant,
    inFlight,
    unit: 'session',
    handoffsPerUnit: 3,
    // C is entered when what A was given, what A and what B emitted are durable; the end of C is written behind it.
    floor: { awaited: 3, trailing: 1, bytesEach: commitBytes(2) },
    run: ({ directory, seconds }) => measure(join(directory, 'log.db'), inFlight, seconds, variant !== null),
  }
}

async function measure(path: string, inFlight: number, seconds: number, isAside: boolean): Promise<Sample> {
  const arrivals = new Arrivals()
  const a = agent('a', { on: Received, emits: [Understood] }, (evt, ctx) => ctx.emit(Understood, evt.data))
  const b = agent('b', { on: Understood, emits: [Planned] }, (evt, ctx) => ctx.emit(Planned, evt.data))
  const c = agent('c', { on: Planned }, (evt) => arrivals.arrive(evt.data.index))
  const engine = sqlite(path)
  const spine = await createSpine({ engine, agents: [a, b, c, ...(isAside ? asideAgents : [])] })
  const aside = isAside ? await useFeatures(spine) : []
  let sample: Sample
  try {
    sample = await measureForSeconds({
      inFlight,
      seconds,
      durability: engine.durability(),
      // No session of its own is named: each request is one.
      one: (index) => arrivals.expect(index, () => spine.publish(Received, payload(index))),
    })
  } finally {
    await spine.close(isAside ? { drain: 0 } : {})
  }
  const requests = arrivals.verify()
  const events = [Received.type, Understood.type, Planned.type]
  await verifyLog(path, { requests, events, completed: 3, aside })
  return sample
}
