/**
 * Tells the log which handlers hold a slot, lazily: runs that are still open after two batches are named in the next one
 * that goes out anyway, and so are runs that were named and have been suspended since. Most runs end, or record something,
 * before that, and are never named.
 *
 * Job: choose whom to name. Not its job: what a name means after a crash (`coordination/crashes.ts`).
 */
import type { Run } from './run.ts'

/** Batches that a run must have outlived. One may go out in the very turn in which the run is entered. */
const BATCHES_OUTLIVED = 2

export interface Named {
  readonly started: readonly Run[]
  readonly suspended: readonly Run[]
}

export class StartedRuns {
  /** Run → the batch after which it was entered. In order of entry. */
  readonly #unnamed = new Map<Run, number>()
  /** Run → the batch after which it was suspended, though the log may know it as started. */
  readonly #resting = new Map<Run, number>()
  readonly #isStarted: (run: Run) => boolean
  #batch = 0

  /** `isStarted`: what the fold knows of a run. */
  constructor(isStarted: (run: Run) => boolean) {
    this.#isStarted = isStarted
  }

  /** The log does not know that this run holds a slot. */
  entered(run: Run): void {
    this.#resting.delete(run)
    if (!this.#unnamed.has(run)) this.#unnamed.set(run, this.#batch)
  }

  /** The log knows, or will with what this run appends now. */
  settled(run: Run): void {
    this.#unnamed.delete(run)
  }

  suspended(run: Run): void {
    this.#unnamed.delete(run)
    this.#resting.set(run, this.#batch)
  }

  over(run: Run): void {
    this.#unnamed.delete(run)
    this.#resting.delete(run)
  }

  /** A batch goes out: whom it should name. */
  nextBatch(): Named | undefined {
    this.#batch++
    if (this.#unnamed.size === 0 && this.#resting.size === 0) return undefined
    const started: Run[] = []
    for (const [run, entered] of this.#unnamed) {
      if (this.#batch - entered <= BATCHES_OUTLIVED) break
      started.push(run)
    }
    for (const run of started) this.#unnamed.delete(run)
    const suspended: Run[] = []
    for (const [run, since] of this.#resting) {
      // Its naming may be on its way still; after some batches it is not.
      if (this.#isStarted(run)) suspended.push(run)
      else if (this.#batch - since <= BATCHES_OUTLIVED) continue
      this.#resting.delete(run)
    }
    return started.length + suspended.length === 0 ? undefined : { started, suspended }
  }
}
