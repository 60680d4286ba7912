/** W1: one handoff at a time, from the emit in one agent's handler to the entry of the next agent's handler. */
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Payload, payload } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { measureWindow } from '../sliding-window.ts'

const Asked = event('work.asked', Payload)
const HandedOver = event('work.handed-over', Payload)

export const handoff: Scenario = {
  name: 'handoff',
  inFlight: 1,
  unit: 'handoff',
  handoffsPerUnit: 1,
  async run({ directory, seconds }) {
    let emittedAt = 0
    let enteredAt = 0
    const first = agent('first', { on: Asked, emits: [HandedOver] }, (evt, ctx) => {
      emittedAt = performance.now()
      ctx.emit(HandedOver, evt.data)
    })
    const second = agent('second', { on: HandedOver }, () => {
      enteredAt = performance.now()
    })
    const engine = sqlite(join(directory, 'log.db'))
    const spine = await createSpine({ engine, agents: [first, second] })
    try {
      return await measureWindow({
        inFlight: 1,
        seconds,
        durability: engine.durability(),
        one: async (index) => {
          const { request } = await spine.publish(Asked, payload(index))
          // The next one starts when this one has come to rest: its last commit must not share a sync with a neighbour.
          const { status } = await spine.settled(request)
          if (status !== 'done') throw new Error(`Handoff ${index} ended as '${status}'.`)
          return enteredAt - emittedAt
        },
      })
    } finally {
      await spine.close()
    }
  },
}
