/**
 * Runs that were stopped, or made room, while code of theirs still executes: the next delivery of their key, or of their
 * exclusive, waits for it. The run itself goes on without waiting.
 *
 * Job: hold back what would overlap. Not its job: stopping anything, or order on the log, which the fold keeps.
 *
 * O1  A step function that was told to stop gets `stoppedStepMs`, an effect the timeout of its agent; then the key goes on.
 * O2  Nothing of this is durable: a process that dies takes the code with it that was waited for.
 */
import type { Row } from '../coordination/delivery-table.ts'
import type { ExclusivePlace } from '../coordination/exclusives.ts'
import type { AgentState, SpineState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import { limits } from '../kernel/limits.ts'
import type { Run } from './run.ts'

type Waiter = readonly [row: Row, source: Sequence]

interface Stopping {
  readonly runs: Set<Run>
  readonly waiters: Waiter[]
}

export interface StoppedRunsHost {
  readonly state: SpineState
  readonly clock: Clock
}

export class StoppedRuns {
  readonly #host: StoppedRunsHost
  readonly #ready: (row: Row, source: Sequence) => void
  readonly #byPlace = new Map<string, Stopping>()

  /** `ready`: a delivery that was held back may start. */
  constructor(host: StoppedRunsHost, ready: (row: Row, source: Sequence) => void) {
    this.#host = host
    this.#ready = ready
  }

  /** A run is over, and what it began may not be. */
  add(run: Run): void {
    const { clock } = this.#host
    const places = run.busy === 0 ? [] : placesOf(run.agent.name, run.orderKey, run.exclusive)
    if (places.length === 0) return
    for (const place of places) {
      const stopping = this.#byPlace.get(place) ?? { runs: new Set(), waiters: [] }
      this.#byPlace.set(place, stopping)
      stopping.runs.add(run)
    }
    const rested = () => {
      for (const place of places) this.#rested(place, run)
    }
    const graceMs = run.effects.any ? Math.max(run.agent.timeoutMs, limits.stoppedStepMs) : limits.stoppedStepMs
    const timer = clock.setTimer(clock.now() + graceMs, rested)
    run.onRest = () => {
      timer.cancel()
      rested()
    }
  }

  /** Whether a delivery has to wait for such code. */
  isHeld(row: Row): boolean {
    return this.#before(row) !== undefined
  }

  /** The same; it is told when it may start. */
  holdsBack(row: Row, source: Sequence): boolean {
    const stopping = this.#before(row)
    stopping?.waiters.push([row, source])
    return stopping !== undefined
  }

  #before(row: Row): Stopping | undefined {
    if (this.#byPlace.size === 0) return undefined
    const { agents, deliveries, exclusives } = this.#host.state
    const { name } = agents[deliveries.agent[row] as number] as AgentState
    for (const place of placesOf(name, deliveries.key[row] as string, exclusives.placeOf(row))) {
      const stopping = this.#byPlace.get(place)
      if (stopping !== undefined && !isOnlyOf(stopping, row, deliveries.source[row] as Sequence)) return stopping
    }
    return undefined
  }

  #rested(place: string, run: Run): void {
    const stopping = this.#byPlace.get(place)
    if (stopping?.runs.delete(run) !== true || stopping.runs.size > 0) return
    this.#byPlace.delete(place)
    for (const [row, source] of stopping.waiters) this.#ready(row, source)
  }
}

function isOnlyOf({ runs }: Stopping, row: Row, source: Sequence): boolean {
  for (const run of runs) if (run.row !== row || run.source !== source) return false
  return true
}

function placesOf(agent: string, key: string, exclusive: ExclusivePlace | undefined): readonly string[] {
  const places = key === '' ? [] : [`${agent}/${key}`]
  // No agent has such a name.
  if (exclusive !== undefined) places.push(`exclusive ${exclusive.name}/${exclusive.session}`)
  return places
}
