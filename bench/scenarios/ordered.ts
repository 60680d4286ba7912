/**
 * 1,000 sessions of 20 messages each, one agent: messages of a session are handled one at a time and in order, sessions
 * side by side.
 *
 * A hundred sessions take turns with five messages in a row, then the next hundred: with 1,000 messages in flight about
 * ten of each session wait for one another. The handler gives the event loop a turn while it runs: with `order: 'none'`
 * neighbours of a session overlap at once, and the check says so.
 */
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Arrivals } from '../arrivals.ts'
import { commitBytes, Payload, payload } from '../payload.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { measureCount } from '../sliding-window.ts'
import { verifyLog } from '../verify-log.ts'

const MESSAGES_PER_SESSION = 20
const SESSIONS_AT_A_TIME = 100
const MESSAGES_IN_A_ROW = 5
const IN_FLIGHT = 1_000
const N = 1_000 * MESSAGES_PER_SESSION

const Written = event('message.written', Payload)

export const ordered: Scenario = {
  name: 'ordered',
  variant: null,
  inFlight: IN_FLIGHT,
  unit: 'message',
  floor: { awaited: 1, trailing: 1, bytesEach: commitBytes(1) },
  nDefault: N,
  async run({ directory, n }) {
    const arrivals = new Arrivals()
    const order = new SessionOrder()
    const reader = agent('reader', { on: Written }, async ({ session, sequence, data }) => {
      order.enter(session, sequence, data.index)
      await setImmediate()
      order.leave(session)
      arrivals.arrive(data.index)
    })
    const path = join(directory, 'log.db')
    const engine = sqlite(path)
    const spine = await createSpine({ engine, agents: [reader] })
    let sample: Sample
    try {
      sample = await measureCount({
        inFlight: IN_FLIGHT,
        count: n,
        durability: engine.durability(),
        one: (index) =>
          arrivals.expect(index, () => spine.publish(Written, payload(index), { session: sessionOf(index) })),
      })
    } finally {
      await spine.close()
    }
    order.verify()
    await verifyLog(path, { requests: arrivals.verify(), events: [Written.type], completed: 1 })
    return sample
  },
}

function sessionOf(index: number): string {
  const round = Math.floor(index / (SESSIONS_AT_A_TIME * MESSAGES_PER_SESSION))
  const turn = Math.floor(index / MESSAGES_IN_A_ROW) % SESSIONS_AT_A_TIME
  return `customer-${round * SESSIONS_AT_A_TIME + turn}`
}

/** What a handler sees of its session: one message at a time, in the order of the log and of the publishes. */
class SessionOrder {
  readonly #sessions = new Map<string, { sequence: number; index: number; isOpen: boolean }>()
  readonly #faults: string[] = []

  enter(session: string, sequence: number, index: number): void {
    const last = this.#sessions.get(session)
    if (last?.isOpen) this.#faults.push(`${session}: ${index} entered while ${last.index} was being handled`)
    if (last !== undefined && (last.sequence >= sequence || last.index >= index))
      this.#faults.push(`${session}: ${index} entered after ${last.index}`)
    this.#sessions.set(session, { sequence, index, isOpen: true })
  }

  leave(session: string): void {
    const last = this.#sessions.get(session)
    if (last !== undefined) last.isOpen = false
  }

  verify(): void {
    if (this.#faults.length > 0) throw new Error(`${this.#faults.length} times out of order: ${this.#faults[0]}.`)
  }
}
