/** The two processes of `fold.ts`: `fill` writes a log with `pipeline`'s agents, `open` finds it. */
import { agent, createSpine, type Durability, event, stateOf } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Arrivals } from '../arrivals.ts'
import { Payload, payload } from '../payload.ts'
import { measureCount } from '../sliding-window.ts'

export interface Opened {
  /** From the call of `createSpine` until it has resolved: folded, and its registrations durable. */
  readonly openMs: number
  /** Of all threads, in that time. */
  readonly cpuSeconds: number
  readonly records: number
  readonly durability: Durability
}

const Received = event('session.received', Payload)
const Understood = event('session.understood', Payload)
const Planned = event('session.planned', Payload)
const IN_FLIGHT = 1_000

const [task, path, count] = process.argv.slice(2)
if (path === undefined || (task !== 'fill' && task !== 'open'))
  throw new Error('usage: fold-process fill|open PATH COUNT')
const arrivals = new Arrivals()
const a = agent('a', { on: Received, emits: [Understood] }, (evt, ctx) => ctx.emit(Understood, evt.data))
const b = agent('b', { on: Understood, emits: [Planned] }, (evt, ctx) => ctx.emit(Planned, evt.data))
const c = agent('c', { on: Planned }, (evt) => arrivals.arrive(evt.data.index))
const engine = sqlite(path)
const cpu = process.cpuUsage()
const startedAt = performance.now()
const spine = await createSpine({ engine, agents: [a, b, c] })
const openMs = performance.now() - startedAt
const { user, system } = process.cpuUsage(cpu)

if (task === 'fill') await fill(Number(count))
const { at: records, deliveries } = stateOf(spine)
if (task === 'open' && deliveries.openCount > 0)
  throw new Error(`${deliveries.openCount} deliveries are open on a log at rest.`)
await spine.close()
const opened: Opened = { openMs, cpuSeconds: (user + system) / 1_000_000, records, durability: engine.durability() }
process.send?.(opened)
process.disconnect()

async function fill(recordsMin: number): Promise<void> {
  let published = 0
  while (stateOf(spine).at < recordsMin) {
    const from = published
    await measureCount({
      inFlight: IN_FLIGHT,
      count: Math.min(IN_FLIGHT, recordsMin),
      durability: null,
      one: (offset) => {
        published++
        return arrivals.expect(from + offset, () => spine.publish(Received, payload(from + offset)))
      },
    })
  }
  arrivals.verify()
}
