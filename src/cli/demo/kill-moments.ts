/** When to kill, by chance: while a working process opens the log and takes up what was open, or while it works. */
import { fraction, seededRandom } from '../../kernel/random.ts'

export interface KillMoment {
  /**
   * From when on it is counted. `starting`: from the start of the process; `working`: from the moment when its spine is
   * open; `progressing`: from the first work that it ends.
   */
  readonly phase: 'starting' | 'working' | 'progressing'
  readonly delayMs: number
}

/** Until a process has shown how long it takes to be ready here. */
const STARTING_MS = 300
/** Long enough that every run gets on, short enough that a run of the demo takes dozens of kills. */
const WORKING_MS = 400
/** How many of the kills come before the spine is open. */
const STARTING_SHARE = 0.3
/**
 * So many processes in a row may be killed before they ended any work. Work that takes down five of them, three while it
 * runs alone, is given up as a crash loop; on a slow machine chance would look just like that.
 */
const FRUITLESS_MAX = 2

export class KillMoments {
  readonly #random: ReturnType<typeof seededRandom>
  #left: number
  #startingMs = STARTING_MS
  #fruitless = 0

  constructor(kills: number, seed: string) {
    this.#random = seededRandom(seed)
    this.#left = kills
  }

  /** The moment for the next working process; `undefined` when it may live. */
  take(): KillMoment | undefined {
    if (this.#left === 0) return undefined
    this.#left--
    const byChance = fraction(this.#random) < STARTING_SHARE ? 'starting' : 'working'
    const phase = this.#fruitless >= FRUITLESS_MAX ? 'progressing' : byChance
    this.#fruitless++
    return { phase, delayMs: fraction(this.#random) * (phase === 'starting' ? this.#startingMs : WORKING_MS) }
  }

  /** A process has ended some work. */
  progressed(): void {
    this.#fruitless = 0
  }

  /** So long the last one took until its spine was open. */
  started(ms: number): void {
    this.#startingMs = ms
  }
}
