/**
 * `exclusive`: agents that give the same name never work at once on one session. Used by `evolve.ts` and what it uses.
 *
 * States of a delivery of such an agent: `waiting` (from its opening) → `holder` (from the first record that tells that it was
 * entered, through suspension, backoff, pause and preemption, to its end). A holder that stands still for a newer turn of its
 * session (`freshness.ts`) is `waiting` again until it goes on: that turn, and whatever it waits for, may need the place. What
 * is waiting is in its queue, or `ready`, as without; whoever starts work asks `blockersOf` (`runtime/exclusive-runs.ts`).
 *
 * E1  Of one place at most one delivery executes. Two hold it at once only where one was called, in the end, by the other.
 * E2  What was never entered holds nothing: an agent that is absent, paused or out of slots keeps nobody waiting.
 * E3  Whoever has to wait is marked as let in when a delivery of its place ends.
 * E4  What holds a place is as urgent as what waits for it (urge.ts B2), and a circle of such waits is a circle of calls
 *     (call-cycles.ts H2).
 */
import type { Urgency } from '../event/priority.ts'
import type { Sequence } from '../event/sequence.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { ExclusivePlace } from './exclusives.ts'
import { blockersOf } from './blockers-of.ts'
import type { AgentState, SpineState } from './state.ts'
import { lendToHolders } from './urge.ts'

/** When it opens. A registration that comes later leaves it as it is. */
export function enterExclusive(state: SpineState, row: Row, { registration }: AgentState): void {
  const name = registration?.exclusive
  if (name !== undefined) state.exclusives.enter(row, name, state.deliveries.session[row] as string)
}

/** The log tells that it was entered, or goes on. What somebody else holds meanwhile is not taken by a late fact. */
export function holdExclusive(state: SpineState, row: Row): void {
  if (state.turns.isStale(row) || blockersOf(state, row).length > 0) return
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

/** It stands still for a newer turn, which may need whatever waits here: until it goes on it holds nothing (E1). */
export function giveWay(state: SpineState, row: Row): void {
  const place = state.exclusives.giveWay(row)
  if (place !== undefined) letIn(state, place)
}

/** It has ended: whoever waited is looked at again, the most urgent first (E3). */
export function leaveExclusive(state: SpineState, row: Row): void {
  const place = state.exclusives.leave(row)
  if (place !== undefined) letIn(state, place)
}

function letIn({ deliveries, marks }: SpineState, place: ExclusivePlace): void {
  if (marks === undefined) return
  const urgencyOf = (each: Row) => deliveries.urgency[each] as Urgency
  const sourceOf = (each: Row) => deliveries.source[each] as Sequence
  const ready = [...place.holders, ...place.waiting].filter((each) => deliveries.status[each] === STATUS.ready)
  ready.sort((left, right) => urgencyOf(left) - urgencyOf(right) || sourceOf(left) - sourceOf(right))
  for (const each of ready) marks.push({ kind: 'let in', row: each, source: sourceOf(each) })
}
