/**
 * Agents as the log knows them. Used by `evolve.ts` only.
 *
 * A1  Deliveries open for the registrations in force at the event's sequence, whoever hosts them.
 * A2  A rename into a name that is registered already gives that agent only what it has not been given itself.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { moveDeadLetters } from './dead-letters.ts'
import { endDelivery, isBlocked, makeReady } from './deliveries.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { askForLess } from './after.ts'
import { indexTurns } from './freshness.ts'
import { forgetBehind, startOf } from './behind.ts'
import { payUpTo } from './owings.ts'
import { applyBreaker, moveBreaker } from './breakers.ts'
import { moveRound } from './join.ts'
import { applyRate } from './rates.ts'
import type { AgentState, SpineState } from './state.ts'
import { applyTerms, EVERYTHING, typeIndex } from './terms.ts'
import { urgeQueue } from './urge.ts'

/** The index of an agent that is named as a target, whether it was ever registered or not. */
export function targetIndex(state: SpineState, name: string): number {
  const known = state.agentIndex.get(name)
  if (known !== undefined) return known
  const index = state.agents.length
  state.agents.push({
    name,
    registration: undefined,
    since: 0,
    subscribed: new Map(),
    terms: undefined,
    open: 0,
    keys: new Map(),
    holds: new Map(),
    paused: undefined,
    behind: undefined,
    breaker: undefined,
    rate: undefined,
  })
  state.agentIndex.set(name, index)
  return index
}

export function registerAgent(
  state: SpineState,
  sequence: Sequence,
  registration: SystemData<'spine.agent.registered'>,
): void {
  const index = targetIndex(state, registration.name)
  const agent = state.agents[index] as AgentState
  const before = agent.subscribed
  unsubscribe(state, index, agent)
  if (agent.registration === undefined) {
    agent.since = sequence
    agent.behind = startOf(registration.from, sequence)
    if (agent.behind !== undefined) state.marks?.push({ kind: 'behind', agent: agent.name })
  }
  // What joins, joins what comes from now on.
  if (registration.join !== undefined) forgetBehind(state, agent)
  // Nothing waits for what only looks on.
  else if (registration.observes === true && agent.behind !== undefined) payUpTo(state, agent.behind, sequence)
  agent.registration = registration
  // Events above it are given to the agent, whether it has been admitted them yet or not.
  const since = Math.min(sequence, agent.behind?.cursor ?? sequence)
  agent.subscribed = new Map(registration.on.map((type) => [type, before.get(type) ?? since]))
  applyBreaker(state, agent)
  applyRate(agent)
  applyTerms(state, index)
  subscribe(state, index, agent)
  if (state.held.size > 0) askForLess(state, index, registration.after ?? [])
  indexTurns(state)
}

/** Also for a state that is read back. */
export function subscribe(state: SpineState, index: number, agent: AgentState): void {
  for (const type of typesOf(agent)) {
    typeIndex(state, type)
    const subscribers = state.subscriptions.get(type)
    if (subscribers === undefined) state.subscriptions.set(type, [index])
    else subscribers.push(index)
  }
  state.everything = state.subscriptions.get(EVERYTHING) ?? []
}

export function removeAgent(state: SpineState, record: LogRecord): void {
  const { name } = record.data as SystemData<'spine.agent.removed'>
  const index = state.agentIndex.get(name)
  if (index === undefined) return
  const agent = state.agents[index] as AgentState
  unsubscribe(state, index, agent)
  agent.registration = undefined
  // By source, not by row: ending one may end others (its open calls), and a row may be given away again.
  for (const source of sourcesOf(state, index)) {
    const row = state.deliveries.find(source, index)
    if (row !== 0) endDelivery(state, row, record, false)
  }
  agent.holds.clear()
  state.joins.forgetAgent(index)
  agent.paused = undefined
  indexTurns(state)
  forgetBehind(state, agent)
  agent.breaker = undefined
  agent.rate = undefined
}

export function renameAgent(state: SpineState, record: LogRecord): void {
  const { name, to } = record.data as SystemData<'spine.agent.renamed'>
  const from = state.agentIndex.get(name)
  if (from === undefined || name === to) return
  const agent = state.agents[from] as AgentState
  const index = targetIndex(state, to)
  const heir = state.agents[index] as AgentState
  moveDeadLetters(state, from, index, (letter) => wasGiven(state, letter.source, letter.type, heir, index))
  for (const source of sourcesOf(state, from)) {
    const row = state.deliveries.find(source, from)
    if (row === 0) continue
    if (wasGiven(state, source, state.deliveries.type[row] as number, heir, index))
      endDelivery(state, row, record, true)
    else move(state, row, agent, heir, index, record)
  }
  state.joins.forgetAgent(from, index)
  const { registration, subscribed } = agent
  unsubscribe(state, from, agent)
  agent.registration = undefined
  // A name that is registered already is an agent of its own, paused or not as it is; a new one takes the pause along.
  if (heir.registration === undefined && registration !== undefined) {
    registerAgent(state, record.sequence, { ...registration, name: to })
    heir.subscribed = subscribed
    // Its place goes along, also where the registration names another to begin at.
    heir.behind = agent.behind
    agent.behind = undefined
    applyTerms(state, index)
    heir.paused ??= agent.paused
    moveBreaker(state, agent, heir)
    if (heir.rate !== undefined) heir.rate = agent.rate
  } else {
    const own = heir.subscribed
    unsubscribe(state, index, heir)
    heir.subscribed = own
    applyTerms(state, index)
    subscribe(state, index, heir)
    if (state.held.size > 0) askForLess(state, index, heir.registration?.after ?? [])
  }
  agent.paused = undefined
  indexTurns(state)
  forgetBehind(state, agent)
  agent.breaker = undefined
  agent.rate = undefined
}

/** Whether the heir has been given the same event under its own name. Directed work is given to one agent only. */
function wasGiven(state: SpineState, source: Sequence, type: number, heir: AgentState, index: number): boolean {
  const { deliveries, eventTypes } = state
  const since =
    heir.subscribed.get(eventTypes[type] as string) ?? (type === 0 ? undefined : heir.subscribed.get(EVERYTHING))
  return (since !== undefined && source > since) || deliveries.find(source, index) !== 0
}

function move(state: SpineState, row: Row, from: AgentState, to: AgentState, index: number, record: LogRecord): void {
  const { deliveries } = state
  if (deliveries.status[row] === STATUS.joining) {
    const before = deliveries.agent[row] as number
    deliveries.agent[row] = index
    from.open--
    to.open++
    if (!moveRound(state, row, before, index)) endDelivery(state, row, record, true)
    return
  }
  const ordered = deliveries.key[row] !== ''
  // What becomes the head by it is moved next.
  if (ordered) deliveries.dequeue(from.keys, row)
  deliveries.agent[row] = index
  from.open--
  to.open++
  const behind = ordered && (!deliveries.enqueue(to.keys, row) || isBlocked(to, deliveries.key[row] as string))
  if (ordered) urgeQueue(state, row)
  if (behind) deliveries.status[row] = STATUS.queued
  else if (deliveries.status[row] !== STATUS.backoff && deliveries.status[row] !== STATUS.delayed) makeReady(state, row)
}

function unsubscribe(state: SpineState, index: number, agent: AgentState): void {
  for (const type of typesOf(agent)) {
    const others = (state.subscriptions.get(type) ?? []).filter((subscriber) => subscriber !== index)
    if (others.length === 0) state.subscriptions.delete(type)
    else state.subscriptions.set(type, others)
  }
  agent.subscribed = new Map()
  agent.terms = undefined
  state.everything = state.subscriptions.get(EVERYTHING) ?? []
}

function typesOf({ subscribed, terms }: AgentState): readonly string[] {
  return [...subscribed.keys(), ...(terms?.lingering ?? [])]
}

/** Sources of the open deliveries of an agent, in order. Rare and administrative: the only scan in the fold. */
function sourcesOf(state: SpineState, agent: number): readonly Sequence[] {
  const { deliveries } = state
  const sources: Sequence[] = []
  for (const row of deliveries.rows())
    if (deliveries.agent[row] === agent) sources.push(deliveries.source[row] as Sequence)
  return sources.sort((left, right) => left - right)
}
