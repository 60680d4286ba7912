/** Scenario tests: the same story on every embedded engine, each ended by a look through an observer's eyes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createSpine,
  type Engine,
  encodeState,
  type LogRecord,
  type Spine,
  type SpineOptions,
  stateOf,
} from 'event-spine'
import { memory } from 'event-spine/memory'
import { SimulatedLog, SimulatedProcess } from 'event-spine/testing'
import { sqlite } from 'event-spine/sqlite'
import { afterAll, afterEach, describe, expect } from 'vitest'
import { Observer } from './observer.ts'

export interface World {
  /** A spine on this test's log. The second one on the same log needs the first to be closed. */
  open(options: Partial<SpineOptions> & Pick<SpineOptions, 'agents'>): Promise<Spine>
  /** The lines that people would have seen. */
  readonly warnings: readonly string[]
  records(spine: Spine): Promise<readonly LogRecord[]>
  /** An engine on this test's log, for a test that wraps or opens it itself. */
  engine(): Engine
  /** Every handler is run again from the top at every await: how often it is entered means nothing here. */
  readonly isReplayed: boolean
}

interface Storage {
  engine(): Engine
  open?(options: SpineOptions): Promise<Spine>
  observed(records: readonly LogRecord[]): Parameters<Observer['stateOf']>[0]
  remove(): void
}

const STORAGES: Record<string, () => Storage> = {
  memory: () => {
    const engine = memory()
    return { engine: () => engine, observed: (records) => ({ records }), remove: () => {} }
  },
  'memory, replayed at every await': () => {
    const log = new SimulatedLog()
    return {
      engine: () => log.engine(),
      open: async (options) => {
        const engine = log.engine()
        return (await SimulatedProcess.start({ ...options, engine }, { replaysAlways: true })).spine
      },
      observed: (records) => ({ records }),
      remove: () => {},
    }
  },
  sqlite: () => {
    const directory = mkdtempSync(join(tmpdir(), 'event-spine-test-'))
    const path = join(directory, 'spine.db')
    return {
      engine: () => sqlite(path),
      observed: () => ({ path }),
      remove: () => rmSync(directory, { recursive: true, force: true }),
    }
  },
}

/** Declares the suite once for each engine. */
export function describeOnEachEngine(name: string, suite: (world: World) => void): void {
  for (const [engineName, create] of Object.entries(STORAGES)) {
    describe(`${name} on ${engineName}`, () => suite(worldOn(create, engineName.includes('replayed'))))
  }
}

function worldOn(create: () => Storage, isReplayed: boolean): World {
  const observer = new Observer()
  let storage: Storage | undefined
  let spines: Spine[] = []
  let warnings: string[] = []

  const records = async (spine: Spine) => {
    const all: LogRecord[] = []
    for await (const record of spine.log.read()) all.push(record)
    return all
  }

  const compareWithObserver = async (spine: Spine, of: Storage) => {
    const seen = await observer.stateOf(of.observed(await records(spine)))
    expect(JSON.parse(seen)).toEqual(JSON.parse(encodeState(stateOf(spine))))
  }

  afterEach(async () => {
    const open = spines
    const used = storage
    spines = []
    storage = undefined
    warnings = []
    try {
      const last = open.at(-1)
      if (last !== undefined && used !== undefined && !isClosed.has(last)) {
        await quiet(last)
        await compareWithObserver(last, used)
      }
    } finally {
      for (const spine of open) await spine.close({ drain: 0 })
      used?.remove()
    }
  })
  afterAll(() => observer.stop())

  return {
    isReplayed,
    get warnings() {
      return warnings
    },
    engine() {
      storage ??= create()
      return storage.engine()
    },
    async open(options) {
      storage ??= create()
      const lines = warnings
      const all = { logger: { warn: (line: string) => lines.push(line) }, ...options }
      const spine = await (options.engine === undefined && storage.open !== undefined
        ? storage.open(all)
        : createSpine({ engine: storage.engine(), ...all }))
      const { close } = spine
      spine.close = async (closing) => {
        isClosed.add(spine)
        await close(closing)
      }
      spines.push(spine)
      return spine
    },
    records,
  }
}

const isClosed = new WeakSet<Spine>()

/** The log has stopped growing: what a test left running has come to rest, or waits for time. */
async function quiet(spine: Spine): Promise<void> {
  for (let before = -1; before !== stateOf(spine).at; ) {
    before = stateOf(spine).at
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}
