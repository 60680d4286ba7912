/**
 * Where a run stands on the log: what it was given, and from where on its request counts.
 *
 * Job: the basis, told once a journal. Not its job: the guards (`lane.ts`).
 */
import type { Sequence } from '../event/sequence.ts'

export class RunStanding {
  /** Ends of its request up to here belong to an earlier life of the delivery. */
  since: Sequence = 0
  #basis: Sequence = 0
  #isRecorded = false

  /** `basis`: what an earlier attempt has recorded, or 0. */
  enter(at: Sequence, basis: Sequence): void {
    this.since = at
    this.#basis = basis || at
    this.#isRecorded = basis !== 0
  }

  /** For the first journal record of the run. Later ones say nothing. */
  told(version: string): { readonly basis?: Sequence; readonly version?: string } {
    if (this.#isRecorded) return {}
    this.#isRecorded = true
    return { basis: this.#basis, version }
  }
}
