/**
 * Stops a run so that more urgent work gets its slot, and knows which runs were stopped so.
 *
 * Job: tell what each running handler can stand, and carry out what the rules say (`coordination/find-room.ts`).
 * Not its job: the rules; what starts in the slot (`dispatcher.ts`).
 */
import type { Row } from '../coordination/delivery-table.ts'
import { findRoom, type Occupant, type Yielding } from '../coordination/find-room.ts'
import type { Urgency } from '../event/priority.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import type { Line } from './line.ts'
import type { Run } from './run.ts'
import type { RunHost } from './run-host.ts'

export class Preemption {
  readonly #host: RunHost
  readonly #lineOf: (run: Run) => Line
  /** Made room, and the record of it is on its way: until it is folded they do not start again. */
  readonly #onItsWay = new Map<Row, Sequence>()

  constructor(host: RunHost, lineOf: (run: Run) => Line) {
    this.#host = host
    this.#lineOf = lineOf
  }

  isOnItsWay(row: Row, source: Sequence): boolean {
    return this.#onItsWay.size > 0 && this.#onItsWay.get(row) === source
  }

  /** Whether what has become ready is a run that made room. */
  isFolded(row: Row, source: Sequence): boolean {
    return this.isOnItsWay(row, source) && this.#onItsWay.delete(row)
  }

  /** True when there is a slot now for the head of this line. `hasReserve`: whether one may be had beyond what there is. */
  makeRoom(line: Line, urgency: Urgency, running: Iterable<Run>, hasReserve: boolean): boolean {
    const { deliveries } = this.#host.state
    const { row, source } = line.headOf(urgency)
    // What only looks on stops nobody.
    if (deliveries.observes[row] === 1) return false
    const room = findRoom(this.#occupants(running), urgency)
    if (room.kind === 'preempt') {
      this.#preempt(room.victim.run, source)
      return true
    }
    if (hasReserve && room.mayUseReserve) return true
    if (room.later !== undefined) room.later.run.isAskedToYield = true
    return false
  }

  /** At its next step, if it can still be stopped. */
  yield(run: Run, by: Sequence): boolean {
    const yielding = this.#yieldingOf(run)
    if (yielding !== 'at once' && yielding !== 'next step') return false
    this.#preempt(run, by)
    return true
  }

  *#occupants(running: Iterable<Run>): Generator<Occupant & { readonly run: Run }> {
    const { urgency } = this.#host.state.deliveries
    for (const run of running) yield { run, urgency: urgency[run.row] as Urgency, yielding: this.#yieldingOf(run) }
  }

  #yieldingOf(run: Run): Yielding {
    const { at } = run.agent.preempt
    const { source, preemptions } = this.#host.state.deliveries
    // What has been folded already, and not been told yet, may have ended it: then its slot is as good as free.
    if (source[run.row] !== run.source) return 'never'
    const times = preemptions[run.row] as number
    if (at === 'never' || times >= limits.preemptionsMax) return 'never'
    if (this.#lineOf(run).zombies >= limits.zombieRunsMax) return 'never'
    if (run.effects.anyBegun) return 'in effect'
    return at === 'step' ? 'next step' : 'at once'
  }

  #preempt(run: Run, by: Sequence): void {
    const line = this.#lineOf(run)
    this.#onItsWay.set(run.row, run.source)
    this.#host.preemptedSteps.add(run, (change) => {
      line.zombies += change
    })
    run.preempt(by)
  }
}
