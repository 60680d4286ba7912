/**
 * Tells the log which handlers have been entered, lazily: runs that are still open after two batches are named in the
 * next one that goes out anyway. Most runs end, or record something, before that, and are never named.
 *
 * Job: choose whom to name. Not its job: what a name means after a crash (`coordination/crashes.ts`).
 */
import type { Run } from './run.ts'

/** Batches that a run must have outlived. One may go out in the very turn in which the run is entered. */
const BATCHES_OUTLIVED = 2

export class StartedRuns {
  /** Run → the batch after which it was entered. In order of entry. */
  readonly #unnamed = new Map<Run, number>()
  #batch = 0

  /** The log does not know that this run holds a slot. */
  entered(run: Run): void {
    if (!this.#unnamed.has(run)) this.#unnamed.set(run, this.#batch)
  }

  /** The log knows, or it is no longer so. */
  settled(run: Run): void {
    this.#unnamed.delete(run)
  }

  /** A batch goes out: whom it should name. */
  nextBatch(): readonly Run[] {
    this.#batch++
    if (this.#unnamed.size === 0) return NOBODY
    const named: Run[] = []
    for (const [run, entered] of this.#unnamed) {
      if (this.#batch - entered <= BATCHES_OUTLIVED) break
      named.push(run)
    }
    for (const run of named) this.#unnamed.delete(run)
    return named
  }
}

const NOBODY: readonly Run[] = []
