/**
 * Work that a newer turn of its session makes pointless, for agents that declare it. Used by `evolve.ts` and what it uses.
 *
 * A delivery stands on the root of its request. An event of a type that its agent declares as `newer`, in the same session, of
 * another request and above that root, makes it stale, also when it opens only after that event.
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
import type { AgentState, SpineState } from './state.ts'
import type { Stale, Turn } from './turns.ts'

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
  const { turns } = state
  const { type, session, sequence, request } = record
  const turn: Turn = { sequence, request, given: new Set() }
  for (const agent of turns.listeners.get(type) ?? [])
    for (const row of turns.openOf(agent, session))
      if (requestOf(state, row) !== request) judge(state, row, agent, turn)
}

/** Everything that opens by it has opened. */
export function endTurn(state: SpineState, { type, session, sequence, request }: LogRecord): void {
  const { turns, requests } = state
  const known = turns.turnOf(session, type)
  if (known?.sequence !== sequence) turns.remember(session, type, { sequence, request, given: new Set() })
  const slot = requests.find(request)
  if (slot === 0 || requests.atRest[slot] === 1) turnIsOver(state, request)
}

/** Nothing of this request is open any more: what it did not supersede goes on. */
export function turnIsOver({ turns, deliveries, marks }: SpineState, request: string): void {
  if (turns.stale.size === 0) return
  for (const [row, stale] of turns.stale) {
    if (stale.isSuperseded || !stale.requests.delete(request) || stale.requests.size > 0) continue
    turns.stale.delete(row)
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
  // It is what a newer turn was waited for.
  for (const other of turns.openOf(index, session)) {
    const stale = turns.stale.get(other)
    if (stale?.requests.has(request) === true) supersede(state, other, stale)
  }
  turns.gave(session, request, index)
  turns.opened(index, session, row)
  const root = requests.root[deliveries.request[row] as number] as Sequence
  for (const type of spec.newer) {
    const turn = turns.turnOf(session, type)
    if (turn !== undefined && turn.sequence > root && turn.request !== request) judge(state, row, index, turn)
  }
}

export function closeFresh({ turns, deliveries }: SpineState, row: Row): void {
  turns.closed(deliveries.agent[row] as number, deliveries.session[row] as string, row)
}

/** A delivery stands on an older turn than this one. */
function judge(state: SpineState, row: Row, agent: number, turn: Turn): void {
  const { turns, deliveries, requests } = state
  const { then } = freshnessOf(state.agents[agent] as AgentState) as FreshnessSpec
  if (then === 'restart' && !hasBegun(state, row)) return
  const slot = requests.find(turn.request)
  // Its deliveries have not opened yet, when it is only being folded.
  const isOver = state.at >= turn.sequence && (slot === 0 || requests.atRest[slot] === 1)
  if (then === 'hold' && isOver && !turn.given.has(agent)) return
  const known = turns.stale.get(row)
  const stale: Stale = known ?? { by: turn.sequence, then, requests: new Set(), isSuperseded: false }
  turns.stale.set(row, stale)
  if (then === 'hold' && !turn.given.has(agent)) stale.requests.add(turn.request)
  else if (then === 'restart') {
    if (known === undefined) state.marks?.push({ kind: 'stale', row, source: deliveries.source[row] as Sequence })
  } else supersede(state, row, stale)
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
  turns.countRequests(turns.isUsed ? [...requests.slots()].map((slot) => requests.session[slot] as string) : [])
}
