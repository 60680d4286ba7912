/**
 * What a delivery costs that waits: on an agent that is busy, or on one that no process hosts.
 *
 * Counted is what the process keeps, after full collections, from the end of a warm-up to the end of the load: heap
 * (objects, strings, maps) and the buffers of typed arrays, spare capacity included. The warm-up is larger than the
 * cache of recent records, so that filling it is not counted as what waiting costs. Tables double as they grow: a figure
 * belongs to its `n`.
 */
import { join } from 'node:path'
import { agent, createSpine, event, type Spine, stateOf } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { memoryInUse, memorySince } from '../memory-in-use.ts'
import { Payload, payload } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { measureCount } from '../sliding-window.ts'

const N = 100_000
const WARM_UP_MAX = 30_000
const PUBLISHED_AT_ONCE = 1_000
const SESSIONS_SHARED = 1_000

const Left = event('work.left', Payload)
const VARIANTS = {
  'busy agent': { isHosted: true, hasOwnSession: true },
  'busy agent, 1,000 sessions': { isHosted: true, hasOwnSession: false },
  'absent agent': { isHosted: false, hasOwnSession: true },
} as const

export function memoryPerDelivery(variant: keyof typeof VARIANTS): Scenario {
  const { isHosted, hasOwnSession } = VARIANTS[variant]
  return {
    name: 'memory',
    variant,
    inFlight: null,
    unit: 'delivery',
    nDefault: N,
    nodeFlags: ['--expose-gc'],
    async run({ directory, n }) {
      const path = join(directory, 'log.db')
      const worker = agent('worker', { on: Left, concurrency: 1 }, () => new Promise<void>(() => {}))
      if (!isHosted) await (await createSpine({ engine: sqlite(path), agents: [worker] })).close()
      const engine = sqlite(path)
      const agents = isHosted ? [worker] : []
      // That the agent is absent is what this measures; the warning would only confuse.
      const spine = await createSpine({ engine, agents, logger: { warn: () => {} } })
      const load = async (from: number, count: number) => {
        await measureCount({
          inFlight: PUBLISHED_AT_ONCE,
          count,
          durability: null,
          one: async (offset) => {
            const index = from + offset
            const options = hasOwnSession ? {} : { session: `customer-${index % SESSIONS_SHARED}` }
            await spine.publish(Left, payload(index), options)
            return 0
          },
        })
      }
      const warmUp = Math.min(WARM_UP_MAX, n)
      await load(0, warmUp)
      requireOpen(spine, warmUp)
      const before = await memoryInUse()
      await load(warmUp, n)
      const memory = memorySince(before, await memoryInUse(), n)
      requireOpen(spine, warmUp + n)
      // The process ends with the run: the handler never will, and there is nothing to wait for.
      return {
        n,
        perSecond: null,
        p50Ms: null,
        p99Ms: null,
        cpuSecondsPer1000: null,
        loopStallMsMax: null,
        durability: engine.durability(),
        memory,
      }
    },
  }
}

function requireOpen(spine: Spine, expected: number): void {
  const { openCount } = stateOf(spine).deliveries
  if (openCount !== expected) throw new Error(`${openCount} deliveries are open; ${expected} should wait.`)
}
