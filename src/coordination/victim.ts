/**
 * Who makes room for more urgent work, when every slot is taken.
 *
 * Job: choose. Not its job: what a preempted run keeps (`urgency.ts`, `runtime/run.ts`), or who is urgent.
 *
 * Y1  Only what is less urgent makes room, and of that the least urgent; among equals whoever started last.
 * Y2  What is in an effect is never stopped; what has made room `preemptionsMax` times, or says so, never makes room.
 * Y3  Where nobody can make room at once and somebody less urgent is in an effect, the reserve slot of the pool is used.
 */
import type { Urgency } from '../event/priority.ts'

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
