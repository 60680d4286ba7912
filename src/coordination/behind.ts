/**
 * Agents that are given events later than they come: because they asked for what came before them (`from`), or because too
 * much waits for them already. Used by `evolve.ts`, `registrations.ts` and `terms.ts`.
 *
 * States of an agent: `level` (each event opens its delivery as it comes) → `behind` by its first registration with a `from`
 * in the past, or by `spine.agent.behind` → `level` by the `spine.agent.admitted` that reaches the last event it has missed,
 * or by its removal. A rename into a new name takes the place along.
 *
 * BH1  While an agent is behind no event opens a delivery for it but by `spine.agent.admitted`, which tells what it needs to
 *      know of each: the fold remembers no events, only two positions.
 * BH2  What is admitted is in the order of the log and above the cursor: each event since its place once, none twice.
 * BH3  It is level again only when nothing lies between the cursor and what it is told directly from then on.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { Priority } from '../event/priority.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { openDelivery } from './deliveries.ts'
import { type Owed, payUpTo, spendFrom } from './owings.ts'
import { type AgentState, agentNamed, type SpineState } from './state.ts'
import { applyTerms, EVERYTHING, typeIndex } from './terms.ts'

export interface BehindState {
  /** Sequence of the record that put it behind. */
  readonly since: Sequence
  /** Up to here every event has opened its delivery. */
  cursor: Sequence
  /** The last event that did not. */
  missed: Sequence
  /** What it has still to be given of requests that would be at rest otherwise (owings.ts), in the order of the log. */
  readonly owed: Map<Sequence, Owed>
}

/** What a delivery needs to know of an event that is admitted. */
export interface AdmittedPlace {
  readonly type: string
  readonly session: string
  readonly request: string
  readonly key: string
  readonly hops: number
  readonly deadline?: number
  readonly due?: number
  readonly priority?: Priority
}

/** Where an agent begins that is registered for the first time; `undefined` for now. */
export function startOf(from: unknown, registered: Sequence): BehindState | undefined {
  if (from === undefined) return undefined
  const cursor = typeof from === 'number' ? Math.min(from - 1, registered) : 0
  return cursor >= registered - 1 ? undefined : { since: registered, cursor, missed: registered, owed: new Map() }
}

export function foldBehind(state: SpineState, record: LogRecord): void {
  const { name } = record.data as SystemData<'spine.agent.behind'>
  const agent = agentNamed(state, name)
  // What joins is told of each event as it comes.
  if (agent?.registration === undefined || agent.registration.join !== undefined || agent.behind !== undefined) return
  agent.behind = { since: record.sequence, cursor: record.sequence, missed: record.sequence, owed: new Map() }
  applyTerms(state, state.agentIndex.get(name) as number)
  state.marks?.push({ kind: 'behind', agent: name })
}

export function foldAdmitted(state: SpineState, record: LogRecord): void {
  const { name, upTo, events, places } = record.data as unknown as SystemData<'spine.agent.admitted'>
  const agent = agentNamed(state, name)
  if (agent?.behind === undefined || agent.registration === undefined || upTo <= agent.behind.cursor) return
  const { behind } = agent
  for (const [at, sequence] of events.entries()) {
    const place = (places as unknown as readonly AdmittedPlace[] | undefined)?.[at]
    if (place !== undefined && sequence > behind.cursor) admit(state, agent, sequence, place)
  }
  behind.cursor = upTo
  payUpTo(state, behind, upTo)
  if (upTo >= behind.missed) {
    agent.behind = undefined
    applyTerms(state, state.agentIndex.get(name) as number)
  }
  state.marks?.push({ kind: 'behind', agent: name })
}

function admit(state: SpineState, agent: AgentState, sequence: Sequence, place: AdmittedPlace): void {
  const { type, ...rest } = place
  if (!agent.subscribed.has(type) && !agent.subscribed.has(EVERYTHING)) return
  const index = state.agentIndex.get(agent.name) as number
  if (state.deliveries.find(sequence, index) !== 0) return
  const { observes = false, after } = agent.terms ?? {}
  const row = openDelivery(state, {
    source: { sequence, ...rest },
    agent: index,
    type: typeIndex(state, type),
    caller: 0,
    call: 0,
    ordered: true,
    terms: { observes, after, present: [type] },
  })
  const owed = agent.behind?.owed.get(sequence)
  if (owed !== undefined) spendFrom(state, row, owed)
}

/** It is given events as they come from here on, or none any more. */
export function forgetBehind(state: SpineState, agent: AgentState): void {
  const { behind } = agent
  agent.behind = undefined
  if (behind !== undefined) payUpTo(state, behind, behind.missed)
}
