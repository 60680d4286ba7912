/**
 * What agents that are behind have not been given yet of requests that are open: as long as they may still be given work,
 * their requests are not at rest. Used by `behind.ts`, `deliveries.ts`, `registrations.ts`, `evolve.ts` and `decode-state.ts`.
 *
 * States of an event that an agent misses: `owed` from the event on, where its request has something to lose by a rest: the
 * budget of it, a turn of its session, a join that fires once → `given` or left out, by the `spine.agent.admitted` that
 * reaches it, whatever that tells; or `dropped`, with the end of the request, or when the agent is gone or only looks on.
 *
 * OW1  A request that is owed anything has a slot and is not at rest: its turn goes on, its budget and its deadline stand.
 * OW2  When the last that it was owed has been given or dropped, and nothing of it is open, it comes to rest by that record.
 * OW3  An agent owes `limits.pendingInMemoryMax` events at most: beyond, the oldest are dropped, and their requests are at
 *      rest when nothing else of them is open, as if they were over; the events are given to the agent all the same.
 * OW4  What a newer turn owes to an agent it has given to it: that supersedes what the agent holds for it, at the event and
 *      not at the admission, for which there may be no room before what is held has ended.
 * OW5  What was there before the agent (`from`) is owed to nobody: those requests are at rest, and are woken.
 */
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import type { BehindState } from './behind.ts'
import { ROOT } from './budgets.ts'
import { restIfOver, wakeRequest } from './deliveries.ts'
import type { Row } from './delivery-table.ts'
import { giveTurn } from './freshness.ts'
import type { AgentState, SpineState } from './state.ts'

export interface Owed {
  readonly event: Sequence
  readonly request: string
  readonly by: BehindState
  /** What its work spends from: the pool of whoever emitted the event (budgets.ts G5). */
  pool: Sequence
}

/** Request → what it is owed. An agent's own are in its `BehindState`, in the order of the log. */
export type Owings = Map<string, Set<Owed>>

type Place = Pick<LogRecord, 'sequence' | 'session' | 'request' | 'hops' | 'deadline' | 'key'>

/** A behind agent misses an event. */
export function missEvent(state: SpineState, agent: number, by: BehindState, record: LogRecord): void {
  const { registration } = state.agents[agent] as AgentState
  by.missed = record.sequence
  if (registration?.freshness !== undefined) giveTurn(state, agent, record.session, record.request)
  if (registration?.observes === true) return
  state.lastMissed = record.sequence
  if (hasToLose(state, record.request)) owe(state, by, record)
}

function hasToLose({ turns, budgets, owings, agents }: SpineState, request: string): boolean {
  if (turns.isUsed || budgets.of(request) !== undefined || owings.has(request)) return true
  return agents.some(({ registration }) => (registration?.join as { per?: string } | undefined)?.per === 'request')
}

/** The budget of a request is told right behind its event. */
export function oweForBudget(state: SpineState, record: LogRecord): void {
  const event = record.sequence - 1
  if (state.lastMissed !== event) return
  for (const { behind, registration } of state.agents)
    if (behind?.missed === event && registration?.observes !== true && !behind.owed.has(event))
      owe(state, behind, { ...record, sequence: event })
}

/** Work of a pool has emitted it. */
export function oweFromPool(state: SpineState, record: LogRecord, emitter: Row): void {
  const { budgets, owings } = state
  const id = budgets.poolOf(emitter)
  if (id === ROOT) return
  for (const owed of owings.get(record.request) ?? []) {
    if (owed.event !== record.sequence) continue
    owed.pool = id
    // It outlives the call that it was carved for.
    const pool = budgets.of(record.request)?.pools.get(id)
    if (pool !== undefined) pool.isPinned = true
  }
}

export function spendFrom({ budgets }: SpineState, row: Row, { pool }: Owed): void {
  if (pool !== ROOT) budgets.spenders.set(row, { pool, isHolder: false })
}

function owe(state: SpineState, by: BehindState, { sequence: event, ...place }: Place): void {
  const { owings } = state
  const { request } = place
  wakeRequest(state, place)
  const owed: Owed = { event, request, by, pool: ROOT }
  addOwed(owings, owed)
  if (by.owed.size <= limits.pendingInMemoryMax) return
  const [oldest] = by.owed.values()
  drop(state, oldest as Owed)
}

/** Also for a state that is read back. */
export function addOwed(owings: Owings, owed: Owed): void {
  owed.by.owed.set(owed.event, owed)
  const ofRequest = owings.get(owed.request)
  if (ofRequest === undefined) owings.set(owed.request, new Set([owed]))
  else ofRequest.add(owed)
}

/** Everything up to there has been given to the agent, or is not to be. */
export function payUpTo(state: SpineState, by: BehindState, upTo: Sequence): void {
  for (const owed of by.owed.values()) {
    if (owed.event > upTo) return
    drop(state, owed)
  }
}

/** The request has been ended by someone or by time. */
export function dropOwedTo(state: SpineState, request: string): void {
  for (const owed of [...(state.owings.get(request) ?? [])]) drop(state, owed)
}

function drop(state: SpineState, owed: Owed): void {
  const { owings } = state
  const { by, event, request } = owed
  by.owed.delete(event)
  const ofRequest = owings.get(request) as Set<Owed>
  ofRequest.delete(owed)
  if (ofRequest.size > 0) return
  owings.delete(request)
  restIfOver(state, request)
}
