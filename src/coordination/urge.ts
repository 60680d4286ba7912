/**
 * How urgent each delivery is, and which others inherit that. Used by `deliveries.ts`, `evolve.ts` and `decode-state.ts`.
 *
 * Job: the class of a delivery, and the urgency of what stands in the way of a more urgent one. Not its job: who runs next
 * and who has to make room (`find-room.ts`).
 *
 * B1  The class of a delivery is what its agent says; else what its request was given since; else what the record says that
 *     opened it. What follows from a delivery inherits its class.
 * B2  What a more urgent delivery waits for is as urgent: what stands before it in its key, what holds its exclusive, what it
 *     has called, and so on along all of them. So urgency never rises from the head of a key to its end.
 * B3  Urgency that was inherited stays until the delivery ends: whoever waited may be gone, and nobody has to find out.
 */
import { NORMAL, PRIORITIES, type Urgency, urgencyOf } from '../event/priority.ts'
import type { LogRecord } from '../event/record.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { Sequence } from '../event/sequence.ts'
import { blockersOf } from './blockers-of.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { AgentState, SpineState } from './state.ts'

/** When it opens, and its request and caller are known. */
export function classify(state: SpineState, row: Row, header: Pick<LogRecord, 'priority'>): void {
  const { deliveries, requests } = state
  const agent = state.agents[deliveries.agent[row] as number] as AgentState
  const given = requests.priority[deliveries.request[row] as number] as number
  const own = ownUrgency(agent, given, urgencyOf(header.priority))
  deliveries.priority[row] = own
  deliveries.urgency[row] = own
  const caller = deliveries.caller[row] as Row
  if (caller !== 0 && (deliveries.urgency[caller] as Urgency) < own)
    deliveries.urgency[row] = deliveries.urgency[caller] as Urgency
}

/** `given`: as `RequestTable.priority` has it. */
function ownUrgency({ registration }: AgentState, given: number, inherited: Urgency): Urgency {
  const says = registration?.priority
  if (says !== undefined) return PRIORITIES.indexOf(says as (typeof PRIORITIES)[number])
  return given === 0 ? inherited : given - 1
}

/** B2, when it has been put into the queue of its key. */
export function urgeQueue(state: SpineState, row: Row): void {
  const { deliveries } = state
  const behind = deliveries.nextOfKey(row)
  if (behind !== 0) urge(state, row, deliveries.urgency[behind] as Urgency)
  const before = deliveries.previousOfKey(row)
  if (before !== 0) urge(state, before, deliveries.urgency[row] as Urgency)
}

/** Makes it at least that urgent, and whatever it waits for. */
export function urge(state: SpineState, row: Row, urgency: Urgency): void {
  const { deliveries, runs } = state
  if ((deliveries.urgency[row] as Urgency) <= urgency) return
  const rows = [row]
  for (let each = rows.pop(); each !== undefined; each = rows.pop()) {
    if ((deliveries.urgency[each] as Urgency) <= urgency) continue
    deliveries.urgency[each] = urgency
    state.marks?.push({ kind: 'urged', row: each, source: deliveries.source[each] as Sequence })
    const before = deliveries.key[each] === '' ? 0 : deliveries.previousOfKey(each)
    if (before !== 0) rows.push(before)
    if (state.exclusives.size > 0 && deliveries.status[each] === STATUS.ready) rows.push(...blockersOf(state, each))
    const run = runs.get(each)
    if (run !== undefined)
      for (const name of run.calls.values()) {
        const called = run.commands.get(name)?.row ?? 0
        if (called !== 0) rows.push(called)
      }
  }
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

/** Someone gave the request another class: it holds for what is open of it, and for what will follow. */
export function foldPrioritized(state: SpineState, record: LogRecord): void {
  const { priority } = record.data as unknown as SystemData<'spine.request.prioritized'>
  const { deliveries, requests } = state
  const slot = requests.find(record.request)
  if (slot === 0) return
  const given = PRIORITIES.indexOf(priority as (typeof PRIORITIES)[number]) + 1
  requests.priority[slot] = given
  const rows: Row[] = []
  for (let row = requests.firstRow(slot); row !== 0; row = deliveries.nextOfRequest(row)) rows.push(row)
  for (const row of rows) {
    const agent = state.agents[deliveries.agent[row] as number] as AgentState
    const own = ownUrgency(agent, given, NORMAL)
    deliveries.priority[row] = own
    deliveries.urgency[row] = own
    state.marks?.push({ kind: 'urged', row, source: deliveries.source[row] as Sequence })
  }
  for (const row of rows) inheritAgain(state, row)
}

/** From whoever waits for it, and on to whatever it waits for. */
function inheritAgain(state: SpineState, row: Row): void {
  const { deliveries, runs } = state
  const caller = deliveries.caller[row] as Row
  if (caller !== 0) urge(state, row, deliveries.urgency[caller] as Urgency)
  if (deliveries.key[row] !== '' && deliveries.status[row] !== STATUS.free) urgeQueue(state, row)
  if (state.exclusives.size > 0) inheritFromWaiting(state, row)
  const own = deliveries.urgency[row] as Urgency
  if (state.exclusives.size > 0) lendToHolders(state, row)
  const run = runs.get(row)
  if (run === undefined) return
  for (const name of run.calls.values()) {
    const called = run.commands.get(name)?.row ?? 0
    if (called !== 0) urge(state, called, own)
  }
}
