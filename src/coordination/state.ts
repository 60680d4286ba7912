/**
 * What the log says is going on: agents, open deliveries, journals of begun runs, requests, dead letters, the owner.
 *
 * Job: the shape of the state and how it begins. `evolve.ts` changes it, `encode-state.ts` writes it down.
 * Not its job: anything a single process knows for itself (which handlers it hosts, what runs right now, the time).
 *
 * S1  The state is a function of the records alone: whoever folds the same log has the same state.
 * S2  It holds open work only; what is at rest is looked up in the log.
 * S3  `marks` and `due` are not state: they tell the process that decides what changed, and may be absent.
 */

import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { Budgets } from './budgets.ts'
import type { BehindState } from './behind.ts'
import type { BreakerState } from './breakers.ts'
import { DeliveryTable, type Row } from './delivery-table.ts'
import type { DueHeap } from './due-heap.ts'
import type { Owings } from './owings.ts'
import type { RunGathers } from './gather.ts'
import { Exclusives } from './exclusives.ts'
import { HeldDeliveries } from './held-deliveries.ts'
import { type JoinRound, JoinRounds, type JoinSpec } from './join-rounds.ts'
import type { RateState } from './rates.ts'
import { RequestTable } from './request-table.ts'
import { Turns } from './turns.ts'
import { WaitIndex, type WaitState } from './wait-index.ts'

export interface AgentState {
  name: string
  /** As last registered; `undefined` for a name that only ever was a target. */
  registration: SystemData<'spine.agent.registered'> | undefined
  /** Sequence of the first registration since it was last removed. */
  since: Sequence
  /** Event type → since when it has been given events of it. */
  subscribed: ReadonlyMap<string, Sequence>
  /** `undefined` for an agent that is given every event of its types as it comes, which is the common case. */
  terms: Terms | undefined
  open: number
  /** Head of the queue of each key. */
  readonly keys: Map<string, Row>
  /** Keys that stand still, or are set aside, since one of their deliveries died. */
  readonly holds: Map<string, KeyHold>
  /** It starts nothing new while this is set (pauses.ts). */
  paused: AgentPause | undefined
  /** It is given events later than they come (behind.ts). */
  behind: BehindState | undefined
  /** Of an agent that declares one (breakers.ts). */
  breaker: BreakerState | undefined
  /** Of an agent that declares one (rates.ts). */
  rate: RateState | undefined
}

export interface AgentPause {
  /** Sequence of the `spine.agent.paused`. */
  readonly since: Sequence
  readonly why: string | undefined
}

/** What a subscription asks beyond the events themselves. It follows from the registration, and from rounds that gather. */
export interface Terms {
  readonly join: JoinSpec | undefined
  readonly after: readonly string[] | undefined
  readonly observes: boolean
  /** Types that it is given only for rounds which began under an earlier registration. */
  readonly lingering: readonly string[]
}

/** What `onFailure: 'block' | 'park'` does to a key after a death, until a redrive or discard. */
export interface KeyHold {
  readonly mode: 'block' | 'park'
  /** Sources of its dead letters, in the order of their deaths. */
  letters: Sequence[]
}

export interface Command {
  readonly kind: 'step' | 'effect' | 'call' | 'sleep' | 'wait' | 'gather'
  /** Sequence of the record that asked for it; 0 when only its end is recorded. */
  asked: Sequence
  /** Sequence of the record that ended it; 0 while open. */
  ended: Sequence
  ok: boolean
  /** Was open when an attempt failed: the next one may take another way and never ask for it. */
  carried: boolean
  /** Of a call: who works on it now. */
  row: Row
  /** Of a sleep or a wait, or of a gather that is bounded in time: absolute ms. */
  due: number
  /** Of a wait. */
  wait?: WaitState | undefined
  /** Of a step: its value outlives a generation. */
  keep?: boolean
}

/** The journal of a run, in positions: what was recorded stays in the log. */
export interface RunState {
  basis: Sequence
  version: string
  readonly commands: Map<string, Command>
  /** Sequence of an open call → its command. */
  readonly calls: Map<Sequence, string>
  /** Made for the first gather. */
  gathers?: RunGathers | undefined
}

export interface DeadLetterState {
  readonly source: Sequence
  readonly agent: number
  readonly type: number
  readonly request: string
  readonly session: string
  readonly key: string
  /** What its delivery was ordered by; empty for unordered work. */
  readonly orderKey: string
  readonly hops: number
  /** Its class: place in `PRIORITIES`. */
  readonly priority: number
  /** Sequence of the `spine.delivery.dead`. */
  readonly sequence: Sequence
  /** Its journal, kept so that a redrive repeats no recorded step. */
  readonly run: RunState | undefined
  /** What a join had gathered, for its redrive. */
  readonly join?: JoinRound | undefined
  readonly observes?: boolean
  /** What it spends from (budgets.ts); 0 or absent for the budget of its request. */
  readonly pool?: Sequence
}

export interface LaneState {
  readonly claimed: Sequence
  readonly owner: string
  released: boolean
  /** It was claimed over an owner that had not released it: what is older starts carefully. */
  readonly careful: boolean
}

/** What `evolve` tells the process that decides. */
export type Mark =
  | { readonly kind: 'ready'; readonly row: Row; readonly source: Sequence }
  /** It is ready, and what had its exclusive may have kept it from starting. */
  | { readonly kind: 'let in'; readonly row: Row; readonly source: Sequence }
  | {
      readonly kind: 'outcome'
      readonly row: Row
      readonly source: Sequence
      readonly command: string
      readonly record: LogRecord
    }
  | {
      readonly kind: 'ended'
      readonly row: Row
      readonly source: Sequence
      readonly call: Sequence
      readonly request: string
      readonly record: LogRecord
    }
  | { readonly kind: 'rest'; readonly request: string }
  /** A run starts over: whatever still executes of it has no effect any more. */
  | { readonly kind: 'restarted'; readonly row: Row; readonly source: Sequence }
  /** A gather has fired without these calls: nobody waits for them any more. */
  | { readonly kind: 'late'; readonly row: Row; readonly source: Sequence; readonly command: string }
  /** A run waits for an event, which may lie in the log already. */
  | { readonly kind: 'waiting'; readonly row: Row; readonly source: Sequence; readonly command: string }
  /** An event came that a run may be waiting for. */
  | { readonly kind: 'awaited'; readonly record: LogRecord }
  /** It is more urgent, or less, than it was. */
  | { readonly kind: 'urged'; readonly row: Row; readonly source: Sequence }
  /** A newer turn of its session has superseded it, or starts it over. */
  | { readonly kind: 'stale'; readonly row: Row; readonly source: Sequence }
  /** No newer turn stands in its way any more. */
  | { readonly kind: 'fresh'; readonly row: Row; readonly source: Sequence }
  /** An agent that was paused, or held by its breaker, may start work again. */
  | { readonly kind: 'resumed'; readonly agent: string }
  /** An agent is behind, has been admitted events, or is not behind any more. */
  | { readonly kind: 'behind'; readonly agent: string }
  /** The breaker of an agent has to be opened or closed. */
  | { readonly kind: 'breaker'; readonly agent: string }
  /** It waits for a key, or for an exclusive, that in the end may wait for it. */
  | { readonly kind: 'cycle'; readonly row: Row; readonly source: Sequence }
  /** It may not start until its session has events of certain types: they may lie in the log already. */
  | { readonly kind: 'held'; readonly row: Row; readonly source: Sequence }

export interface SpineState {
  at: Sequence
  readonly agents: AgentState[]
  readonly agentIndex: Map<string, number>
  /** Event type → agents that react to it. */
  readonly subscriptions: Map<string, number[]>
  /** Agents that react to every event (`'*'`). */
  everything: readonly number[]
  /** Event types that agents react to, or once did; deliveries name them by index. At 0: no event. */
  readonly eventTypes: string[]
  readonly eventTypeIndex: Map<string, number>
  readonly deliveries: DeliveryTable
  readonly requests: RequestTable
  readonly runs: Map<Row, RunState>
  readonly joins: JoinRounds
  readonly held: HeldDeliveries
  readonly exclusives: Exclusives
  readonly turns: Turns
  /** Follows from the journals. */
  readonly waits: WaitIndex
  /** By `<source>/<agent>`. */
  readonly deadLetters: Map<string, DeadLetterState>
  /** Request → ids of its dead letters, in the order of their deaths. Says nothing that `deadLetters` does not. */
  readonly lettersOfRequest: Map<string, Set<string>>
  readonly lanes: Map<string, LaneState>
  readonly budgets: Budgets
  /** What agents that are behind have not been given of requests that are open. */
  readonly owings: Owings
  /** The last event that somebody missed who is behind. */
  lastMissed: Sequence
  marks: Mark[] | undefined
  due: DueHeap | undefined
  /** While a record is folded: runs of whose open gathers a branch has ended. Empty between records. */
  touched: Map<RunState, Row> | undefined
}

export function initialState(): SpineState {
  return {
    at: 0,
    agents: [],
    agentIndex: new Map(),
    subscriptions: new Map(),
    everything: [],
    eventTypes: [''],
    eventTypeIndex: new Map(),
    deliveries: new DeliveryTable(),
    requests: new RequestTable(),
    runs: new Map(),
    joins: new JoinRounds(),
    held: new HeldDeliveries(),
    exclusives: new Exclusives(),
    turns: new Turns(),
    waits: new WaitIndex(),
    deadLetters: new Map(),
    lettersOfRequest: new Map(),
    lanes: new Map(),
    budgets: new Budgets(),
    owings: new Map(),
    lastMissed: 0,
    marks: undefined,
    due: undefined,
    touched: undefined,
  }
}

export function agentNamed(state: SpineState, name: string): AgentState | undefined {
  const index = state.agentIndex.get(name)
  return index === undefined ? undefined : state.agents[index]
}

export function deliveryId(source: Sequence, agent: string): string {
  return `${source}/${agent}`
}
