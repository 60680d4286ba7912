/**
 * The law for engines: the contract of `engine/engine.ts` as tests. An engine's own test calls `engineConformance` and
 * says how to make one; nothing else. It runs under Vitest 4, with fast-check.
 *
 * Gated only by what the engine itself declares (`shared`, `durability()`), never by the test's author. A test that such
 * a fact makes pointless says so in an annotation.
 */
import { describe } from 'vitest'
import type { Engine } from '../engine.ts'
import { appendSection } from './append.ts'
import { durabilitySection } from './durability.ts'
import { headsSection } from './heads.ts'
import { keysSection } from './keys.ts'
import { lifecycleSection } from './lifecycle.ts'
import { readSection } from './read.ts'
import { snapshotsAndTrimSection } from './snapshots-and-trim.ts'
import { tailSection } from './tail.ts'

/** One log, and engines on it: `engine()` gives a closed one, the same or another on the same storage. */
export interface Storage {
  engine(): Engine
  /** After the last engine on it was closed. */
  remove(): void | Promise<void>
}

export interface EngineUnderTest {
  /** A new, empty log. */
  create(): Storage | Promise<Storage>
}

/**
 * Declares the whole suite for an engine.
 *
 * @example
 * engineConformance('memory', {
 *   create() {
 *     const engine = memory()
 *     return { engine: () => engine, remove() {} }
 *   },
 * })
 */
export function engineConformance(name: string, engine: EngineUnderTest): void {
  describe(`engine conformance: ${name}`, () => {
    appendSection(engine)
    headsSection(engine)
    keysSection(engine)
    tailSection(engine)
    readSection(engine)
    snapshotsAndTrimSection(engine)
    lifecycleSection(engine)
    durabilitySection(engine)
  })
}
