/**
 * Reads back what `encodeState` wrote: how a snapshot becomes a state that folds on.
 *
 * Not its job: checking what it reads. A snapshot is written by this library under a name that says by which version.
 */
import type { SystemData } from '../event/catalogue.ts'
import { NORMAL } from '../event/priority.ts'
import type { Sequence } from '../event/sequence.ts'
import { addLetter } from './dead-letters.ts'
import { type Row, STATUS, type Status } from './delivery-table.ts'
import type { EncodedBehind, EncodedDelivery, EncodedRound, EncodedRun, EncodedState } from './encode-state.ts'
import { indexTurns } from './freshness.ts'
import { addGather } from './gather.ts'
import type { JoinRound, JoinSpec } from './join-rounds.ts'
import { addOwed } from './owings.ts'
import { subscribe, targetIndex } from './registrations.ts'
import { type AgentState, type Command, initialState, type RunState, type SpineState } from './state.ts'
import { applyTerms, typeIndex } from './terms.ts'
import type { WaitState } from './wait-index.ts'
import { beginWait } from './waits.ts'

/** Raised when what is folded, or how it is encoded, changes: older snapshots are not read any more. */
export const STATE_VERSION = 5

export function decodeState(encoded: string): SpineState {
  const from = JSON.parse(encoded) as EncodedState
  const state = initialState()
  state.at = from.at
  for (const agent of from.agents) readAgent(state, agent)
  for (const { id, root, session, deadline, priority = 0 } of from.requests)
    state.requests.priority[state.requests.add(id, root, session, deadline)] = priority
  for (const request of state.owings.keys()) state.requests.atRest[state.requests.find(request)] = 0
  readDeliveries(state, from.deliveries)
  for (const budget of from.budgets ?? []) readBudget(state, budget)
  for (const { request, agents } of from.joinsFired)
    for (const agent of agents) state.joins.remember(targetIndex(state, agent), request)
  // Not before the rounds that gather are there: some types linger because of them.
  for (const [index, agent] of state.agents.entries()) {
    applyTerms(state, index)
    subscribe(state, index, agent)
  }
  readTurns(state, from)
  for (const letter of [...from.deadLetters].sort((left, right) => left.sequence - right.sequence)) {
    const { source, sequence, request, session, key, orderKey, hops } = letter
    const agent = targetIndex(state, letter.agent)
    const run = letter.run === null ? undefined : readRun(letter.run, new Map())
    const type = letter.type === '' ? 0 : typeIndex(state, letter.type)
    const join = letter.join === null ? undefined : readRound(letter.join, letter.source)
    const { observes, priority = NORMAL, pool = 0 } = letter
    addLetter(state, letter.id, {
      ...{ source, sequence, request, session, key, orderKey, hops, agent, type, run, join, observes, priority, pool },
    })
  }
  for (const { lane, ...rest } of from.lanes) state.lanes.set(lane, rest)
  return state
}

function readTurns(state: SpineState, { turns = [] }: EncodedState): void {
  for (const { session, type, last, open, given } of turns) {
    const types = state.turns.sessions.get(session) ?? new Map()
    state.turns.sessions.set(session, types)
    types.set(type, {
      last,
      open: new Map(open.map(({ request, sequence }) => [request, sequence])),
      given: new Map(given.map(({ agent, sequence }) => [targetIndex(state, agent), sequence])),
    })
  }
  indexTurns(state)
}

function readAgent(state: SpineState, from: EncodedState['agents'][number]): void {
  const index = targetIndex(state, from.name)
  const agent = state.agents[index] as AgentState
  agent.registration = (from.registration ?? undefined) as SystemData<'spine.agent.registered'> | undefined
  agent.since = from.since
  agent.subscribed = new Map(from.subscribed.map(({ type, from: since }) => [type, since]))
  if (from.paused !== undefined) agent.paused = { since: from.paused.since, why: from.paused.why ?? undefined }
  if (from.behind !== undefined) readBehind(state, agent, from.behind)
  if (from.breaker !== undefined) agent.breaker = { ...from.breaker, failures: [...from.breaker.failures] }
  if (from.rate !== undefined) agent.rate = new Map(from.rate.map(({ key, starts }) => [key, starts]))
  for (const { key, mode, letters } of from.holds) agent.holds.set(key, { mode, letters: [...letters] })
}

function readBehind(state: SpineState, agent: AgentState, from: EncodedBehind): void {
  const { owed = [], ...place } = from
  agent.behind = { ...place, owed: new Map() }
  if (agent.registration?.observes !== true) state.lastMissed = Math.max(state.lastMissed, place.missed)
  for (const { event, request, pool = 0 } of owed) addOwed(state.owings, { event, request, pool, by: agent.behind })
}

function readBudget(state: SpineState, from: NonNullable<EncodedState['budgets']>[number]): void {
  const budget = state.budgets.open(from.request)
  budget.raised = from.raised
  const amounts = (of: readonly { readonly unit: string; readonly amount: number }[]) =>
    new Map(of.map(({ unit, amount }) => [unit, amount]))
  for (const { id, parent, limits, spent, isOpen, isPinned, told } of from.pools) {
    const pool = { parent: parent ?? undefined, limits: amounts(limits), spent: amounts(spent), told: new Set(told) }
    budget.pools.set(id, { ...pool, isOpen, isPinned })
  }
  for (const { start, pool, amounts: reserved } of from.reservations)
    budget.reservations.set(start, { pool, amounts: Object.fromEntries(amounts(reserved)) })
}

/** In three turns, because rows name each other: first all rows, then their queues, then callers and journals. */
function readDeliveries(state: SpineState, from: readonly EncodedDelivery[]): void {
  const { deliveries } = state
  const rows = new Map<string, Row>()
  // In the order of their sources, so that the lists of a request are as they would have grown.
  const inOrder = [...from].sort((left, right) => left.source - right.source)
  for (const delivery of inOrder) rows.set(delivery.id, readDelivery(state, delivery))
  for (const { id, agent, key } of [...from].sort((left, right) => left.place - right.place)) {
    if (key === '') continue
    const { keys } = state.agents[targetIndex(state, agent)] as AgentState
    deliveries.enqueueLast(keys, rows.get(id) as Row)
  }
  for (const { id, caller, run } of from) {
    const row = rows.get(id) as Row
    deliveries.caller[row] = rows.get(caller) ?? 0
    if (run === null) continue
    const begun = readRun(run, rows)
    state.runs.set(row, begun)
    for (const [name, command] of begun.commands) if (command.ended === 0) beginWait(state, row, name, command)
  }
}

function readDelivery(state: SpineState, from: EncodedDelivery): Row {
  const { deliveries, requests } = state
  const agent = targetIndex(state, from.agent)
  const row = deliveries.add(from.source, agent)
  const slot = requests.find(from.request)
  deliveries.type[row] = from.type === '' ? 0 : typeIndex(state, from.type)
  deliveries.status[row] = STATUS[from.status as keyof typeof STATUS] satisfies Status
  deliveries.session[row] = from.session
  deliveries.partition[row] = from.partition
  deliveries.key[row] = from.key
  deliveries.attempt[row] = from.attempt
  deliveries.started[row] = from.started ? 1 : 0
  deliveries.began[row] = from.began ? 1 : 0
  deliveries.crashes[row] = from.crashes
  deliveries.generation[row] = from.generation
  deliveries.hops[row] = from.hops
  deliveries.due[row] = from.due
  deliveries.deadline[row] = from.deadline
  deliveries.call[row] = from.call
  deliveries.observes[row] = from.observes ? 1 : 0
  deliveries.priority[row] = from.priority ?? NORMAL
  deliveries.urgency[row] = from.urgency ?? NORMAL
  deliveries.preemptions[row] = from.preemptions ?? 0
  deliveries.turns[row] = from.turns ?? 0
  if (from.stale !== undefined) state.turns.stale.set(row, { ...from.stale, requests: new Set(from.stale.requests) })
  if (from.pool !== undefined) state.budgets.spenders.set(row, { pool: from.pool, isHolder: from.holdsPool === true })
  if (from.lacksBudget === true) state.budgets.paused.add(row)
  if (from.exclusive !== undefined) {
    state.exclusives.enter(row, from.exclusive.name, from.session)
    if (from.exclusive.isHolder) state.exclusives.take(row)
  }
  deliveries.request[row] = slot
  if (from.observes) requests.watching[slot] = (requests.watching[slot] as number) + 1
  else {
    deliveries.linkRequest(requests.firstRow(slot), row)
    requests.first[slot] = row
    requests.open[slot] = (requests.open[slot] as number) + 1
    requests.atRest[slot] = 0
  }
  if (from.missing.length > 0) state.held.hold(row, from.session, from.missing)
  if (from.join !== null) {
    state.joins.set(row, readRound(from.join, from.source))
    if (deliveries.status[row] === STATUS.joining) state.joins.gather(row, agent, from)
  }
  const agentState = state.agents[agent] as AgentState
  agentState.open++
  return row
}

function readRun(from: EncodedRun, rows: ReadonlyMap<string, Row>): RunState {
  const run: RunState = { basis: from.basis, version: from.version, commands: new Map(), calls: new Map() }
  // In the order in which they were asked or ended, as a fold would have put them.
  const commands = [...from.commands].sort((left, right) => (left.asked || left.ended) - (right.asked || right.ended))
  for (const { name, kind, asked, ended, ok, carried, callee, due, wait, keep } of commands) {
    const row = rows.get(callee) ?? 0
    run.commands.set(name, {
      kind,
      asked,
      ended,
      ok,
      carried,
      row,
      due,
      wait: wait as unknown as WaitState | undefined,
      ...(keep === true ? { keep } : {}),
    } satisfies Command)
    if (kind === 'call' && ended === 0 && row !== 0) run.calls.set(asked, name)
  }
  const opened = (name: string) => (run.commands.get(name) as Command).asked
  const gathers = [...(from.gathers ?? [])].sort((left, right) => opened(left.name) - opened(right.name))
  for (const { name, atLeast, ...gather } of gathers) addGather(run, name, { ...gather, atLeast: atLeast ?? undefined })
  if (run.gathers !== undefined)
    run.gathers.open = run.gathers.open.filter((name) => run.commands.get(name)?.ended === 0)
  return run
}

function readRound(from: EncodedRound, source: Sequence): JoinRound {
  return {
    source,
    spec: from.spec as unknown as JoinSpec,
    seen: new Map(from.seen.map(({ type, sequence }) => [type, sequence])),
  }
}
