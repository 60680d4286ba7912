/** Durable publishes from outside, with nobody listening: the way onto the log and nothing else. */
import { join } from 'node:path'
import { createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Payload, payload } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { measureWindow } from '../sliding-window.ts'

const Noted = event('thing.noted', Payload)
const IN_FLIGHT = 100

export const publish: Scenario = {
  name: 'publish',
  inFlight: IN_FLIGHT,
  unit: 'publish',
  async run({ directory, seconds }) {
    const engine = sqlite(join(directory, 'log.db'))
    // That no agent listens is what this measures; the warning would only confuse.
    const spine = await createSpine({ engine, agents: [], logger: { warn: () => {} } })
    try {
      return await measureWindow({
        inFlight: IN_FLIGHT,
        seconds,
        durability: engine.durability(),
        one: async (index) => {
          const startedAt = performance.now()
          await spine.publish(Noted, payload(index))
          return performance.now() - startedAt
        },
      })
    } finally {
      await spine.close()
    }
  },
}
