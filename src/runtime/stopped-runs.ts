/**
 * Runs that were stopped from outside while code of theirs still executes: the next delivery of their key waits for it.
 *
 * Job: hold back what would overlap. Not its job: stopping anything, or order on the log, which the fold keeps.
 *
 * O1  A step function that was told to stop gets `stoppedStepMs`, an effect the timeout of its agent; then the key goes on.
 * O2  Nothing of this is durable: a process that dies takes the code with it that was waited for.
 */
import type { Row } from '../coordination/delivery-table.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import { limits } from '../kernel/limits.ts'
import type { Run } from './run.ts'

type Waiter = readonly [row: Row, source: Sequence]

interface Stopping {
  readonly runs: Set<Run>
  readonly waiters: Waiter[]
}

export class StoppedRuns {
  readonly #clock: Clock
  readonly #ready: (row: Row, source: Sequence) => void
  readonly #byKey = new Map<string, Stopping>()

  /** `ready`: a delivery that was held back may start. */
  constructor(clock: Clock, ready: (row: Row, source: Sequence) => void) {
    this.#clock = clock
    this.#ready = ready
  }

  /** A run is over, and what it began may not be. */
  add(run: Run): void {
    if (run.busy === 0 || run.orderKey === '') return
    const place = placeOf(run.agent.name, run.orderKey)
    const stopping = this.#byKey.get(place) ?? { runs: new Set(), waiters: [] }
    this.#byKey.set(place, stopping)
    stopping.runs.add(run)
    const graceMs = run.effects.any ? Math.max(run.agent.timeoutMs, limits.stoppedStepMs) : limits.stoppedStepMs
    const timer = this.#clock.setTimer(this.#clock.now() + graceMs, () => this.#rested(place, run))
    run.onRest = () => {
      timer.cancel()
      this.#rested(place, run)
    }
  }

  isHeld(agent: string, key: string): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(placeOf(agent, key))
  }

  hold(agent: string, key: string, row: Row, source: Sequence): void {
    this.#byKey.get(placeOf(agent, key))?.waiters.push([row, source])
  }

  #rested(place: string, run: Run): void {
    const stopping = this.#byKey.get(place)
    if (stopping?.runs.delete(run) !== true || stopping.runs.size > 0) return
    this.#byKey.delete(place)
    for (const [row, source] of stopping.waiters) this.#ready(row, source)
  }
}

function placeOf(agent: string, key: string): string {
  return `${agent}/${key}`
}
