/** Durable publishes from outside, with nobody listening: the way onto the log and nothing else. */
import { join } from 'node:path'
import { createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { commitBytes, Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureForSeconds } from '../sliding-window.ts'
import { verifyLog } from '../verify-log.ts'

const Noted = event('thing.noted', Payload)
const IN_FLIGHT = 100

export const publish: Scenario = {
  name: 'publish',
  variant: null,
  inFlight: IN_FLIGHT,
  unit: 'publish',
  floor: { awaited: 1, trailing: 0, bytesEach: commitBytes(1) },
  async run({ directory, seconds }) {
    const path = join(directory, 'log.db')
    const engine = sqlite(path)
    // That no agent listens is what this measures; the warning would only confuse.
    const spine = await createSpine({ engine, agents: [], logger: { warn: () => {} } })
    let published = 0
    let sample: Sample
    try {
      sample = await measureForSeconds({
        inFlight: IN_FLIGHT,
        seconds,
        durability: engine.durability(),
        one: async (index) => {
          const startedAt = performance.now()
          await spine.publish(Noted, payload(index))
          published++
          return performance.now() - startedAt
        },
      })
    } finally {
      await spine.close()
    }
    await verifyLog(path, { requests: published, events: [Noted.type], completed: 0 })
    return sample
  },
}
