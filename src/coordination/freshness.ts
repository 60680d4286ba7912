/**
 * Work that a newer turn of its session makes pointless, for agents that declare it. Used by `evolve.ts` and what it uses.
 *
 * A delivery stands on the root of its request. An event of a type that its agent declares as `newer`, in the same session, of
 * a request that began after that root, makes it stale, also when it opens only after that event.
 *
 * States of a delivery: `fresh` → `stale`, by the event, and from there by what its agent says:
 * - `'hold'`: it does nothing more, until the newer request gives work to the same agent: `superseded`; or comes to rest
 *   without: `fresh` again. There may be several newer requests; it waits for all of them.
 * - `'cancel'`: `superseded`.
 * - `'restart'`: started over on a new basis, `limits.freshRestartsMax` times; then it is dead. What has not begun is
 *   `fresh`: it will begin on the newer basis.
 * `superseded` ends by `spine.delivery.superseded`, which the owner writes.
 *
 * R1  Only agents that declare freshness are stopped, and what they have called.
 * R2  What a run commits is guarded by the head of its session's turn up to where this fold has judged, so that nothing of it
 *     comes behind a newer turn that it did not know (`runtime/run.ts`).
 * R3  Whether a newer request saves or supersedes is decided by the order of the log alone.
 */
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { giveWay, waitForHolders } from './hold-exclusive.ts'
import type { AgentState, SpineState } from './state.ts'
import type { Stale } from './turns.ts'

export interface FreshnessSpec {
  readonly newer: readonly string[]
  readonly then: Stale['then']
}

export function freshnessOf({ registration }: AgentState): FreshnessSpec | undefined {
  return registration?.freshness as FreshnessSpec | undefined
}

/** Moved by every commit with an event that makes older work of its session stale. */
export function turnHead(session: string): string {
  return `turn/${session}`
}

/** An event comes that somebody declares as newer: before anything opens by it. */
export function beginTurn(state: SpineState, record: LogRecord): void {
  const { turns, deliveries, requests } = state
  const { type, session, sequence, request } = record
  const since = sinceOf(state, record)
  turns.remember(session, type, request, since)
  for (const agent of turns.listeners.get(type) ?? [])
    for (const row of turns.openOf(agent, session))
      if (since > (requests.root[deliveries.request[row] as number] as Sequence))
        overtake(state, row, agent, sequence, [request])
}

/** Where its request began: of two turns the one whose request came later overtakes the other, so they never wait for each other. */
function sinceOf({ requests }: SpineState, { request, sequence }: LogRecord): Sequence {
  const slot = requests.find(request)
  return slot === 0 || requests.atRest[slot] === 1 ? sequence : (requests.root[slot] as Sequence)
}

/** Everything that opens by it has opened. The first event of a session is known from here on. */
export function endTurn(state: SpineState, record: LogRecord): void {
  const { turns, requests } = state
  const { type, session, request } = record
  if (turns.turnsOf(session, type)?.open.has(request) !== true) {
    turns.remember(session, type, request, sinceOf(state, record))
    for (const agent of turns.listeners.get(type) ?? [])
      if (
        turns.openOf(agent, session).some((row) => requestOf(state, row) === request) ||
        isOwedBy(state, request, agent)
      )
        turns.gave(session, request, agent)
  }
  const slot = requests.find(request)
  if (slot === 0 || requests.atRest[slot] === 1) turnIsOver(state, session, request)
}

/** Nothing of this request is open any more: what it did not supersede goes on. */
export function turnIsOver(state: SpineState, session: string, request: string): void {
  const { turns, deliveries, marks } = state
  turns.over(session, request)
  if (turns.stale.size === 0) return
  for (const [row, stale] of turns.stale) {
    if (stale.isSuperseded || !stale.requests.delete(request) || stale.requests.size > 0) continue
    turns.stale.delete(row)
    if (state.exclusives.size > 0 && deliveries.status[row] === STATUS.ready) waitForHolders(state, row)
    marks?.push({ kind: 'fresh', row, source: deliveries.source[row] as Sequence })
  }
}

/** A delivery opens, with its request known. */
export function openFresh(state: SpineState, row: Row): void {
  const { turns, deliveries, requests, agents } = state
  const index = deliveries.agent[row] as number
  const spec = freshnessOf(agents[index] as AgentState)
  if (spec === undefined) return
  const session = deliveries.session[row] as string
  const request = requestOf(state, row)
  giveTurn(state, index, session, request)
  turns.opened(index, session, row)
  const root = requests.root[deliveries.request[row] as number] as Sequence
  for (const type of spec.newer) judgeOpening(state, row, index, root, type)
}

/** A request gives work to an agent: now, or when the agent has caught up (behind.ts). */
export function giveTurn(state: SpineState, agent: number, session: string, request: string): void {
  const { turns } = state
  // It is what a newer turn was waited for.
  for (const other of turns.openOf(agent, session)) {
    const stale = turns.stale.get(other)
    if (stale?.requests.has(request) === true) supersede(state, other, stale)
  }
  turns.gave(session, request, agent)
}

/** Whether events of this type overtook a delivery before it opened. */
function judgeOpening(state: SpineState, row: Row, agent: number, root: Sequence, type: string): void {
  const { turns, deliveries, requests } = state
  const known = turns.turnsOf(deliveries.session[row] as string, type)
  if (known === undefined || known.last <= root) return
  const own = requestOf(state, row)
  const { then } = freshnessOf(state.agents[agent] as AgentState) as FreshnessSpec
  const isOpen = (request: string) => requests.atRest[requests.find(request)] === 0 && requests.find(request) !== 0
  const newer = [...known.open].filter(([request, at]) => at > root && request !== own && isOpen(request))
  const given = known.given.get(agent) ?? 0
  const gaveOther = given > root && given !== known.open.get(own)
  if (then === 'hold' && !gaveOther) {
    if (newer.length > 0)
      overtake(
        state,
        row,
        agent,
        known.last,
        newer.map(([request]) => request),
      )
  } else if (known.last !== known.open.get(own)) overtake(state, row, agent, known.last, [])
}

export function closeFresh({ turns, deliveries }: SpineState, row: Row): void {
  turns.closed(deliveries.agent[row] as number, deliveries.session[row] as string, row)
}

/** A delivery stands on an older turn. `requests`: those that may still give work to its agent; none for one that did. */
function overtake(state: SpineState, row: Row, agent: number, by: Sequence, requests: readonly string[]): void {
  const { turns, deliveries } = state
  const { then } = freshnessOf(state.agents[agent] as AgentState) as FreshnessSpec
  if (then === 'restart' && !hasBegun(state, row)) return
  const known = turns.stale.get(row)
  const stale: Stale = known ?? { by, then, requests: new Set(), isSuperseded: false }
  turns.stale.set(row, stale)
  if (then === 'restart') {
    if (known === undefined) state.marks?.push({ kind: 'stale', row, source: deliveries.source[row] as Sequence })
  } else if (then === 'cancel' || requests.length === 0) supersede(state, row, stale)
  else {
    for (const request of requests) stale.requests.add(request)
    if (state.exclusives.size > 0) giveWay(state, row)
  }
}

function supersede(state: SpineState, row: Row, stale: Stale): void {
  if (stale.isSuperseded) return
  stale.isSuperseded = true
  state.marks?.push({ kind: 'stale', row, source: state.deliveries.source[row] as Sequence })
}

/** What waits in a line of any kind has not been entered, and begins on the basis of its time. */
function hasBegun({ deliveries }: SpineState, row: Row): boolean {
  const status = deliveries.status[row]
  return status === STATUS.ready || status === STATUS.backoff || status === STATUS.paused
}

function isOwedBy({ owings, agents }: SpineState, request: string, agent: number): boolean {
  const { behind } = agents[agent] as AgentState
  return behind !== undefined && [...(owings.get(request) ?? [])].some(({ by }) => by === behind)
}

function requestOf({ deliveries, requests }: SpineState, row: Row): string {
  return requests.id[deliveries.request[row] as number] as string
}

/** Registrations have changed: who listens to what, and which open deliveries that concerns. Rare and administrative. */
export function indexTurns(state: SpineState): void {
  const { turns, agents, deliveries, requests } = state
  const before = turns.isUsed
  const declared = agents.flatMap((agent, index) => {
    const spec = freshnessOf(agent)
    return spec === undefined ? [] : [[index, spec.newer] as const]
  })
  if (declared.length === 0 && !before) return
  turns.listen(declared)
  for (const index of agents.keys()) turns.forgetOpen(index)
  const fresh = new Set(declared.map(([index]) => index))
  for (const row of deliveries.rows()) {
    const index = deliveries.agent[row] as number
    if (fresh.has(index)) turns.opened(index, deliveries.session[row] as string, row)
    else if (turns.stale.delete(row))
      state.marks?.push({ kind: 'fresh', row, source: deliveries.source[row] as Sequence })
  }
  if (state.exclusives.size > 0)
    for (const row of deliveries.rows()) if (deliveries.status[row] === STATUS.ready) waitForHolders(state, row)
  turns.countRequests(turns.isUsed ? [...requests.slots()].map((slot) => requests.session[slot] as string) : [])
}
