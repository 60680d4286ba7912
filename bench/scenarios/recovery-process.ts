/** The two processes of `recovery.ts`: `fill` leaves work waiting and is killed, `reopen` finds it. */
import { agent, createSpine, type Durability, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { Payload, payload } from '../payload.ts'
import { measureCount } from '../sliding-window.ts'

/** Milliseconds from the call of `createSpine`. */
export interface Reopened {
  readonly firstMs: number
  readonly lastMs: number
  /** Of the whole process up to the last handler, its start included. */
  readonly cpuSeconds: number
  readonly durability: Durability
}

const Left = event('work.left', Payload)
const PUBLISHED_AT_ONCE = 1_000

const [task, path, count] = process.argv.slice(2)
if (path === undefined || (task !== 'fill' && task !== 'reopen'))
  throw new Error('usage: recovery-process fill|reopen PATH COUNT')
await (task === 'fill' ? fill(path, Number(count)) : reopen(path, Number(count)))

async function fill(file: string, waiting: number): Promise<void> {
  // Nothing ends here: a few handlers are busy for good, all other deliveries wait.
  const worker = agent('worker', { on: Left }, () => new Promise<void>(() => {}))
  const spine = await createSpine({ engine: sqlite(file), agents: [worker] })
  await measureCount({
    inFlight: PUBLISHED_AT_ONCE,
    count: waiting,
    durability: null,
    one: async (index) => {
      await spine.publish(Left, payload(index))
      return 0
    },
  })
  process.send?.('filled')
}

async function reopen(file: string, waiting: number): Promise<void> {
  let entered = 0
  let firstMs = 0
  let isDrained: () => void
  const drained = new Promise<void>((resolve) => {
    isDrained = resolve
  })
  const worker = agent('worker', { on: Left }, () => {
    if (++entered === 1) firstMs = performance.now() - startedAt
    if (entered === waiting) isDrained()
  })
  const engine = sqlite(file)
  const startedAt = performance.now()
  const spine = await createSpine({ engine, agents: [worker] })
  await drained
  const lastMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage()
  await spine.close()
  const result: Reopened = { firstMs, lastMs, cpuSeconds: (user + system) / 1_000_000, durability: engine.durability() }
  process.send?.(result)
  process.disconnect()
}
