/**
 * How a delivery opens, changes and ends in the state. Used by `evolve.ts` only.
 *
 * L1  A delivery is (source record, agent); at most one of that name is open.
 * L2  When it ends: its key passes to the next in order, its own open calls end as cancelled, and whoever called it has
 *     an outcome. All in the same record.
 * L3  A handoff opens the successor before the delivery ends, so that its request never looks at rest in between; the
 *     duty to reply (`caller`, `call`) moves along.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { inheritPool, leavePool } from './budgets.ts'
import { foldHeard } from './breakers.ts'
import { isHeldByCaller } from './call-cycles.ts'
import { type Row, STATUS } from './delivery-table.ts'
import { closeFresh, openFresh, turnIsOver } from './freshness.ts'
import { callsToFinish, forgetGathers, reenteredOf, touchGathers } from './gather.ts'
import { enterExclusive, leaveExclusive, waitForHolders } from './hold-exclusive.ts'
import type { AgentState, Command, RunState, SpineState } from './state.ts'
import { classify, urgeQueue } from './urge.ts'
import { forgetWaits } from './wait-index.ts'

export interface Opening {
  /** The record that opens it; its header gives session, request, key, hops and deadline. */
  readonly source: Pick<
    LogRecord,
    'sequence' | 'session' | 'request' | 'key' | 'hops' | 'deadline' | 'due' | 'priority'
  >
  readonly agent: number
  /** Index of the event type; 0 for directed work. */
  readonly type: number
  readonly caller: Row
  readonly call: Sequence
  /** Events and handoffs are ordered by key unless the agent says otherwise; calls are not. */
  readonly ordered: boolean
  /** Absent in the plain case. */
  readonly terms?: OpeningTerms | undefined
}

type WakingSource = Pick<LogRecord, 'request' | 'session' | 'hops' | 'deadline'>

/** What its subscription asks beyond the event itself. */
export interface OpeningTerms {
  /** It only looks on: nothing waits for it, and no end of its request ends it. What it calls or hands off to, too. */
  readonly observes: boolean
  /** It gathers events for a join, and is in no queue until it fires. */
  readonly joining?: boolean
  /** Event types that its session must have had before it starts; `present` are those of the events that open it. */
  readonly after?: readonly string[] | undefined
  readonly present?: readonly string[]
}

/** Terms of what only looks on, and asks nothing else. */
export const LOOKING_ON: OpeningTerms = { observes: true }

/** `firstOf`: a key of which nothing has begun; when the delivery is ordered by it, it goes before all others. */
export function openDelivery(state: SpineState, opening: Opening, firstOf?: string): Row {
  const { deliveries } = state
  const { source } = opening
  const agent = state.agents[opening.agent] as AgentState
  const row = deliveries.add(source.sequence, opening.agent)
  deliveries.type[row] = opening.type
  deliveries.session[row] = source.session
  deliveries.partition[row] = source.key
  deliveries.hops[row] = source.hops
  const { terms } = opening
  const observes = opening.caller === 0 ? terms?.observes === true : deliveries.observes[opening.caller] === 1
  if (observes) deliveries.observes[row] = 1
  // What only looks on is not under the deadline of its request; a call that it makes may have one of its own.
  deliveries.deadline[row] = observes && opening.caller === 0 ? 0 : (source.deadline ?? 0)
  deliveries.caller[row] = opening.caller
  deliveries.call[row] = opening.call
  const isLater = terms?.joining === true || source.due !== undefined
  deliveries.key[row] = isLater ? '' : orderKey(agent, source, opening.ordered)
  const isCalled = opening.caller !== 0 && deliveries.key[row] !== ''
  // A call to what one of its own callers holds runs inside that hold (call-cycles.ts H1).
  if (isCalled && isHeldByCaller(state, opening.caller, opening.agent, deliveries.key[row] as string))
    deliveries.key[row] = ''
  agent.open++
  if (observes) watchRequest(state, row, source)
  else joinRequest(state, row, source)
  classify(state, row, source)
  enterExclusive(state, row, agent)
  if (state.turns.isUsed) openFresh(state, row)
  if (terms?.joining === true) {
    deliveries.status[row] = STATUS.joining
    return row
  }
  if (terms?.after !== undefined) holdBack(state, row, terms.after, terms.present ?? [])
  if (source.due !== undefined) {
    deliveries.status[row] = STATUS.delayed
    deliveries.due[row] = source.due
    state.due?.push({ at: source.due, kind: 'delay', row, source: source.sequence, name: '' })
    return row
  }
  lineUp(state, agent, row, firstOf)
  if (isCalled && deliveries.status[row] === STATUS.queued)
    state.marks?.push({ kind: 'cycle', row, source: source.sequence })
  return row
}

export function orderKey(
  agent: AgentState,
  source: Pick<Opening['source'], 'session' | 'key'>,
  ordered: boolean,
): string {
  const order = agent.registration?.order ?? 'default'
  if (order === 'none' || (order === 'default' && !ordered)) return ''
  return order === 'session' ? source.session : source.key
}

function joinRequest(state: SpineState, row: Row, source: Opening['source']): void {
  const { deliveries, requests } = state
  const slot = wakeRequest(state, source)
  const deadline = source.deadline ?? 0
  deliveries.request[row] = slot
  deliveries.linkRequest(requests.firstRow(slot), row)
  requests.first[slot] = row
  requests.open[slot] = (requests.open[slot] as number) + 1
  if (deadline !== 0) expireAt(state, row, deadline)
}

/** There is, or will be, work of it. */
export function wakeRequest(state: SpineState, source: WakingSource): number {
  const { requests } = state
  const deadline = source.deadline ?? 0
  const slot = requests.find(source.request) || openRequest(state, source)
  if (requests.atRest[slot] === 1) {
    requests.atRest[slot] = 0
    // What takes up a request that had come to rest is a turn of its own (freshness.ts).
    requests.root[slot] = state.at + 1
    if (source.hops === 0 && deadline !== 0) {
      requests.deadline[slot] = deadline
      state.due?.push({ at: deadline, kind: 'request-deadline', row: 0, source: 0, name: source.request })
    }
  }
  return slot
}

function openRequest({ requests, turns, at }: SpineState, { request, session }: WakingSource): number {
  if (turns.isUsed) turns.requestOpened(session)
  return requests.add(request, at + 1, session)
}

/** Unless its request expires at that time anyway. */
export function expireAt(state: SpineState, row: Row, deadline: number): void {
  if (!hasOwnDeadline(state, row, deadline)) return
  const { deliveries } = state
  const source = deliveries.source[row] as Sequence
  state.due?.push({ at: deadline, kind: 'delivery-deadline', row, source, name: '' })
}

/** Whether it expires by itself, and not by the end of its request. */
export function hasOwnDeadline({ deliveries, requests }: SpineState, row: Row, deadline: number): boolean {
  if (deadline === 0) return false
  return deliveries.observes[row] === 1 || deadline !== requests.deadline[deliveries.request[row] as number]
}

/** What only looks on needs to know its request, and is not counted there (Q2). */
function watchRequest(state: SpineState, row: Row, source: Opening['source']): void {
  const { deliveries, requests } = state
  const slot = requests.find(source.request) || openRequest(state, source)
  deliveries.request[row] = slot
  requests.watching[slot] = (requests.watching[slot] as number) + 1
  expireAt(state, row, deliveries.deadline[row] as number)
}

/** Before the row is lined up: opened by events of some types, it may start only after those (after.ts). */
export function holdBack(state: SpineState, row: Row, after: readonly string[], present: readonly string[]): void {
  const missing = after.filter((type) => !present.includes(type))
  if (missing.length === 0) return
  const { deliveries, held } = state
  held.hold(row, deliveries.session[row] as string, missing)
  state.marks?.push({ kind: 'held', row, source: deliveries.source[row] as Sequence })
}

/** Puts it into the queue of its key, and lets it go if nothing is before it. */
export function lineUp(state: SpineState, agent: AgentState, row: Row, firstOf?: string): void {
  const { deliveries } = state
  const key = deliveries.key[row] as string
  deliveries.status[row] = STATUS.queued
  if (key === '') {
    makeReady(state, row)
    return
  }
  const isHead = key === firstOf ? deliveries.enqueueFirst(agent.keys, row) : deliveries.enqueue(agent.keys, row)
  urgeQueue(state, row)
  if (isHead && !isBlocked(agent, key)) makeReady(state, row)
}

export function isBlocked(agent: AgentState, key: string): boolean {
  return agent.holds.size > 0 && agent.holds.get(key)?.mode === 'block'
}

/** May start, unless something holds it back (after.ts). */
export function makeReady(state: SpineState, row: Row): void {
  if (state.held.size > 0 && state.held.has(row)) {
    state.deliveries.status[row] = STATUS.held
    return
  }
  state.deliveries.status[row] = STATUS.ready
  state.marks?.push({ kind: 'ready', row, source: state.deliveries.source[row] as Sequence })
  if (state.exclusives.size > 0) waitForHolders(state, row)
}

/**
 * Ends a delivery. `record` is what ended it: its own end, or the end of its request, of its agent or of its caller.
 * With `silent` whoever called it gets no outcome: it is ending too, or the duty to reply has moved on.
 */
export function endDelivery(state: SpineState, row: Row, record: LogRecord, silent: boolean): void {
  const { deliveries, requests } = state
  const source = deliveries.source[row] as Sequence
  const caller = deliveries.caller[row] as Row
  const call = deliveries.call[row] as Sequence
  const agent = state.agents[deliveries.agent[row] as number] as AgentState
  const slot = deliveries.request[row] as number
  const request = requests.id[slot] as string
  const run = state.runs.get(row)

  const key = deliveries.key[row] as string
  const next = key === '' ? 0 : deliveries.dequeue(agent.keys, row)
  if (state.held.size > 0) state.held.forget(row, deliveries.session[row] as string)
  if (state.joins.size > 0) forgetRound(state, row, request)
  if (state.turns.isUsed) closeFresh(state, row)
  if (state.budgets.isUsed) leavePool(state.budgets, row, request)
  leaveRequest(state, row, slot)
  agent.open--
  if (agent.breaker !== undefined) foldHeard(state, agent, source, record)
  if (run !== undefined && state.waits.size > 0) forgetWaits(state, deliveries.session[row] as string, row, run)
  state.runs.delete(row)
  deliveries.drop(row)
  // Whoever decides hears of the end first, and knows what still executes of it when the next of the key comes.
  state.marks?.push({ kind: 'ended', row, source, call, request, record })
  if (state.exclusives.size > 0) leaveExclusive(state, row)
  if (next !== 0 && !isBlocked(agent, key)) makeReady(state, next)

  const endedWell = record.type === 'spine.delivery.completed' && record.cause === source && record.agent === agent.name
  if (endedWell && run?.gathers !== undefined) detachCalls(state, run, record)
  if (run !== undefined) endOpenCalls(state, run, record)
  if (caller !== 0 && !silent) resolveCall(state, caller, call, record)
  // An open call that ended above may have been the last of the request, and have freed the slot already.
  if (requests.open[slot] === 0 && requests.id[slot] === request) restRequest(state, slot, request)
}

function leaveRequest({ deliveries, requests }: SpineState, row: Row, slot: number): void {
  if (deliveries.observes[row] === 1) {
    requests.watching[slot] = (requests.watching[slot] as number) - 1
    return
  }
  requests.first[slot] = deliveries.unlinkRequest(requests.firstRow(slot), row)
  requests.open[slot] = (requests.open[slot] as number) - 1
}

/** It is owed nothing any more (owings.ts). */
export function restIfOver(state: SpineState, request: string): void {
  const slot = state.requests.find(request)
  if (slot !== 0 && state.requests.open[slot] === 0) restRequest(state, slot, request)
}

/** Nothing of it is open, save what only looks on, that keeps its slot; unless an agent is to be given more of it. */
function restRequest(state: SpineState, slot: number, request: string): void {
  const { requests, joins, marks, turns, budgets, lettersOfRequest, owings } = state
  if (owings.size > 0 && owings.has(request)) return
  if (requests.atRest[slot] === 0) {
    requests.atRest[slot] = 1
    requests.deadline[slot] = 0
    joins.forgetRequest(request)
    marks?.push({ kind: 'rest', request })
    if (turns.isUsed) turnIsOver(state, requests.session[slot] as string, request)
  }
  if (requests.watching[slot] !== 0) return
  joins.forgetRequest(request)
  if (turns.isUsed) turns.requestClosed(requests.session[slot] as string)
  if (budgets.isUsed && !lettersOfRequest.has(request)) budgets.forget(request)
  requests.drop(slot)
}

function forgetRound({ joins, deliveries }: SpineState, row: Row, request: string): void {
  const session = deliveries.session[row] as string
  joins.gatherNoMore(row, deliveries.agent[row] as number, { request, session })
  joins.forget(row)
}

export function endOpenCalls(state: SpineState, run: RunState, record: LogRecord): void {
  const { deliveries } = state
  for (const [call, command] of run.calls) {
    const { row } = run.commands.get(command) as Command
    // When a whole request ends, the called delivery may have ended before its caller.
    if (deliveries.call[row] === call && deliveries.status[row] !== STATUS.free) endDelivery(state, row, record, true)
  }
}

/**
 * They go on without anybody who waits for their reply; the record of their end is all that comes of it. A call that was
 * on its way to the log when the run ended is not among them: whoever wrote the end could not see it, and dropped it.
 */
function detachCalls(state: SpineState, run: RunState, end: LogRecord): void {
  const { deliveries } = state
  const { dropped = [] } = end.data as unknown as SystemData<'spine.delivery.completed'>
  const finishing = callsToFinish(run)
  for (const [call, name] of run.calls) {
    if (!finishing.has(name) || dropped.includes(name)) continue
    const { row } = run.commands.get(name) as Command
    run.calls.delete(call)
    deliveries.caller[row] = 0
    deliveries.call[row] = 0
  }
}

function resolveCall(state: SpineState, caller: Row, call: Sequence, record: LogRecord): void {
  const run = state.runs.get(caller)
  const name = run?.calls.get(call)
  if (run === undefined || name === undefined) return
  run.calls.delete(call)
  const command = run.commands.get(name) as Command
  command.row = 0
  endCommand(state, caller, name, command, record, record.type === 'spine.delivery.completed')
}

/** The successor owns the work and the duty to reply from this record on. */
export function handOff(state: SpineState, row: Row, record: LogRecord, target: number): void {
  const { deliveries } = state
  const caller = deliveries.caller[row] as Row
  const call = deliveries.call[row] as Sequence
  const successor = openDelivery(state, {
    source: withHop(record),
    agent: target,
    type: 0,
    caller,
    call,
    ordered: true,
    terms: deliveries.observes[row] === 1 ? LOOKING_ON : undefined,
  })
  if (state.budgets.isUsed) inheritPool(state.budgets, row, successor, true)
  const callerRun = state.runs.get(caller)
  const name = callerRun?.calls.get(call)
  if (callerRun !== undefined && name !== undefined) (callerRun.commands.get(name) as Command).row = successor
  endDelivery(state, row, record, true)
}

/** The end of a delivery carries the hops of that delivery; what a handoff opens is one hop further. */
function withHop(record: LogRecord): Opening['source'] {
  const { sequence, session, request, key, hops, deadline, priority } = record
  return { sequence, session, request, key, hops: hops + 1, deadline, priority }
}

export function runOf(state: SpineState, row: Row): RunState {
  let run = state.runs.get(row)
  if (run === undefined) {
    run = { basis: 0, version: '', commands: new Map(), calls: new Map() }
    state.runs.set(row, run)
  }
  return run
}

export function endCommand(
  state: SpineState,
  row: Row,
  name: string,
  command: Command,
  record: LogRecord,
  ok: boolean,
): void {
  command.ended = record.sequence
  command.ok = ok
  touchGathers(state, row)
  state.marks?.push({ kind: 'outcome', row, source: state.deliveries.source[row] as Sequence, command: name, record })
}

/**
 * The run starts over on a new basis. Effects that started are kept, because they are in the world; the new run may take
 * another way and never ask for them, so they hold nothing up.
 */
export function restartRun(state: SpineState, row: Row, record: LogRecord, generation: number): void {
  const { deliveries } = state
  deliveries.generation[row] = generation
  state.turns.stale.delete(row)
  deliveries.attempt[row] = 0
  deliveries.started[row] = 0
  deliveries.began[row] = 0
  const run = state.runs.get(row)
  if (run !== undefined) {
    endOpenCalls(state, run, record)
    run.calls.clear()
    if (state.waits.size > 0) forgetWaits(state, deliveries.session[row] as string, row, run)
    for (const [name, command] of run.commands) {
      if (command.kind === 'effect' || (command.keep === true && command.ok)) command.carried = true
      else run.commands.delete(name)
    }
    run.gathers = undefined
    run.basis = 0
    run.version = ''
  }
  state.marks?.push({ kind: 'restarted', row, source: deliveries.source[row] as Sequence })
  makeReady(state, row)
}

/**
 * What a new attempt keeps of the journal: everything up to the last success that the handler was given, so that a failure
 * which it caught before that replays. Failures after it execute again, and so does the one that ended the attempt, also
 * when the handler cleaned up before it threw it on. What the new attempt may not ask for, because it takes another way,
 * is marked and holds nothing up: what is still open, and what ended after that failure or was never given.
 *
 * `attempt`: as the end of the attempt tells it. Without it the last success in the journal counts.
 */
export function forgetFailures(
  run: RunState,
  { upTo = lastSuccessOf(run), failed }: { readonly upTo?: Sequence; readonly failed?: string },
): void {
  const failedAt = (failed === undefined ? undefined : run.commands.get(failed)?.ended) ?? Number.POSITIVE_INFINITY
  const reentered = run.gathers === undefined ? undefined : reenteredOf(run, { upTo, failed })
  const forgotten = reentered === undefined ? undefined : new Map<string, Sequence>()
  for (const [name, command] of run.commands) {
    const { ended, ok } = command
    const isTriedAgain =
      ended !== 0 && !ok && (ended > upTo || name === failed || reentered?.failures.has(name) === true)
    if (isTriedAgain) forgotten?.set(name, ended)
    if (isTriedAgain && command.kind === 'effect') {
      // It may have taken effect before it failed: the next try is told so.
      command.ended = 0
      command.carried = true
    } else if (isTriedAgain) run.commands.delete(name)
    else if (ended === 0 || ended > upTo || ended > failedAt) command.carried = true
    else if (reentered?.prefixes.some((prefix) => name.startsWith(prefix)) === true) command.carried = true
  }
  if (forgotten !== undefined) forgetGathers(run, forgotten)
}

function lastSuccessOf(run: RunState): Sequence {
  let last = 0
  for (const { ok, ended } of run.commands.values()) if (ok && ended > last) last = ended
  return last
}
