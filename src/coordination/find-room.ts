/**
 * Who makes room for more urgent work, when every slot is taken.
 *
 * Job: choose, and say what it means in the fold. Not its job: who is urgent (`urge.ts`), or stopping anything
 * (`runtime/run.ts`).
 *
 * Y1  Only what is less urgent makes room, and of that the least urgent; among equals whoever started last.
 * Y2  What is in an effect is never stopped; what has made room `preemptionsMax` times, or says so, never makes room.
 * Y3  Where nobody can make room at once and somebody less urgent is in an effect, the reserve slot of the pool is used.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { Urgency } from '../event/priority.ts'
import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'
import { makeReady, restartRun } from './deliveries.ts'
import { foldCut } from './rates.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { holdExclusive } from './hold-exclusive.ts'
import type { SpineState } from './state.ts'

/**
 * - `at once`: it can be stopped where it stands.
 * - `in effect`: it can be once its effect has ended.
 * - `next step`: it asked to be stopped between its steps only.
 * - `never`: it keeps its slot.
 */
export type Yielding = 'at once' | 'in effect' | 'next step' | 'never'

export interface Occupant {
  readonly urgency: Urgency
  readonly yielding: Yielding
}

export type Room<Who> =
  | { readonly kind: 'preempt'; readonly victim: Who }
  /** Nobody can be stopped now. `later`: who makes room as soon as it can. */
  | { readonly kind: 'none'; readonly later: Who | undefined; readonly mayUseReserve: boolean }

/** `occupants`: in the order in which they started. */
export function findRoom<Who extends Occupant>(occupants: Iterable<Who>, urgency: Urgency): Room<Who> {
  let victim: Who | undefined
  let later: Who | undefined
  let mayUseReserve = false
  for (const occupant of occupants) {
    if (occupant.urgency <= urgency || occupant.yielding === 'never') continue
    if (occupant.yielding === 'at once') {
      if (victim === undefined || occupant.urgency >= victim.urgency) victim = occupant
      continue
    }
    if (occupant.yielding === 'in effect') mayUseReserve = true
    if (later === undefined || occupant.urgency >= later.urgency) later = occupant
  }
  return victim === undefined ? { kind: 'none', later, mayUseReserve } : { kind: 'preempt', victim }
}

/**
 * A run had to make room. It may go on at once: from its journal, or in another generation from the top.
 * How often is counted, so that it does not happen for ever (`limits.preemptionsMax`).
 */
export function foldPreempted(state: SpineState, row: Row, record: LogRecord): void {
  const { deliveries } = state
  // A further attempt runs as a `backoff` whose time has come.
  if (deliveries.status[row] !== STATUS.ready && deliveries.status[row] !== STATUS.backoff) return
  deliveries.started[row] = 0
  if (state.exclusives.size > 0) holdExclusive(state, row)
  if ((deliveries.preemptions[row] as number) < limits.preemptionsMax)
    deliveries.preemptions[row] = (deliveries.preemptions[row] as number) + 1
  // What it had asked for is asked for again: under a rate that is another start.
  foldCut(state, row)
  const { generation } = record.data as unknown as SystemData<'spine.delivery.preempted'>
  if (generation === undefined || generation <= (deliveries.generation[row] as number)) {
    makeReady(state, row)
    return
  }
  // It loses no attempt by it.
  const attempt = deliveries.attempt[row] as number
  restartRun(state, row, record, generation)
  deliveries.attempt[row] = attempt
}
