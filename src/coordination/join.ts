/**
 * Joins: one delivery for events of several types. Used by `evolve.ts`, `registrations.ts` and `decide.ts`.
 *
 * A round is the delivery that its first event opens:
 * - `joining`: it gathers. Entered by the first event of a type that the agent joins, where no round gathers. Leaves by
 *   the event that completes it, by `spine.wait.expired` of `@join`, by `spine.delivery.skipped`, or with its request.
 * - from then on it is a delivery like others (`queued` or `held` or `ready` …), and what it has seen stays with it, also
 *   in the dead letters, until it ends.
 *
 * M1  The first event of a type counts; later ones are ignored while the round gathers.
 * M2  A round fires at most once: when all types are there; without a bound in time as soon as `atLeast` are; else when
 *     its time is up and `atLeast` (or 1) are there.
 * M3  Per request the round fires once until the request comes to rest; per session the next event begins a new one.
 * M4  A round goes on under the spec that it began with.
 * M5  It carries the most hops and the earliest deadline of its events.
 */
import type { LogRecord } from '../event/record.ts'
import { endDelivery, expireAt, holdBack, lineUp, openDelivery, orderKey } from './deliveries.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { JoinRound, JoinSpec } from './join-rounds.ts'
import type { AgentState, SpineState } from './state.ts'

/** Command of the wait that a round with a bound in time is. */
export const JOIN_WAIT = '@join'

/** Whether a round that gathers knows events of this type: it counts the first, and ignores the others (M1). */
export function joinRound(state: SpineState, agent: number, record: LogRecord): boolean {
  const row = state.joins.find(agent, record, record.type)
  if (row === 0) return false
  const round = state.joins.of(row) as JoinRound
  if (!round.seen.has(record.type)) take(state, row, round, record)
  return true
}

/** `observes`: as `openDelivery` takes it. */
export function openRound(
  state: SpineState,
  agent: number,
  type: number,
  spec: JoinSpec,
  record: LogRecord,
  observes: boolean,
): void {
  const { joins, deliveries } = state
  if (spec.per === 'request' && joins.hasFired(agent, record.request)) return
  const source = spec.per === 'session' ? { ...record, key: record.session } : record
  const terms = { observes, joining: true }
  const row = openDelivery(state, { source, agent, type, caller: 0, call: 0, ordered: true, terms })
  const round: JoinRound = { spec, source: record.sequence, seen: new Map() }
  joins.set(row, round)
  joins.gather(row, agent, record)
  if (spec.withinMs !== undefined) {
    deliveries.due[row] = record.time + spec.withinMs
    state.due?.push({ at: deliveries.due[row], kind: 'join', row, source: record.sequence, name: '' })
  }
  take(state, row, round, record)
}

function take(state: SpineState, row: Row, round: JoinRound, record: LogRecord): void {
  const { deliveries } = state
  round.seen.set(record.type, record.sequence)
  if (record.hops > (deliveries.hops[row] as number)) deliveries.hops[row] = record.hops
  if (record.deadline !== undefined && deliveries.observes[row] === 0) narrow(state, row, record.deadline)
  if (isComplete(round)) fire(state, row, round)
}

/** M2, before its time is up. */
function isComplete({ spec, seen }: JoinRound): boolean {
  return seen.size >= (spec.withinMs === undefined ? (spec.atLeast ?? spec.types.length) : spec.types.length)
}

function narrow(state: SpineState, row: Row, deadline: number): void {
  const { deliveries } = state
  const known = deliveries.deadline[row] as number
  if (known !== 0 && known <= deadline) return
  deliveries.deadline[row] = deadline
  expireAt(state, row, deadline)
}

/** From here on it is a delivery like others. */
function fire(state: SpineState, row: Row, { spec, seen }: JoinRound): void {
  const { deliveries, joins } = state
  const index = deliveries.agent[row] as number
  const agent = state.agents[index] as AgentState
  const place = placeOf(state, row)
  joins.gatherNoMore(row, index, place)
  if (spec.per === 'request') joins.remember(index, place.request)
  deliveries.due[row] = 0
  deliveries.key[row] = orderKey(agent, { session: place.session, key: deliveries.partition[row] as string }, true)
  holdBack(state, row, agent.terms?.after ?? [], [...seen.keys()])
  lineUp(state, agent, row)
}

function placeOf({ deliveries, requests }: SpineState, row: Row) {
  return {
    session: deliveries.session[row] as string,
    request: requests.id[deliveries.request[row] as number] as string,
  }
}

/** Its time is up. What the owner saw may be out of date: what counts is what the log held before its record. */
export function foldJoinDue(state: SpineState, row: Row, record: LogRecord): void {
  const round = state.joins.of(row)
  if (state.deliveries.status[row] !== STATUS.joining || round === undefined) return
  if (isEnough(round)) fire(state, row, round)
  else if (record.type === 'spine.delivery.skipped') endDelivery(state, row, record, false)
}

/** Whether a round whose time is up fires with what there is. */
export function isEnough({ spec, seen }: JoinRound): boolean {
  return seen.size >= (spec.atLeast ?? 1)
}

/**
 * The round of an agent that is renamed goes on with its heir, who holds its row already. Returns false where the heir
 * gathers the same: then that round takes in what this one has seen, and this one is to end.
 */
export function moveRound(state: SpineState, row: Row, from: number, heir: number): boolean {
  const { joins, deliveries } = state
  const round = joins.of(row) as JoinRound
  const place = placeOf(state, row)
  joins.gatherNoMore(row, from, place)
  const types = [...round.seen.keys()]
  const into = joins.find(heir, place, state.eventTypes[deliveries.type[row] as number] as string)
  const other = joins.of(into)
  if (other === undefined || !types.every((type) => other.spec.types.includes(type))) {
    joins.gather(row, heir, place)
    return true
  }
  for (const [type, sequence] of round.seen) other.seen.set(type, Math.min(sequence, other.seen.get(type) ?? sequence))
  deliveries.hops[into] = Math.max(deliveries.hops[into] as number, deliveries.hops[row] as number)
  if (isComplete(other)) fire(state, into, other)
  return false
}

/** Types that rounds of this agent still gather, whatever it is registered for by now (M4). */
export function typesGathered(state: SpineState, agent: number): ReadonlySet<string> {
  const types = new Set<string>()
  for (const [row, { spec }] of state.joins.entries()) {
    if (state.deliveries.agent[row] !== agent || state.deliveries.status[row] !== STATUS.joining) continue
    for (const type of spec.types) types.add(type)
  }
  return types
}
