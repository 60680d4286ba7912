/**
 * Work that failed for good, and what its death does to the key it held. Used by `evolve.ts` and `registrations.ts`.
 *
 * J1  A dead letter keeps its journal, so that a redrive repeats no recorded step.
 * J2  `onFailure: 'block'`: nothing of the key starts while its dead letter lies there. `'park'`: whatever comes after it
 *     of the key joins it, and one redrive brings all of them back in order.
 * J3  What is redriven from a held key stands before everything of that key that came later.
 */
import type { SystemData } from '../event/catalogue.ts'
import { headerPriority } from '../event/priority.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { pinPool } from './budgets.ts'
import { endDelivery, forgetFailures, LOOKING_ON, makeReady, openDelivery } from './deliveries.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { type AgentState, type DeadLetterState, deliveryId, type RunState, type SpineState } from './state.ts'
import { beginWait } from './waits.ts'

/** Code of the failure of a delivery that never ran, because its key was parked. */
export const KEY_PARKED = 'SPINE_KEY_PARKED' as const

export function foldDead(state: SpineState, row: Row, record: LogRecord): void {
  const { deliveries } = state
  const agent = state.agents[deliveries.agent[row] as number] as AgentState
  const orderKey = deliveries.key[row] as string
  const parked = (record.data as unknown as SystemData<'spine.delivery.dead'>).error.code === KEY_PARKED
  if (parked && !agent.holds.has(orderKey)) {
    // The key was redriven before this record came: nothing is parked any more.
    makeReady(state, row)
    return
  }
  const run = state.runs.get(row)
  addLetter(state, deliveryId(record.cause, record.agent as string), {
    source: record.cause,
    agent: deliveries.agent[row] as number,
    type: deliveries.type[row] as number,
    request: record.request,
    session: record.session,
    key: record.key,
    orderKey,
    hops: record.hops,
    priority: deliveries.priority[row] as number,
    sequence: record.sequence,
    run,
    join: state.joins.of(row),
    observes: deliveries.observes[row] === 1,
    ...(state.budgets.isUsed ? { pool: pinPool(state.budgets, row, record.request) } : {}),
  })
  holdKey(agent, orderKey, record.cause)
  endDelivery(state, row, record, false)
  if (run === undefined) return
  forgetOpenCalls(run)
  forgetFailures(run, record.data as unknown as SystemData<'spine.delivery.dead'>)
}

function holdKey(agent: AgentState, orderKey: string, source: Sequence): void {
  const known = agent.holds.get(orderKey)
  if (known !== undefined) {
    known.letters.push(source)
    return
  }
  const mode = agent.registration?.onFailure
  if (orderKey !== '' && (mode === 'block' || mode === 'park')) agent.holds.set(orderKey, { mode, letters: [source] })
}

export function foldRedriven(state: SpineState, record: LogRecord): void {
  const id = deliveryId(record.cause, record.agent as string)
  const letter = state.deadLetters.get(id)
  if (letter === undefined) return
  const agent = state.agents[letter.agent] as AgentState
  const hold = agent.holds.get(letter.orderKey)
  if (hold === undefined || !hold.letters.includes(letter.source)) {
    reopen(state, id, letter)
    return
  }
  agent.holds.delete(letter.orderKey)
  const head = agent.keys.get(letter.orderKey)
  const status = head === undefined ? STATUS.free : state.deliveries.status[head]
  if (head !== undefined && (status === STATUS.ready || status === STATUS.held))
    state.deliveries.status[head] = STATUS.queued
  // From the last to the first, each put before the others: so the earliest ends up at the head.
  const last = [...hold.letters].sort((left, right) => right - left)
  for (const source of last) {
    const each = deliveryId(source, agent.name)
    const parked = state.deadLetters.get(each)
    if (parked !== undefined) reopen(state, each, parked, true)
  }
  wakeHead(state, agent, letter.orderKey)
}

/** An effect that outlived its run: a redrive is given the outcome, and does not do it again. */
export function foldLateEffect(state: SpineState, record: LogRecord): void {
  const { command: name, error } = record.data as unknown as SystemData<'spine.step.recorded'>
  const command = state.deadLetters.get(deliveryId(record.cause, record.agent ?? ''))?.run?.commands.get(name)
  if (command?.kind !== 'effect' || command.ended !== 0 || error !== undefined) return
  command.ended = record.sequence
  command.ok = true
  command.carried = true
}

export function foldDiscarded(state: SpineState, record: LogRecord): void {
  const id = deliveryId(record.cause, record.agent ?? '')
  const letter = state.deadLetters.get(id)
  if (letter === undefined) return
  dropLetter(state, id, letter)
  if (!state.lettersOfRequest.has(letter.request) && state.requests.find(letter.request) === 0)
    state.budgets.forget(letter.request)
  const agent = state.agents[letter.agent] as AgentState
  const hold = agent.holds.get(letter.orderKey)
  if (hold === undefined) return
  hold.letters = hold.letters.filter((source) => source !== letter.source)
  if (hold.letters.length > 0) return
  agent.holds.delete(letter.orderKey)
  wakeHead(state, agent, letter.orderKey)
}

/** Dead letters, and the keys that they hold, go with the work of an agent that is renamed. */
export function moveDeadLetters(
  state: SpineState,
  from: number,
  to: number,
  isGiven: (letter: DeadLetterState) => boolean,
): void {
  const agent = state.agents[from] as AgentState
  const heir = state.agents[to] as AgentState
  for (const [id, letter] of [...state.deadLetters]) {
    if (letter.agent !== from || isGiven(letter)) continue
    dropLetter(state, id, letter)
    addLetter(state, deliveryId(letter.source, heir.name), { ...letter, agent: to })
  }
  for (const [key, hold] of agent.holds) {
    // A key at which the heir works already goes on; the letters stay what they are.
    const moved = hold.letters.filter((source) => state.deadLetters.has(deliveryId(source, heir.name)))
    if (moved.length > 0 && !heir.keys.has(key) && !heir.holds.has(key))
      heir.holds.set(key, { ...hold, letters: moved })
  }
  agent.holds.clear()
}

function wakeHead(state: SpineState, agent: AgentState, key: string): void {
  const head = agent.keys.get(key)
  if (head !== undefined && state.deliveries.status[head] === STATUS.queued) makeReady(state, head)
}

/** `first`: before all others of the key that its death held. */
function reopen(state: SpineState, id: string, letter: DeadLetterState, first = false): void {
  dropLetter(state, id, letter)
  const { source, agent, type, run, request, session, key, hops, join, observes = false, priority } = letter
  // A rename may have brought the same work here meanwhile (L1).
  if (state.deliveries.find(source, agent) !== 0) return
  const row = openDelivery(
    state,
    {
      source: { sequence: source, request, session, key, hops, priority: headerPriority(priority) },
      agent,
      type,
      caller: 0,
      call: 0,
      ordered: true,
      terms: observes ? LOOKING_ON : undefined,
    },
    first ? letter.orderKey : undefined,
  )
  // Its call is told already, and holds the pool no more; what that allows still bounds it.
  const { pool = 0 } = letter
  if (pool !== 0 && state.budgets.of(request)?.pools.has(pool) === true)
    state.budgets.spenders.set(row, { pool, isHolder: false })
  if (join !== undefined) {
    state.joins.set(row, join)
    if (join.spec.per === 'request') state.joins.remember(agent, request)
  }
  if (run === undefined) return
  state.runs.set(row, run)
  for (const [name, command] of run.commands) {
    const { kind, ended, due } = command
    if (ended !== 0) continue
    if (kind === 'sleep') state.due?.push({ at: due, kind: 'timer', row, source, name })
    if (kind === 'wait') beginWait(state, row, name, command)
  }
}

/** Both keep the index by request, so that whoever asks about one request need not look at every dead letter. */
export function addLetter(state: SpineState, id: string, letter: DeadLetterState): void {
  state.deadLetters.set(id, letter)
  const ids = state.lettersOfRequest.get(letter.request)
  if (ids === undefined) state.lettersOfRequest.set(letter.request, new Set([id]))
  else ids.add(id)
}

function dropLetter(state: SpineState, id: string, { request }: DeadLetterState): void {
  state.deadLetters.delete(id)
  const ids = state.lettersOfRequest.get(request)
  ids?.delete(id)
  if (ids?.size === 0) state.lettersOfRequest.delete(request)
}

/** They end with the run that made them; a redriven run asks again. */
function forgetOpenCalls(run: RunState): void {
  for (const name of run.calls.values()) run.commands.delete(name)
  run.calls.clear()
}
