import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Priority } from '../event/priority.ts'
import type { Amounts } from '../event/amounts.ts'
import type { Duration } from '../kernel/duration.ts'
import type { Json } from '../kernel/json.ts'
import { optionNames } from '../kernel/known-options.ts'
import type { AnyEventType, DataOf, EventOf, InputOf, MatchOf, SpineEvent } from './event-type.ts'
import type { AllOf, BranchesOf, GatherAllOptions, GatheredOf, GatherOptions } from './gather.ts'
import type { Agent, AnyAgent, AnyOptions, InputDataOf, ReplyOf } from './agent.ts'

/** What can be waited for; anything else explains itself in the compile error. */
type Awaitable<Event> = Event extends AnyEventType ? Event : 'waitFor takes an event type: what event() returned'

/** What a step's function is given. */
export interface StepContext {
  /** Fires when the result is no longer wanted: timeout, cancel, preemption, shutdown. Hand it to `fetch`, to a model SDK, … */
  readonly signal: AbortSignal
  /** The same for every try of this step, also after a crash. Hand it to the service that you call. */
  readonly idempotencyKey: string
  /** An earlier try of this `effect` step started and did not succeed, as far as is known: it may have taken effect. */
  readonly maybeDone: boolean
}

/** What a step costs the budget of its request. */
export interface StepCost<Result = unknown> {
  /** Reserved when the step starts; the step is refused when the budget cannot carry it. */
  readonly estimate: Amounts
  /** What it did cost, from its result. Without it, and for a step that failed, the estimate is charged. */
  readonly actual?: (result: Result) => Amounts
}

export const STEP_COST = optionNames<StepCost>({ estimate: true, actual: true })

export interface StepOptions<Result = unknown> {
  /**
   * The step changes the world (books, pays, sends). Its start is durable before the function runs, it is never
   * cancelled once started, and after a crash it runs again with the same `idempotencyKey` and `maybeDone: true`.
   */
  readonly effect?: boolean
  /** Its value outlives a restart for the sake of freshness (`freshness` of the agent). Default false. */
  readonly keep?: boolean
  /** Tries of the function inside this one step. Default 1: a failed step fails the attempt, which is retried. */
  readonly retry?: { readonly attempts: number; readonly backoff?: string }
  /** Bounds one try of the function. Default: none of its own; the agent's `timeout` bounds the whole. */
  readonly timeout?: Duration
  /**
   * Units of your own, such as `{ estimate: { usd: 0.02, tokens: 3000 } }`. The start of the step is then durable before its
   * function runs, and every try is charged, also one that a crash has lost. Default: it costs nothing that is counted.
   */
  readonly cost?: StepCost<Result>
}

export const STEP_OPTIONS = optionNames<StepOptions>({
  effect: true,
  keep: true,
  retry: true,
  timeout: true,
  cost: true,
})

export interface EmitOptions {
  /** Default: the session of the event that is handled. */
  readonly session?: string
  /** What the event is ordered by. Default: the key of the event that is handled, or the `session` given here. */
  readonly key?: string
  /** The event is on the log at once; its deliveries begin this much later, and then take their place in the order. */
  readonly delay?: Duration
}

export const EMIT_OPTIONS = optionNames<EmitOptions>({ session: true, key: true, delay: true })

export interface WaitForOptions<Match = { readonly [key: string]: Json }> {
  /** After this time the wait gives `undefined`. Durable: a restart does not begin it again. */
  readonly within: Duration
  /** Only an event that answers this one: its sequence, or what `ctx.publish` gave. */
  readonly cause?: number | { readonly sequence: number } | undefined
  /** Part of the data: every field in it must be there with an equal value. At most 4 KB. */
  readonly match?: Match
}

export const WAIT_FOR_OPTIONS = optionNames<WaitForOptions>({ within: true, cause: true, match: true })

export interface CallOptions {
  /** The class of the work. Default: that of the caller. While the caller waits, it is never less urgent than that. */
  readonly priority?: Priority
  /** The reply must come within this time; else the work is expired and the call rejects. */
  readonly within?: Duration
  /** Default: the session of the caller. */
  readonly session?: string
  /** The most that the call may spend of the caller's budget, with all that follows from it. What is left returns at its end. */
  readonly budget?: Amounts
}

export const CALL_OPTIONS = optionNames<CallOptions>({ priority: true, within: true, session: true, budget: true })

export interface SessionHandle<State> {
  readonly id: string
  /** The state at the run's basis, with the run's own patches on top. Frozen. */
  readonly state: Readonly<Partial<State>>
  /** A JSON merge patch: `null` deletes a key, objects merge. On the log with the run's commit; last commit wins per key. */
  set(patch: { readonly [Key in keyof State]?: State[Key] | null }): void
}

/** What `ctx.handoff` gives and a handler returns: from then on the target owns the work and the duty to reply. */
export interface Handoff<Reply = unknown> {
  readonly kind: 'handoff'
  readonly target: string
  readonly '~reply'?: Reply
}

type Declared<Event extends AnyEventType, Emits extends AnyEventType> = Event['type'] extends Emits['type']
  ? Event
  : `'${Event['type']}' is not declared: add it to this agent's option 'emits'`

/** A target that does directed work; anything else explains itself in the compile error. */
export type Directed<Target extends AnyAgent> =
  Target extends Agent<string, { readonly input: StandardSchemaV1 }>
    ? Target
    : `agent '${Target['name']}' reacts to events: only an agent with 'input' and 'output' can be called, handed to or started`

/** A handoff moves the duty to reply: the target's reply must fit what this agent owes. */
type Successor<Target extends AnyAgent, Options extends AnyOptions> = Options extends {
  readonly output: StandardSchemaV1
}
  ? ReplyOf<Target> extends StandardSchemaV1.InferInput<Options['output']>
    ? Directed<Target>
    : `agent '${Target['name']}' replies with something else than this agent's 'output'`
  : Directed<Target>

/** An agent that can be called, handed to or routed to. */
export type DirectedAgent = Agent<string, { readonly input: StandardSchemaV1 }>

/** One rule of `ctx.route`: a band of numbers, or a predicate, and where the work goes when it holds. */
export type RouteRule<Value = never> =
  | { readonly atLeast: number; readonly to: DirectedAgent; readonly when?: never; readonly else?: never }
  | {
      readonly when: (value: Value) => boolean
      readonly to: DirectedAgent
      readonly atLeast?: never
      readonly else?: never
    }

/** The last rule: where everything goes that no rule before it has taken. */
export interface RouteElse {
  readonly else: DirectedAgent
  readonly to?: never
}

/** Every agent that the rules name, as a union. */
export type RouteTarget<Rules extends readonly unknown[]> = Rules[number] extends infer Rule
  ? Rule extends { readonly to: infer Target extends DirectedAgent }
    ? Target
    : Rule extends { readonly else: infer Target extends DirectedAgent }
      ? Target
      : never
  : never

export type EmitsOf<Options> = Options extends { readonly emits: readonly (infer Event extends AnyEventType)[] }
  ? Event
  : never
export type StateOf<Options> = Options extends { readonly session: infer Schema extends StandardSchemaV1 }
  ? StandardSchemaV1.InferOutput<Schema>
  : { readonly [key: string]: Json }

/**
 * Everything a handler may do. Between two awaits of these calls a handler is plain, deterministic code: it may run
 * again from the top, and calls that are on the log give their recorded outcome instead of happening again.
 */
export interface Context<Options extends AnyOptions = AnyOptions> {
  /**
   * Runs `run` once and journals what it returns or throws; a replay gives the journaled outcome.
   * At least once until recorded, never again after. The result must be JSON and is frozen.
   *
   * @throws what the function threw (name, message, code), SPINE_STEP_TIMEOUT, SPINE_PAYLOAD_TOO_LARGE (900 KB),
   *   SPINE_STEP_NAME when two parallel steps share a name, SPINE_BUDGET_EXHAUSTED when the budget cannot carry its `cost`
   *   (`value`: unit, limit, spent, wanted), SPINE_BUDGET_INVALID.
   * @example const draft = await ctx.step('draft', ({ signal }) => model.write(evt.data.text, { signal }))
   */
  step<Result>(
    name: string,
    run: (step: StepContext) => Result | Promise<Result>,
    options?: StepOptions<Result>,
  ): Promise<Result>
  /** Puts an event on the log together with the end of the run: subscribers start when, and only if, the run ended well. */
  emit<Event extends AnyEventType>(
    type: Declared<Event, EmitsOf<Options>>,
    data: InputOf<Event>,
    options?: EmitOptions,
  ): void
  /** Puts an event on the log now, once, whatever becomes of the run. */
  publish<Event extends AnyEventType>(
    type: Declared<Event, EmitsOf<Options>>,
    data: InputOf<Event>,
    options?: EmitOptions,
  ): Promise<{ readonly sequence: number; readonly id: string }>
  /**
   * Asks another agent and waits for its reply, durably: the run may be suspended for days, holding no slot.
   *
   * @throws SPINE_CALL_FAILED with the agent and the cause when it died, expired, was cancelled or removed;
   *   SPINE_BUDGET_EXHAUSTED when the caller has less than `budget`, SPINE_BUDGET_INVALID.
   */
  call<Target extends AnyAgent>(
    target: Directed<Target>,
    input: InputDataOf<Target>,
    options?: CallOptions,
  ): Promise<ReplyOf<Target>>
  /** `return ctx.handoff(target, input)`: the target owns what follows, and the duty to reply moves with it. */
  handoff<Target extends AnyAgent>(target: Successor<Target, Options>, input: InputDataOf<Target>): Handoff<never>
  /**
   * Chooses where work goes, by the first rule that holds: `{ atLeast, to }` for numbers not below it, `{ when, to }` for what
   * a predicate accepts, and at the end `{ else }`. A target that is paused, absent or unknown, or has as much open work as
   * its `maxPending` allows, is passed over; `else` is taken in any case. Decided once and recorded, with every rule that was
   * rejected and why: a replay gives the recorded target. The result goes to `ctx.call` or `ctx.handoff`, whose input must
   * then fit every target.
   *
   * `NaN`, `null`, a missing score, and whatever else is no number, fall through every band.
   *
   * @throws SPINE_OPTION_INVALID: no `else` at the end, bands that do not descend, more than 64 rules, a rule that cannot be
   *   read; SPINE_AGENT_INVALID for a target that reacts to events; what a predicate threw.
   * @example
   * const target = await ctx.route(draft.confidence, [{ atLeast: 0.9, to: AutoReply }, { else: Person }])
   * return ctx.handoff(target, { question: evt.data.text })
   */
  route<Value, const Rules extends readonly [...RouteRule<Value>[], RouteElse]>(
    value: Value,
    rules: Rules,
  ): Promise<RouteTarget<Rules>>
  /** A durable pause: no slot, no attempt, no timeout is spent, and a restart does not reset it. */
  sleep(duration: Duration): Promise<void>
  /**
   * Waits for several branches at once. A branch is a promise that this `ctx` returned, or a function that is given a
   * `ctx` of its own, in which it may use the same step names as its neighbours. At most 256.
   *
   * Without `within` and `atLeast`, `'all'` gives the values by key and rejects as `Promise.all` does. Every other form
   * never rejects: it says what is there, what is missing and why.
   *
   * @throws SPINE_GATHER_BRANCH for a promise that is not from this `ctx`, SPINE_OPTION_INVALID for a quorum or `atLeast`
   *   that the branches cannot reach and for more than 256 of them, SPINE_DURATION_INVALID.
   * @example
   * const { values, missing } = await ctx.gather(
   *   { price: ctx.call(Pricing, item), stock: ctx.call(Stock, item) },
   *   { until: 'settled', within: '10s' },
   * )
   */
  gather<const Branches extends BranchesOf<Context<Options>>>(
    branches: Branches,
    options?: GatherAllOptions,
  ): Promise<AllOf<Branches>>
  gather<const Branches extends BranchesOf<Context<Options>>>(
    branches: Branches,
    options: GatherOptions,
  ): Promise<GatheredOf<Branches>>
  /**
   * Waits for an event of this session, durably: no slot, no attempt, no timeout is spent, however long it takes. Gives
   * the first match after the event that is handled which no wait of this run has taken, also when it came before the
   * wait, and in whatever order answers come; `undefined` when `within` has passed. The agent's own delivery of that event, if any, ends as
   * `taken` unless it has begun.
   *
   * @throws SPINE_EVENT_INVALID, SPINE_DURATION_INVALID, SPINE_OPTION_INVALID, SPINE_PAYLOAD_TOO_LARGE (match, 4 KB)
   * @example
   * const asked = await ctx.publish(ApprovalAsked, { order: evt.data.id })
   * const answer = await ctx.waitFor(ApprovalGiven, { cause: asked, within: '3d' })
   */
  waitFor<Event>(
    type: Awaitable<Event>,
    options: WaitForOptions<MatchOf<DataOf<Extract<Event, AnyEventType>>>>,
  ): Promise<EventOf<Extract<Event, AnyEventType>> | undefined>
  readonly session: SessionHandle<StateOf<Options>>
  /** What this work may still spend, by unit; a unit without a limit is left out. Journaled: the same on every replay. */
  readonly budget: { remaining(): Promise<Amounts> }
  /**
   * Charges the budget for what happened without a step. Never refused, because it has happened; on the log with whatever the
   * run writes next, once across replays.
   *
   * @throws SPINE_BUDGET_INVALID
   */
  spend(amounts: Amounts): void
  /** The original event of the request, payload included: what the user asked for. */
  readonly request: SpineEvent
  /** When the request expires; `undefined` without a deadline. */
  readonly deadline: Date | undefined
  /** How urgent this work is. What waits for it may be more urgent, and is not told here. */
  readonly priority: Priority
  /** Distance of this run from the root of the request. */
  readonly hops: number
  /** Fires when the run should stop: timeout, cancel, preemption, shutdown. */
  readonly signal: AbortSignal
  /** 1 for the first attempt. */
  readonly attempt: number
  /** The time of the last outcome that this run was given: the same on every replay. */
  now(): Date
  /** A number in [0, 1): the same on every replay. */
  random(): number
  /** A UUID: the same on every replay. */
  uuid(): string
  /**
   * Guards a change of a handler while runs of the old code are under way: `true` for a run that comes to this point
   * for the first time with the new code, `false` for one that had passed it before. Recorded, so the answer stays.
   *
   * @example if (ctx.patched('check-credit')) await ctx.step('credit', () => bank.check(evt.data.customer))
   */
  patched(id: string): boolean
}
