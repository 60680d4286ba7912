/**
 * The engine alone: `append` of one commit with three records, as a handoff writes it, without a runtime above it.
 *
 * What `pipeline` takes more than this is the runtime; what this takes more than its floor is the engine.
 */
import { join } from 'node:path'
import type { Commit, Engine, NewRecord } from 'event-spine'
import { memory } from 'event-spine/memory'
import { sqlite } from 'event-spine/sqlite'
import { commitBytes, payload } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { measureForSeconds } from '../sliding-window.ts'

const RECORDS = 3
const IN_FLIGHT = 100
const ENGINES = { sqlite: (directory: string) => sqlite(join(directory, 'log.db')), memory: () => memory() }

export function append(variant: keyof typeof ENGINES): Scenario {
  return {
    name: 'append',
    variant,
    inFlight: IN_FLIGHT,
    unit: 'commit',
    ...(variant === 'sqlite' && { floor: { awaited: 1, trailing: 0, bytesEach: commitBytes(RECORDS) } }),
    async run({ directory, seconds }) {
      const engine = ENGINES[variant](directory)
      await engine.open()
      try {
        const positions = new Positions()
        const sample = await measureForSeconds({
          inFlight: IN_FLIGHT,
          seconds,
          durability: engine.durability(),
          one: async (index) => {
            const commit = commitOf(index)
            const startedAt = performance.now()
            const [outcome] = await engine.append([commit])
            const latencyMs = performance.now() - startedAt
            if (outcome?.status !== 'appended') throw new Error(`Commit ${index} ended as '${outcome?.status}'.`)
            positions.take(index, outcome.first, outcome.last)
            return latencyMs
          },
        })
        await positions.verify(engine)
        return sample
      } finally {
        await engine.close()
      }
    },
  }
}

/** What agent B writes in one commit: that it has run, what it emits, that it is done. */
function commitOf(index: number): Commit {
  const value = payload(index)
  const header = { time: Date.now(), session: `s${index}`, request: `s${index}`, key: `s${index}`, cause: 1, hops: 1 }
  const started = { events: [1], agents: ['b'] }
  const records: NewRecord[] = [
    { ...header, type: 'spine.runs.started', data: { json: JSON.stringify(started), value: started } },
    { ...header, type: 'session.planned', agent: 'b', data: { json: JSON.stringify(value), value } },
    { ...header, type: 'spine.delivery.completed', agent: 'b' },
  ]
  return { id: `bench:${index}`, records }
}

/** That commits got neighbouring places in the order in which they were given. */
class Positions {
  readonly #firsts: number[] = []

  take(index: number, first: number, last: number): void {
    if (last - first + 1 !== RECORDS) throw new Error(`Commit ${index} stands at ${first} to ${last}.`)
    this.#firsts[index] = first
  }

  async verify(engine: Engine): Promise<void> {
    const head = await engine.head()
    if (head !== this.#firsts.length * RECORDS)
      throw new Error(`${this.#firsts.length} commits of ${RECORDS} records were acknowledged; the head is ${head}.`)
    this.#firsts.forEach((first, index) => {
      if (first !== index * RECORDS + 1) throw new Error(`Commit ${index} stands at ${first}.`)
    })
    const [last] = await engine.read({ limit: 1, backwards: true })
    if (last?.sequence !== head || last.type !== 'spine.delivery.completed')
      throw new Error(`The last record is ${last?.sequence}, '${last?.type}'; the head is ${head}.`)
  }
}
