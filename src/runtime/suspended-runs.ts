/**
 * Runs that wait for the log, in the order in which they came to rest, and those that are no longer kept.
 *
 * Job: bound how many handlers a process keeps waiting. Not its job: starting one again (`dispatcher.ts`).
 *
 * W5  At most `max` suspended runs are kept. The one that has waited longest is forgotten, as if the process had died
 *     under it; of it stays a number, and it is run again from its journal when something comes for it.
 * W6  A run is not forgotten while it has something to do.
 */
import type { Row } from '../coordination/delivery-table.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Run } from './run.ts'

export class SuspendedRuns {
  readonly #max: number
  readonly #kept = new Set<Run>()
  readonly #forgotten = new Map<Row, Sequence>()

  constructor(max: number) {
    this.#max = max
  }

  /** The run that is to be forgotten for this one, if any. */
  add(run: Run): Run | undefined {
    this.#kept.add(run)
    if (this.#kept.size <= this.#max) return undefined
    for (const oldest of this.#kept) {
      // It reads what it has just been told of.
      if (oldest.busy > 0) continue
      this.#kept.delete(oldest)
      this.#forgotten.set(oldest.row, oldest.source)
      return oldest
    }
    return undefined
  }

  /** It has something to do, or is over. */
  remove(run: Run): void {
    this.#kept.delete(run)
  }

  isForgotten(row: Row, source: Sequence): boolean {
    return this.#forgotten.get(row) === source
  }

  /** Whether it was forgotten; it is no longer. */
  takeForgotten(row: Row, source: Sequence): boolean {
    return this.isForgotten(row, source) && this.#forgotten.delete(row)
  }
}
