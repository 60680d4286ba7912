/**
 * W1: one handoff at a time, from the emit in one agent's handler to the entry of the next agent's handler. `'fresh'`: both
 * agents declare freshness, so that every commit guards the turn of its session and every publish moves it.
 */
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { commitBytes, Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureForSeconds } from '../sliding-window.ts'
import { verifyLog } from '../verify-log.ts'

const Asked = event('work.asked', Payload)
const HandedOver = event('work.handed-over', Payload)

export const handoff = (variant: 'fresh' | null): Scenario => ({
  name: 'handoff',
  variant,
  inFlight: 1,
  unit: 'handoff',
  handoffsPerUnit: 1,
  // The publish, the end of the first agent with what it emits, the end of the second.
  floor: { awaited: 3, trailing: 0, bytesEach: commitBytes(2) },
  async run({ directory, seconds }) {
    let emitted = { index: -1, atMs: 0 }
    let entered = { index: -1, atMs: 0 }
    let published = 0
    const freshness = variant === null ? {} : { freshness: { newer: [Asked], then: 'cancel' as const } }
    const first = agent('first', { on: Asked, emits: [HandedOver], ...freshness }, (evt, ctx) => {
      emitted = { index: evt.data.index, atMs: performance.now() }
      ctx.emit(HandedOver, evt.data)
    })
    const second = agent('second', { on: HandedOver, ...freshness }, (evt) => {
      entered = { index: evt.data.index, atMs: performance.now() }
    })
    const path = join(directory, 'log.db')
    const engine = sqlite(path)
    const spine = await createSpine({ engine, agents: [first, second] })
    let sample: Sample
    try {
      sample = await measureForSeconds({
        inFlight: 1,
        seconds,
        durability: engine.durability(),
        one: async (index) => {
          const { request } = await spine.publish(Asked, payload(index))
          published++
          // The next one starts when this one has come to rest: its last commit must not share a sync with a neighbour.
          const { status } = await spine.settled(request)
          if (status !== 'done') throw new Error(`Handoff ${index} ended as '${status}'.`)
          if (emitted.index !== index || entered.index !== index)
            throw new Error(`Handoff ${index} is done; ${emitted.index} was emitted last, ${entered.index} entered.`)
          return entered.atMs - emitted.atMs
        },
      })
    } finally {
      await spine.close()
    }
    await verifyLog(path, { requests: published, events: [Asked.type, HandedOver.type], completed: 2 })
    return sample
  },
})
