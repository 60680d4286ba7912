/**
 * `exclusive`: agents that give the same name never work at once on one session. Used by `evolve.ts` and what it uses.
 *
 * States of a delivery of such an agent: `waiting` (from its opening) → `holder` (from the first record that tells that it was
 * entered, through suspension, backoff, pause and preemption, to its end). What is waiting is in its queue, or `ready`, as
 * without; whoever starts work asks `blockersOf` (`runtime/start-gate.ts`).
 *
 * E1  Of one place at most one delivery executes. Two hold it at once only where one was called, in the end, by the other,
 *     or stands still for a newer turn that the other belongs to.
 * E2  What was never entered holds nothing: an agent that is absent, paused or out of slots keeps nobody waiting.
 * E3  Whoever has to wait is marked as let in when a delivery of its place ends.
 * E4  What holds a place is as urgent as what waits for it (urge.ts B2), and a circle of such waits is a circle of calls
 *     (call-cycles.ts H2).
 */
import type { Urgency } from '../event/priority.ts'
import type { Sequence } from '../event/sequence.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { AgentState, SpineState } from './state.ts'
import { urge } from './urge.ts'

const NOBODY: readonly Row[] = []

/** When it opens. A registration that comes later leaves it as it is. */
export function enterExclusive(state: SpineState, row: Row, { registration }: AgentState): void {
  const name = registration?.exclusive
  if (name !== undefined) state.exclusives.enter(row, name, state.deliveries.session[row] as string)
}

/** The log tells that it was entered. */
export function holdExclusive(state: SpineState, row: Row): void {
  const place = state.exclusives.take(row)
  if (place === undefined) return
  for (const other of place.waiting) if (state.deliveries.status[other] === STATUS.ready) waitForHolders(state, other)
}

/** It is ready, and may have to wait all the same (E4). */
export function waitForHolders(state: SpineState, row: Row): void {
  const blockers = blockersOf(state, row)
  if (blockers.length === 0) return
  lendToHolders(state, row)
  state.marks?.push({ kind: 'cycle', row, source: state.deliveries.source[row] as Sequence })
}

/** What keeps it from starting is as urgent as it is. */
export function lendToHolders(state: SpineState, row: Row): void {
  const { deliveries } = state
  if (deliveries.status[row] !== STATUS.ready) return
  for (const holder of blockersOf(state, row)) urge(state, holder, deliveries.urgency[row] as Urgency)
}

/** It holds a place, and lost what it had inherited from whoever waits for that. */
export function inheritFromWaiting(state: SpineState, row: Row): void {
  const { deliveries } = state
  for (const other of state.exclusives.placeOf(row)?.waiting ?? [])
    if (deliveries.status[other] === STATUS.ready && blockersOf(state, other).includes(row))
      urge(state, row, deliveries.urgency[other] as Urgency)
}

/** Who holds what it needs; nobody when it may start. */
export function blockersOf(state: SpineState, row: Row): readonly Row[] {
  const place = state.exclusives.placeOf(row)
  if (place === undefined || place.holders.size === 0 || place.holders.has(row)) return NOBODY
  return [...place.holders].filter((holder) => !isInside(state, row, holder) && !letsPass(state, row, holder))
}

/** Whether it was called, in the end, by `holder`: then it runs inside that hold. */
export function isInside({ deliveries }: SpineState, row: Row, holder: Row): boolean {
  for (let each = deliveries.caller[row] as Row; each !== 0; each = deliveries.caller[each] as Row)
    if (each === holder) return true
  return false
}

/** A holder that stands still until a newer request is done keeps nothing of that request waiting: both would wait for ever. */
export function letsPass({ turns, deliveries, requests }: SpineState, row: Row, holder: Row): boolean {
  const stale = turns.isStale(holder) && deliveries.observes[row] === 0 ? turns.stale.get(holder) : undefined
  return stale?.requests.has(requests.id[deliveries.request[row] as number] as string) === true
}

/** It has ended: whoever waited is looked at again, the most urgent first (E3). */
export function leaveExclusive(state: SpineState, row: Row): void {
  const place = state.exclusives.leave(row)
  if (place === undefined || state.marks === undefined) return
  const { deliveries, marks } = state
  const urgencyOf = (each: Row) => deliveries.urgency[each] as Urgency
  const sourceOf = (each: Row) => deliveries.source[each] as Sequence
  const ready = [...place.holders, ...place.waiting].filter((each) => deliveries.status[each] === STATUS.ready)
  ready.sort((left, right) => urgencyOf(left) - urgencyOf(right) || sourceOf(left) - sourceOf(right))
  for (const each of ready) marks.push({ kind: 'let in', row: each, source: sourceOf(each) })
}
