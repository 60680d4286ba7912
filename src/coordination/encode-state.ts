/**
 * The one canonical encoding of the state: two folds of the same log give the same text, whatever their row numbers.
 * Observers compare it with the owner's; snapshots are made of it, and `decode-state.ts` reads it back.
 *
 * S4  It holds all of the state: what is folded after it is the same, whether the state was read back or never written.
 */
import { NORMAL } from '../event/priority.ts'
import { type Json, withSortedKeys } from '../kernel/json.ts'
import type { BehindState } from './behind.ts'
import type { RequestBudget } from './budgets.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { JoinRound } from './join-rounds.ts'
import type { Stale } from './turns.ts'
import { deliveryId, type AgentState, type RunState, type SpineState } from './state.ts'

const STATUS_NAMES = Object.fromEntries(Object.entries(STATUS).map(([name, value]) => [value, name]))

/** What `encodeState` writes: plain JSON, with names instead of rows. */
export type EncodedState = ReturnType<typeof stateJson>
export type EncodedBehind = ReturnType<typeof behindJson>
export type EncodedDelivery = ReturnType<typeof deliveryJson>
export type EncodedRound = NonNullable<ReturnType<typeof roundJson>>
export type EncodedRun = NonNullable<ReturnType<typeof runJson>>

export function encodeState(state: SpineState): string {
  // Every object below is written out in one order, so its text is canonical without sorting a key again.
  return JSON.stringify(stateJson(state))
}

function stateJson(state: SpineState) {
  const places = placesInQueues(state)
  return {
    at: state.at,
    agents: state.agents.map(agentJson).sort(byText('name')),
    deliveries: [...state.deliveries.rows()]
      .map((row) => deliveryJson(state, row, places.get(row) ?? 0))
      .sort(byText('id')),
    requests: [...state.requests.slots()]
      .map((slot) => ({
        id: state.requests.id[slot] as string,
        open: state.requests.open[slot] as number,
        deadline: state.requests.deadline[slot] as number,
        root: state.requests.root[slot] as number,
        session: state.requests.session[slot] as string,
        ...unless(0, 'priority', state.requests.priority[slot] as number),
      }))
      .sort(byText('id')),
    // Of requests whose rounds are remembered; the others are left out.
    joinsFired: [...state.joins.fired()]
      .map(([request, agents]) => ({
        request,
        agents: [...agents].map((agent) => (state.agents[agent] as AgentState).name).sort(),
      }))
      .sort(byText('request')),
    deadLetters: [...state.deadLetters]
      .map(([id, letter]) => ({
        id,
        sequence: letter.sequence,
        agent: (state.agents[letter.agent] as AgentState).name,
        source: letter.source,
        type: state.eventTypes[letter.type] as string,
        request: letter.request,
        session: letter.session,
        key: letter.key,
        hops: letter.hops,
        ...unless(NORMAL, 'priority', letter.priority),
        orderKey: letter.orderKey,
        observes: letter.observes === true,
        ...unless(0, 'pool', letter.pool ?? 0),
        join: roundJson(letter.join),
        run: runJson(state, letter.run),
      }))
      .sort(byText('id')),
    ...turnsJson(state),
    ...budgetsJson(state),
    lanes: [...state.lanes]
      .map(([lane, { claimed, owner, released, careful }]) => ({ lane, claimed, owner, released, careful }))
      .sort(byText('lane')),
  }
}

function budgetsJson({ budgets }: SpineState) {
  if (!budgets.isUsed) return {} as { readonly budgets?: readonly ReturnType<typeof budgetJson>[] }
  return {
    budgets: [...budgets.requests].map(([request, budget]) => budgetJson(request, budget)).sort(byText('request')),
  }
}

function budgetJson(request: string, { pools, reservations, raised }: RequestBudget) {
  const amounts = (of: ReadonlyMap<string, number>) =>
    [...of].map(([unit, amount]) => ({ unit, amount })).sort(byText('unit'))
  return {
    request,
    raised,
    pools: [...pools]
      .map(([id, { parent, limits, spent, isOpen, isPinned, told }]) => ({
        id,
        parent: parent ?? null,
        limits: amounts(limits),
        spent: amounts(spent),
        isOpen,
        isPinned,
        told: [...told].sort(),
      }))
      .sort((left, right) => left.id - right.id),
    reservations: [...reservations]
      .map(([start, { pool, amounts: reserved }]) => ({
        start,
        pool,
        amounts: amounts(new Map(Object.entries(reserved))),
      }))
      .sort((left, right) => left.start - right.start),
  }
}

/** Left out where it says nothing, which is nearly everywhere. */
function unless<Name extends string>(usual: number, name: Name, value: number) {
  return (value === usual ? {} : { [name]: value }) as { readonly [Key in Name]?: number }
}

/** Where each row stands in the queue of its key, 0 for the head. */
function placesInQueues({ agents, deliveries }: SpineState): ReadonlyMap<Row, number> {
  const places = new Map<Row, number>()
  for (const { keys } of agents) {
    for (const head of keys.values()) {
      let place = 0
      for (let row = deliveries.nextOfKey(head); row !== 0; row = deliveries.nextOfKey(row)) places.set(row, ++place)
    }
  }
  return places
}

function agentJson(agent: AgentState) {
  const { name, registration, since, subscribed, open, paused, behind, breaker, rate } = agent
  const holds = [...agent.holds].map(([key, { mode, letters }]) => ({ key, mode, letters })).sort(byText('key'))
  return {
    name,
    registration: withSortedKeys((registration ?? null) as Json),
    since,
    subscribed: [...subscribed].map(([type, from]) => ({ type, from })).sort(byText('type')),
    open,
    holds,
    ...(behind === undefined ? {} : { behind: behindJson(behind) }),
    ...(breaker === undefined ? {} : { breaker: { ...breaker } }),
    ...(rate === undefined ? {} : { rate: [...rate].map(([key, starts]) => ({ key, starts })) }),
    ...(paused === undefined ? {} : { paused: { since: paused.since, why: paused.why ?? null } }),
  }
}

function behindJson({ since, cursor, missed, owed }: BehindState) {
  const all = [...owed.values()].map(({ event, request, pool }) => ({ event, request, ...unless(0, 'pool', pool) }))
  return { since, cursor, missed, ...(all.length === 0 ? {} : { owed: all }) }
}

function deliveryJson(state: SpineState, row: Row, place: number) {
  const { deliveries } = state
  return {
    id: rowId(state, row),
    agent: (state.agents[deliveries.agent[row] as number] as AgentState).name,
    source: deliveries.source[row] as number,
    place,
    type: state.eventTypes[deliveries.type[row] as number] as string,
    status: STATUS_NAMES[deliveries.status[row] as number] as string,
    request: state.requests.id[deliveries.request[row] as number] as string,
    session: deliveries.session[row] as string,
    partition: deliveries.partition[row] as string,
    key: deliveries.key[row] as string,
    attempt: deliveries.attempt[row] as number,
    started: deliveries.started[row] === 1,
    began: deliveries.began[row] === 1,
    crashes: deliveries.crashes[row] as number,
    generation: deliveries.generation[row] as number,
    hops: deliveries.hops[row] as number,
    due: deliveries.due[row] as number,
    deadline: deliveries.deadline[row] as number,
    caller: rowId(state, deliveries.caller[row] as Row),
    call: deliveries.call[row] as number,
    observes: deliveries.observes[row] === 1,
    ...unless(NORMAL, 'priority', deliveries.priority[row] as number),
    ...unless(NORMAL, 'urgency', deliveries.urgency[row] as number),
    ...unless(0, 'preemptions', deliveries.preemptions[row] as number),
    ...unless(0, 'turns', deliveries.turns[row] as number),
    ...staleJson(state.turns.stale.get(row)),
    ...unless(0, 'pool', state.budgets.poolOf(row)),
    ...(state.budgets.spenders.get(row)?.isHolder === true ? { holdsPool: true } : {}),
    ...(state.budgets.paused.has(row) ? { lacksBudget: true } : {}),
    ...exclusiveJson(state, row),
    join: roundJson(state.joins.of(row)),
    missing: [...state.held.missingOf(row)].sort(),
    run: runJson(state, state.runs.get(row)),
  }
}

function exclusiveJson({ exclusives }: SpineState, row: Row) {
  const place = exclusives.placeOf(row)
  return place === undefined ? {} : { exclusive: { name: place.name, isHolder: place.holders.has(row) } }
}

function staleJson(stale: Stale | undefined) {
  if (stale === undefined) return {}
  const { by, then, requests, isSuperseded } = stale
  return { stale: { by, then, requests: [...requests].sort(), isSuperseded } }
}

/** Nothing where nobody declares freshness. */
function turnsJson({ turns, agents }: SpineState) {
  if (turns.sessions.size === 0) return {}
  const all = [...turns.sessions].flatMap(([session, types]) =>
    [...types].map(([type, { last, open, given }]) => ({
      place: `${type} ${session}`,
      session,
      type,
      last,
      open: [...open].map(([request, sequence]) => ({ request, sequence })).sort(byText('request')),
      given: [...given]
        .map(([agent, sequence]) => ({ agent: (agents[agent] as AgentState).name, sequence }))
        .sort(byText('agent')),
    })),
  )
  return { turns: all.sort(byText('place')) }
}

function roundJson(round: JoinRound | undefined) {
  if (round === undefined) return null
  const seen = [...round.seen].map(([type, sequence]) => ({ type, sequence })).sort(byText('type'))
  return { spec: withSortedKeys(round.spec as unknown as Json), seen }
}

function runJson(state: SpineState, run: RunState | undefined) {
  if (run === undefined) return null
  const commands = [...run.commands]
    .map(([name, { kind, asked, ended, ok, carried, row, due, wait, keep }]) => ({
      name,
      kind,
      asked,
      ended,
      ok,
      carried,
      callee: ended === 0 ? rowId(state, row) : '',
      due,
      ...(keep === true ? { keep } : {}),
      ...(wait === undefined ? {} : { wait: withSortedKeys(wait as unknown as Json) }),
    }))
    .sort(byText('name'))
  const gathers = [...(run.gathers?.all ?? [])]
    .map(([name, { branches, until, atLeast, onLate }]) => ({
      name,
      branches,
      until,
      atLeast: atLeast ?? null,
      onLate,
    }))
    .sort(byText('name'))
  return { basis: run.basis, version: run.version, commands, ...(gathers.length === 0 ? {} : { gathers }) }
}

function rowId(state: SpineState, row: Row): string {
  if (row === 0 || state.deliveries.status[row] === STATUS.free) return ''
  const agent = state.agents[state.deliveries.agent[row] as number] as AgentState
  return deliveryId(state.deliveries.source[row] as number, agent.name)
}

function byText<Name extends string>(name: Name) {
  return (left: { readonly [Key in Name]: string }, right: { readonly [Key in Name]: string }) =>
    left[name] < right[name] ? -1 : 1
}
