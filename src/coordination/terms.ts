/**
 * What a subscription asks beyond the events themselves: `'*'`, `observes`, `after`, join. Used by `evolve.ts` and
 * `registrations.ts`.
 *
 * Job: open deliveries for agents that have such terms, and work out the terms. Agents without any never come here.
 *
 * O1  `'*'`: every event of users, save what the agent itself emitted.
 * O2  Terms follow from the registration and from the rounds that gather, so that a state that is read back has the same.
 */
import type { LogRecord } from '../event/record.ts'
import { openDelivery } from './deliveries.ts'
import { joinRound, openRound, typesGathered } from './join.ts'
import type { JoinSpec } from './join-rounds.ts'
import { missEvent } from './owings.ts'
import type { AgentState, SpineState, Terms } from './state.ts'

/** What stands in a registration for every type of event. */
export const EVERYTHING = '*'

const NOTHING: ReadonlySet<string> = new Set()

export function openOnTerms(state: SpineState, agent: number, terms: Terms, type: number, record: LogRecord): void {
  const { behind } = state.agents[agent] as AgentState
  if (behind !== undefined) {
    missEvent(state, agent, behind, record)
    return
  }
  if (state.joins.size > 0 && joinRound(state, agent, record)) return
  if (terms.lingering.includes(record.type)) return
  const { join, observes, after } = terms
  if (join !== undefined) {
    openRound(state, agent, type, join, record, observes)
    return
  }
  const present = [record.type]
  const opening = { source: record, agent, type, caller: 0, call: 0, ordered: true }
  openDelivery(state, { ...opening, terms: { observes, after, present } })
}

export function tellWhoHearsEverything(state: SpineState, record: LogRecord): void {
  const type = typeIndex(state, record.type)
  for (const agent of state.everything) {
    const { name, terms } = state.agents[agent] as AgentState
    if (record.agent === name) continue
    if (terms === undefined) openDelivery(state, { source: record, agent, type, caller: 0, call: 0, ordered: true })
    else openOnTerms(state, agent, terms, type, record)
  }
}

/** After its registration, or the rounds that it gathers, have changed, and before it is subscribed by them. */
export function applyTerms(state: SpineState, index: number): void {
  const agent = state.agents[index] as AgentState
  const join = agent.registration?.join as unknown as JoinSpec | undefined
  const after = agent.registration?.after
  const observes = agent.registration?.observes === true
  const gathered = state.joins.size === 0 ? NOTHING : typesGathered(state, index)
  const hears = (type: string) => agent.subscribed.has(type) || agent.subscribed.has(EVERYTHING)
  const lingering = [...gathered].filter((type) => !hears(type))
  const isPlain =
    agent.behind === undefined && join === undefined && after === undefined && !observes && gathered.size === 0
  agent.terms = isPlain ? undefined : { join, after, observes, lingering }
}

/** By what number deliveries know a type of event. */
export function typeIndex(state: SpineState, type: string): number {
  const known = state.eventTypeIndex.get(type)
  if (known !== undefined) return known
  const index = state.eventTypes.length
  state.eventTypeIndex.set(type, index)
  state.eventTypes.push(type)
  return index
}
