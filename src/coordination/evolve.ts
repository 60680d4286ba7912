/**
 * The fold: one record in, the state changed in place. The only place where records mean something.
 *
 * Job: `evolve(state, record)`. Not its job: deciding what to write (`decide.ts`), reading, waiting.
 *
 * F1  Depends on the record and the state only: no clock, chance, user code, user payload, or knowledge of the process.
 * F2  Records come in order without a gap; a type that is not understood stops the fold, so that an old version never
 *     guesses at a newer log.
 * F3  A record about a delivery that has ended changes nothing: late facts stay visible in the log and harmless here.
 */
import { isCatalogued, type SystemData, type SystemType } from '../event/catalogue.ts'
import { isSystemType, type LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { assert } from '../kernel/assert.ts'
import { SpineError } from '../kernel/errors.ts'
import { foldAfterMatched, isAfterWait, tickOffEvent } from './after.ts'
import { carve, foldGiven, foldLow, foldSpent, inheritPool, reserve } from './budgets.ts'
import { BUDGET, foldBudgetPause, foldRaised, inheritPools, foldReturned } from './fold-budgets.ts'
import { foldAdmitted, foldBehind } from './behind.ts'
import { foldBreakerClosed, foldBreakerOpened, foldHeard } from './breakers.ts'
import { countCrashes, foldRunsStarted } from './crashes.ts'
import { DELAY, endDelay } from './delays.ts'
import { foldDead, foldDiscarded, foldLateEffect, foldRedriven } from './dead-letters.ts'
import { endCommand, endDelivery, forgetFailures, handOff, openDelivery, restartRun, runOf } from './deliveries.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { holdExclusive } from './hold-exclusive.ts'
import { openGather, settleGathers } from './settle-gathers.ts'
import { foldPaused, foldResumed } from './pauses.ts'
import { dropOwedTo, oweForBudget } from './owings.ts'
import { registerAgent, removeAgent, renameAgent, targetIndex } from './registrations.ts'
import { foldJoinDue, JOIN_WAIT } from './join.ts'
import type { AgentState, Command, RunState, SpineState } from './state.ts'
import { openOnTerms, tellWhoHearsEverything } from './terms.ts'
import { beginTurn, endTurn } from './freshness.ts'
import { foldPreempted } from './find-room.ts'
import { foldPrioritized } from './urge.ts'
import { endWait, foldTaken, openWait, tellWaiters } from './waits.ts'

export function evolve(state: SpineState, record: LogRecord): void {
  assert(record.sequence === state.at + 1, `record ${record.sequence} does not follow ${state.at}`)
  if (isSystemType(record.type)) foldFact(state, record)
  else foldEvent(state, record)
  if (state.touched !== undefined) settleGathers(state, record)
  state.at = record.sequence
}

function foldEvent(state: SpineState, record: LogRecord): void {
  const isTurn = state.turns.isUsed && state.turns.listeners.has(record.type)
  if (isTurn) beginTurn(state, record)
  const subscribers = state.subscriptions.get(record.type)
  if (subscribers !== undefined) {
    const type = state.eventTypeIndex.get(record.type) as number
    for (const agent of subscribers) {
      const { terms } = state.agents[agent] as AgentState
      if (terms === undefined) openDelivery(state, { source: record, agent, type, caller: 0, call: 0, ordered: true })
      else openOnTerms(state, agent, terms, type, record)
    }
  }
  if (state.everything.length > 0) tellWhoHearsEverything(state, record)
  if (isTurn) endTurn(state, record)
  if (state.budgets.spenders.size > 0) inheritPools(state, record)
  if (state.held.size > 0) tickOffEvent(state, record)
  if (state.waits.size > 0) tellWaiters(state, record)
}

function foldFact(state: SpineState, record: LogRecord): void {
  const fold = isCatalogued(record.type) ? FOLDS[record.type] : undefined
  if (fold === undefined) {
    throw new SpineError(
      'SPINE_LOG_NEWER',
      `Record ${record.sequence} is of type '${record.type}', which this version does not know.`,
      {
        value: record.type,
        fix: 'Upgrade event-spine to the version that wrote this log.',
      },
    )
  }
  fold(state, record)
}

type Fold = (state: SpineState, record: LogRecord) => void

function dataOf<Type extends SystemType>(record: LogRecord, _type: Type): SystemData<Type> {
  return record.data as SystemData<Type>
}

/** The open delivery that a record tells of, or 0. */
function rowOf(state: SpineState, record: LogRecord): Row {
  const agent = state.agentIndex.get(record.agent ?? '')
  return agent === undefined ? 0 : state.deliveries.find(record.cause, agent)
}

/** A fold of a fact about one open delivery; F3 is kept here. */
function aboutDelivery(fold: (state: SpineState, row: Row, record: LogRecord) => void): Fold {
  return (state, record) => {
    const row = rowOf(state, record)
    if (row !== 0) fold(state, row, record)
  }
}

const endOfDelivery: Fold = aboutDelivery((state, row, record) => endDelivery(state, row, record, false))

/** The types that this version understands. A catalogued type that is missing here belongs to a later version. */
const FOLDS: { readonly [Type in SystemType]?: Fold } = {
  'spine.agent.registered': (state, record) =>
    registerAgent(state, record.sequence, dataOf(record, 'spine.agent.registered')),
  'spine.agent.removed': removeAgent,
  'spine.agent.renamed': renameAgent,
  'spine.agent.paused': foldPaused,
  'spine.agent.resumed': foldResumed,
  'spine.agent.behind': foldBehind,
  'spine.agent.admitted': foldAdmitted,
  'spine.breaker.opened': foldBreakerOpened,
  'spine.breaker.closed': foldBreakerClosed,
  'spine.lane.claimed': countCrashes,
  'spine.lane.released': (state, record) => {
    const lane = state.lanes.get(dataOf(record, 'spine.lane.released').lane)
    if (lane !== undefined) lane.released = true
  },
  'spine.runs.started': foldRunsStarted,
  'spine.step.started': aboutDelivery((state, row, record) => {
    const { command, cost, plain } = dataOf(record, 'spine.step.started')
    const run = standing(state, row, record)
    state.deliveries.started[row] = 1
    if (cost !== undefined) reserve(state.budgets, row, record, cost)
    // A step that is no effect is executed again after a crash, like one of which nothing is known.
    if (plain !== true && !run.commands.has(command)) run.commands.set(command, openCommand('effect', record.sequence))
  }),
  'spine.step.recorded': (state, record) => {
    const row = rowOf(state, record)
    const { spent, reserved } = dataOf(record, 'spine.step.recorded')
    if (spent !== undefined || reserved !== undefined) foldSpent(state.budgets, row, record)
    if (row !== 0) foldStepRecorded(state, row, record)
    else foldLateEffect(state, record)
  },
  'spine.call.requested': foldCall,
  'spine.timer.set': aboutDelivery((state, row, record) => {
    const { command, due } = dataOf(record, 'spine.timer.set')
    state.deliveries.started[row] = 0
    standing(state, row, record).commands.set(command, { ...openCommand('sleep', record.sequence), due })
    state.due?.push({ at: due, kind: 'timer', row, source: state.deliveries.source[row] as Sequence, name: command })
  }),
  'spine.timer.fired': aboutDelivery((state, row, record) => {
    const name = dataOf(record, 'spine.timer.fired').command
    if (name === DELAY) {
      endDelay(state, row)
      return
    }
    const command = state.runs.get(row)?.commands.get(name)
    if (command !== undefined && command.ended === 0) endCommand(state, row, name, command, record, true)
  }),
  'spine.wait.opened': aboutDelivery((state, row, record) => {
    const run = standing(state, row, record)
    state.deliveries.started[row] = 0
    openWait(state, row, run, record)
  }),
  'spine.wait.matched': aboutDelivery((state, row, record) => {
    if (isAfterWait(record)) foldAfterMatched(state, row, record)
    else endWait(state, row, record)
  }),
  'spine.wait.expired': aboutDelivery((state, row, record) => {
    if (dataOf(record, 'spine.wait.expired').command === JOIN_WAIT) foldJoinDue(state, row, record)
    else endWait(state, row, record)
  }),
  'spine.gather.opened': aboutDelivery((state, row, record) =>
    openGather(state, row, standing(state, row, record), record),
  ),
  // Asked and answered in one.
  'spine.route.decided': aboutDelivery(foldStepRecorded),
  // The state of sessions is folded by whoever needs it (runtime/session-states.ts); no decision here depends on it.
  'spine.session.patched': () => {},
  'spine.request.cancelled': endOfRequest,
  'spine.request.expired': endOfRequest,
  'spine.delivery.completed': aboutDelivery((state, row, record) => {
    const { handoff } = dataOf(record, 'spine.delivery.completed')
    if (handoff === undefined) endDelivery(state, row, record, false)
    else handOff(state, row, record, targetIndex(state, handoff.target))
  }),
  'spine.delivery.skipped': aboutDelivery((state, row, record) => {
    // With `of` it repeats another, and ends whatever it is; without, it may be that the time of a round was up.
    const ofRound = dataOf(record, 'spine.delivery.skipped').of === undefined && state.joins.of(row) !== undefined
    if (ofRound) foldJoinDue(state, row, record)
    else endDelivery(state, row, record, false)
  }),
  'spine.delivery.taken': aboutDelivery(foldTaken),
  'spine.delivery.superseded': endOfDelivery,
  'spine.delivery.cancelled': endOfDelivery,
  'spine.delivery.expired': endOfDelivery,
  'spine.delivery.dead': aboutDelivery(foldDead),
  'spine.delivery.retried': aboutDelivery((state, row, record) => {
    const { attempt, due, ...came } = dataOf(record, 'spine.delivery.retried')
    state.deliveries.attempt[row] = attempt
    state.deliveries.status[row] = STATUS.backoff
    state.deliveries.started[row] = 0
    state.deliveries.began[row] = 0
    state.deliveries.due[row] = due
    if (state.exclusives.size > 0) holdExclusive(state, row)
    const run = state.runs.get(row)
    if (run !== undefined) forgetFailures(run, came)
    const agent = state.agents[state.deliveries.agent[row] as number] as AgentState
    if (agent.breaker !== undefined) foldHeard(state, agent, record.cause, record)
    state.due?.push({ at: due, kind: 'retry', row, source: state.deliveries.source[row] as Sequence, name: '' })
  }),
  'spine.delivery.paused': aboutDelivery((state, row, record) => {
    state.deliveries.status[row] = STATUS.paused
    if (state.exclusives.size > 0) holdExclusive(state, row)
    state.deliveries.started[row] = 0
    state.deliveries.began[row] = 0
    if (dataOf(record, 'spine.delivery.paused').why === BUDGET) foldBudgetPause(state, row, record)
    else state.budgets.paused.delete(row)
  }),
  'spine.delivery.restarted': aboutDelivery((state, row, record) => {
    const { generation } = dataOf(record, 'spine.delivery.restarted')
    // Two who restart the same run at once restart it once.
    if (generation <= (state.deliveries.generation[row] as number)) return
    if (state.turns.isStale(row)) state.deliveries.turns[row] = (state.deliveries.turns[row] as number) + 1
    restartRun(state, row, record, generation)
  }),
  'spine.budget.given': (state, record) => {
    oweForBudget(state, record)
    if (state.requests.find(record.request) !== 0) foldGiven(state.budgets, record)
  },
  'spine.budget.low': (state, record) => foldLow(state.budgets, record),
  // For people: the refusal itself is the outcome of the step.
  'spine.budget.exhausted': () => {},
  'spine.budget.raised': foldRaised,
  'spine.budget.returned': foldReturned,
  'spine.request.prioritized': foldPrioritized,
  'spine.delivery.preempted': aboutDelivery((state, row, record) => {
    if (dataOf(record, 'spine.delivery.preempted').basis !== undefined) standing(state, row, record)
    foldPreempted(state, row, record)
  }),
  'spine.delivery.redriven': foldRedriven,
  'spine.delivery.discarded': foldDiscarded,
}

/** The types that this version writes and folds, for the reference and its test. */
export const FOLDED_TYPES: readonly string[] = Object.keys(FOLDS)

function foldStepRecorded(state: SpineState, row: Row, record: LogRecord): void {
  const { command: name, error, generation, keep } = dataOf(record, 'spine.step.recorded')
  // Of a step that outlived the generation it was asked in.
  if (generation !== undefined && generation !== state.deliveries.generation[row]) return
  const run = standing(state, row, record)
  const known = run.commands.get(name)
  if (known !== undefined && known.ended !== 0) return
  // Progress (crashes.ts K3).
  state.deliveries.started[row] = 1
  state.deliveries.crashes[row] = 0
  if (known?.kind === 'call') giveUpCall(state, run, known, record)
  const command = known ?? openCommand('step', 0)
  if (keep === true) command.keep = true
  run.commands.set(name, command)
  endCommand(state, row, name, command, record, error === undefined)
}

/** The owner ended a call itself, because it waited for its own caller. */
function giveUpCall(state: SpineState, run: RunState, command: Command, record: LogRecord): void {
  const { row } = command
  run.calls.delete(command.asked)
  command.row = 0
  if (row !== 0) endDelivery(state, row, record, true)
}

function foldCall(state: SpineState, record: LogRecord): void {
  const { target, command, budget } = dataOf(record, 'spine.call.requested')
  const caller = command === undefined ? 0 : rowOf(state, record)
  if (command !== undefined && caller === 0) return
  // First, because the call inherits what its caller has and holds.
  const run = command === undefined ? undefined : standing(state, caller, record)
  const row = openDelivery(state, {
    source: record,
    agent: targetIndex(state, target),
    type: 0,
    caller,
    call: record.sequence,
    ordered: false,
  })
  if (command === undefined || run === undefined) return
  if (budget !== undefined) carve(state.budgets, caller, row, record, budget)
  else if (state.budgets.spenders.size > 0) inheritPool(state.budgets, caller, row, false)
  state.deliveries.started[caller] = 0
  run.commands.set(command, { ...openCommand('call', record.sequence), row })
  run.calls.set(record.sequence, command)
}

function endOfRequest(state: SpineState, record: LogRecord): void {
  const { requests } = state
  dropOwedTo(state, record.request)
  let row = requests.firstRow(requests.find(record.request))
  while (row !== 0) {
    endDelivery(state, row, record, true)
    row = requests.firstRow(requests.find(record.request))
  }
}

/** The journal of the run, with the basis and version that its first record tells. */
function standing(state: SpineState, row: Row, record: LogRecord): RunState {
  const run = runOf(state, row)
  state.deliveries.began[row] = 1
  if (state.exclusives.size > 0) holdExclusive(state, row)
  const { basis, version } = record.data as { readonly basis?: Sequence; readonly version?: string }
  if (run.basis === 0 && basis !== undefined) {
    run.basis = basis
    run.version = version ?? ''
  }
  return run
}

function openCommand(kind: Command['kind'], asked: Sequence): Command {
  return { kind, asked, ended: 0, ok: false, carried: false, row: 0, due: 0 }
}
