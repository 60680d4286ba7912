/**
 * What to do next, from the state and the time: pure answers, which the runtime turns into records.
 *
 * T1  Only what `evolve` marked and what the due heap holds is looked at; nothing is scanned, save once at a takeover.
 * T2  A decision changes nothing; the record that comes of it does, through `evolve`.
 */
import type { Failure } from '../event/catalogue.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import { fraction, type Random } from '../kernel/random.ts'
import { lookAgain } from './breakers.ts'
import { isCrashLoop } from './crashes.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { gathersWithLateCalls } from './gather.ts'
import { hasOwnDeadline } from './deliveries.ts'
import { DueHeap, type DueEntry } from './due-heap.ts'
import { blockersOf } from './blockers-of.ts'
import { agentNamed, type SpineState } from './state.ts'

export type DueDecision =
  | { readonly kind: 'start'; readonly row: Row; readonly source: Sequence }
  | {
      readonly kind: 'fire-timer'
      readonly row: Row
      readonly source: Sequence
      readonly command: string
      /** For an event: what came before is looked at first. */
      readonly isWait: boolean
    }
  | { readonly kind: 'end-delay'; readonly row: Row }
  /** An event has come that this wait may be for. */
  | { readonly kind: 'look-again'; readonly row: Row; readonly source: Sequence; readonly command: string }
  /** The time of a round is up: it fires with what there is, or ends. */
  | { readonly kind: 'end-join'; readonly row: Row }
  /** A probe may be chosen among what the breaker of this agent holds. */
  | { readonly kind: 'half-open'; readonly agent: string }
  /** A rate has room again. */
  | { readonly kind: 'pass-rate'; readonly place: string }
  | { readonly kind: 'expire-delivery'; readonly row: Row }
  | { readonly kind: 'expire-request'; readonly request: string; readonly deadline: number }

export interface Place {
  readonly row: Row
  readonly source: Sequence
}

export interface TakeOver {
  /** What may start at once, in order. */
  readonly ready: readonly Place[]
  /** What takes down whatever process it runs in: dead. */
  readonly crashLoops: readonly Place[]
  /** Deliveries that wait for another; one of them may be called by what it waits for. */
  readonly waitingCalls: readonly Place[]
  /** What lacks an event of its session, which may lie in the log already. */
  readonly held: readonly Place[]
  /** Waits for an event that may lie in the log already. */
  readonly waits: readonly (Place & { readonly command: string })[]
  /** What a newer turn has superseded, or starts over. */
  readonly stale: readonly Place[]
  /** Gathers that have fired, and whose late calls are still open. */
  readonly late: readonly (Place & { readonly command: string })[]
}

/** Makes this state decide: from here on `evolve` marks what changes. */
export function takeOver(state: SpineState): TakeOver {
  state.marks = []
  state.due = new DueHeap()
  for (const agent of state.agents) if (agent.breaker !== undefined) lookAgain(state, agent)
  const { deliveries, requests } = state
  const ready: Place[] = []
  const crashLoops: Place[] = []
  const waitingCalls: Place[] = []
  const late: (Place & { command: string })[] = []
  const waits: (Place & { command: string })[] = []
  for (const row of deliveries.rows()) {
    const source = deliveries.source[row] as Sequence
    if (isCrashLoop(state, row)) crashLoops.push({ row, source })
    else if (deliveries.status[row] === STATUS.ready) ready.push({ row, source })
    else if (deliveries.status[row] === STATUS.queued && deliveries.caller[row] !== 0)
      waitingCalls.push({ row, source })
    if (state.exclusives.size > 0 && blockersOf(state, row).length > 0) waitingCalls.push({ row, source })
    if (deliveries.status[row] === STATUS.backoff) {
      state.due.push({ at: deliveries.due[row] as number, kind: 'retry', row, source, name: '' })
    }
    if (deliveries.status[row] === STATUS.joining && deliveries.due[row] !== 0) {
      state.due.push({ at: deliveries.due[row] as number, kind: 'join', row, source, name: '' })
    }
    if (deliveries.status[row] === STATUS.delayed) {
      state.due.push({ at: deliveries.due[row] as number, kind: 'delay', row, source, name: '' })
    }
    const deadline = deliveries.deadline[row] as number
    if (hasOwnDeadline(state, row, deadline)) {
      state.due.push({ at: deadline, kind: 'delivery-deadline', row, source, name: '' })
    }
    for (const [name, command] of state.runs.get(row)?.commands ?? []) {
      if (command.due !== 0 && command.ended === 0)
        state.due.push({ at: command.due, kind: 'timer', row, source, name })
      if (command.kind === 'wait' && command.ended === 0) waits.push({ row, source, command: name })
    }
    const run = state.runs.get(row)
    if (run !== undefined) for (const command of gathersWithLateCalls(run)) late.push({ row, source, command })
  }
  for (const slot of requests.slots()) {
    const at = requests.deadline[slot] as number
    if (at !== 0) state.due.push({ at, kind: 'request-deadline', row: 0, source: 0, name: requests.id[slot] as string })
  }
  ready.sort((left, right) => left.source - right.source)
  const held = state.held.rows().map((row) => ({ row, source: deliveries.source[row] as Sequence }))
  const stale = [...state.turns.stale]
    .filter(([, { then, isSuperseded }]) => isSuperseded || then === 'restart')
    .map(([row]) => ({ row, source: deliveries.source[row] as Sequence }))
  return { ready, crashLoops, waitingCalls, held, late, waits, stale }
}

/** Everything that has become due; entries that lost their meaning are dropped on the way. */
export function decideDue(state: SpineState, now: number): readonly DueDecision[] {
  const decisions: DueDecision[] = []
  for (let entry = state.due?.popDue(now); entry !== undefined; entry = state.due?.popDue(now)) {
    const decision = decideEntry(state, entry)
    if (decision !== undefined) decisions.push(decision)
  }
  return decisions
}

/** What has ended leaves its deadlines and timers behind; they are dropped before they outnumber what is open. */
export function dropStale(state: SpineState): void {
  if (state.due?.isOvergrown === true) state.due.keep((entry) => decideEntry(state, entry) !== undefined)
}

function decideEntry(state: SpineState, entry: DueEntry): DueDecision | undefined {
  const { row, source, name } = entry
  if (entry.kind === 'request-deadline') {
    const slot = state.requests.find(name)
    return slot !== 0 && state.requests.deadline[slot] === entry.at
      ? { kind: 'expire-request', request: name, deadline: entry.at }
      : undefined
  }
  if (entry.kind === 'breaker')
    return agentNamed(state, name)?.breaker?.until === entry.at ? { kind: 'half-open', agent: name } : undefined
  if (entry.kind === 'rate') return { kind: 'pass-rate', place: name }
  const { deliveries } = state
  if (deliveries.status[row] === STATUS.free || deliveries.source[row] !== source) return undefined
  if (entry.kind === 'delivery-deadline')
    return deliveries.deadline[row] === entry.at ? { kind: 'expire-delivery', row } : undefined
  if (entry.kind === 'join') {
    const isDue = deliveries.status[row] === STATUS.joining && deliveries.due[row] === entry.at
    return isDue ? { kind: 'end-join', row } : undefined
  }
  if (entry.kind === 'delay') {
    const isDue = deliveries.status[row] === STATUS.delayed && deliveries.due[row] === entry.at
    return isDue ? { kind: 'end-delay', row } : undefined
  }
  if (entry.kind === 'retry') {
    return deliveries.status[row] === STATUS.backoff && deliveries.due[row] === entry.at
      ? { kind: 'start', row, source }
      : undefined
  }
  const command = state.runs.get(row)?.commands.get(name)
  if (entry.kind === 'awaited')
    return command?.ended === 0 ? { kind: 'look-again', row, source, command: name } : undefined
  // A run that started over may have set a timer of the same name for another time.
  if (command?.ended !== 0 || command.due !== entry.at) return undefined
  return { kind: 'fire-timer', row, source, command: name, isWait: command.kind === 'wait' }
}

export interface FailureInput {
  /** Attempts that failed before this one. */
  readonly failedBefore: number
  readonly attemptsMax: number
  readonly delayMsMin: number
  readonly delayMsMax: number
  readonly failure: Failure
  /** What a `RetryAfter` asked for. */
  readonly retryAfterMs: number | undefined
  readonly now: number
  readonly random: Random
}

export type FailureDecision =
  | { readonly kind: 'retry'; readonly attempt: number; readonly due: number }
  | { readonly kind: 'dead'; readonly attempts: number }

/** Another attempt, or the dead letters. */
export function decideFailure(input: FailureInput): FailureDecision {
  const attempt = input.failedBefore + 1
  if (input.failure.permanent === true || attempt >= input.attemptsMax) return { kind: 'dead', attempts: attempt }
  const delay = delayMs(attempt, input.delayMsMin, input.delayMsMax, input.retryAfterMs, input.random)
  return { kind: 'retry', attempt, due: input.now + Math.ceil(delay) }
}

/**
 * Until the next try: what a `RetryAfter` asked for and some more, else the backoff. Who is told together when to come back
 * should not come back together: on top comes a random part of the backoff, of a tenth of the time at least, and of no more
 * than was asked for.
 */
export function delayMs(
  attempt: number,
  delayMsMin: number,
  delayMsMax: number,
  retryAfterMs: number | undefined,
  random: Random,
): number {
  if (retryAfterMs === undefined) return retryDelayMs(attempt, delayMsMin, delayMsMax, random)
  const asked = Math.min(retryAfterMs, limits.retryAfterMsMax)
  const spread = Math.max(retryDelayMs(attempt, delayMsMin, delayMsMax, NEARLY_ONE), asked / 10)
  return asked + Math.min(asked, spread) * fraction(random)
}

const NEARLY_ONE: Random = { uint32: () => 2 ** 32 - 1 }

/**
 * Exponential backoff with full jitter: a random delay below a bound that doubles from `delayMsMin` to `delayMsMax`.
 * Of the schemes compared in "Exponential Backoff And Jitter" (Brooker, AWS 2015) it does the least work in total.
 */
export function retryDelayMs(attempt: number, delayMsMin: number, delayMsMax: number, random: Random): number {
  const bound = Math.min(delayMsMax, delayMsMin * 2 ** Math.min(attempt - 1, 40))
  return bound * fraction(random)
}
