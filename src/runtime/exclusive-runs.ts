/**
 * Which runs of exclusive agents execute in this process, and whom they keep from starting.
 *
 * Job: the last look before a start, at what the log says and at what it does not say yet. Not its job: who holds what
 * (`coordination/hold-exclusive.ts`), or code of a stopped run that still executes (`stopped-runs.ts`).
 *
 * XR1  From its start on a run is in the way, whether the log knows of it or not, until the end of its delivery has been told
 *      here: what is folded and not told yet may still have to be stopped.
 * XR2  So is what makes room, until the log says that it has.
 */
import type { Row } from '../coordination/delivery-table.ts'
import type { ExclusivePlace } from '../coordination/exclusives.ts'
import { blockersOf, isInside } from '../coordination/blockers-of.ts'
import type { SpineState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Preemption } from './preemption.ts'
import type { Run } from './run.ts'

export class ExclusiveRuns {
  readonly #host: { readonly state: SpineState }
  readonly #preemption: Preemption
  readonly #runs = new Map<string, Set<Run>>()

  constructor(host: { readonly state: SpineState }, preemption: Preemption) {
    this.#host = host
    this.#preemption = preemption
  }

  started(run: Run): void {
    if (run.exclusive === undefined) return
    const id = idOf(run.exclusive)
    const runs = this.#runs.get(id)
    if (runs === undefined) this.#runs.set(id, new Set([run]))
    else runs.add(run)
  }

  over(run: Run): void {
    if (run.exclusive === undefined) return
    const id = idOf(run.exclusive)
    const runs = this.#runs.get(id)
    if (runs?.delete(run) === true && runs.size === 0) this.#runs.delete(id)
  }

  /** Whether it may not start now. It is let in when a delivery of its place ends. */
  isExcluded(row: Row): boolean {
    const { state } = this.#host
    const place = state.exclusives.size === 0 ? undefined : state.exclusives.placeOf(row)
    if (place === undefined) return false
    if (blockersOf(state, row).length > 0) return true
    for (const run of this.#runs.get(idOf(place)) ?? []) if (this.#isInTheWay(run, row)) return true
    for (const other of place.waiting)
      if (other !== row && this.#preemption.isOnItsWay(other, state.deliveries.source[other] as Sequence)) return true
    return false
  }

  /** It has let others in while it stood still for a newer turn, and may not go on before they have ended. */
  isBarred(row: Row): boolean {
    return this.#host.state.exclusives.placeOf(row)?.waiting.has(row) === true && this.isExcluded(row)
  }

  #isInTheWay(run: Run, row: Row): boolean {
    const { state } = this.#host
    if (state.deliveries.source[run.row] !== run.source) return true
    if (run.row === row || isInside(state, row, run.row) || isInside(state, run.row, row)) return false
    // At rest, the log says whether it holds.
    return run.phase !== 'suspended'
  }
}

function idOf({ name, session }: ExclusivePlace): string {
  return `${name} ${session}`
}
