/**
 * The law for engines: the contract of `engine/engine.ts` as tests. An engine's own test calls `engineConformance` and
 * says how to make one; nothing else.
 *
 * Gated only by what the engine itself declares (`shared`, `durability()`), never by the test's author.
 */
import { describe } from 'vitest'
import type { Engine } from '../engine.ts'
import { appendSection } from './append.ts'
import { headsSection } from './heads.ts'
import { keysSection } from './keys.ts'
import { lifecycleSection } from './lifecycle.ts'
import { readSection } from './read.ts'
import { snapshotsAndTrimSection } from './snapshots-and-trim.ts'
import { tailSection } from './tail.ts'

/** One log, and engines on it: `engine()` gives a closed one, the same or another on the same storage. */
export interface Storage {
  engine(): Engine
  remove(): void | Promise<void>
}

/**
 * Declares the whole suite for an engine.
 *
 * @example engineConformance('memory', () => { const engine = memory(); return { engine: () => engine, remove() {} } })
 */
export function engineConformance(name: string, create: () => Storage): void {
  describe(`engine conformance: ${name}`, () => {
    appendSection(create)
    headsSection(create)
    keysSection(create)
    tailSection(create)
    readSection(create)
    snapshotsAndTrimSection(create)
    lifecycleSection(create)
  })
}
