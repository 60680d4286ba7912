import type { StandardSchemaV1 } from '@standard-schema/spec'
import { durationMs, type Duration } from '../kernel/duration.ts'
import { isPriority, PRIORITIES, type Priority } from '../event/priority.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { fixOfImport, shown } from '../kernel/shown.ts'
import { type Protection, protectionOf } from './protection.ts'
import type { Context, Handoff } from './context.ts'
import { isStandardSchema, type AnyEventType, type EventOf, type SpineEvent } from './event-type.ts'
import { type AnyJoin, checkTypes, isJoin, type JoinedEventOf } from './join.ts'
import type { Json } from '../kernel/json.ts'
import { requireAgentName, requireExclusiveName } from './agent-name.ts'
import { isEventType } from './require-event-type.ts'
import { type RetryOptions, retryPolicy } from './retry-policy.ts'
import { requireWholeNumber } from './require-whole-number.ts'

export type Order = 'session' | 'key' | 'none'
export interface FreshnessOptions {
  readonly newer: readonly AnyEventType[]
  readonly then: 'hold' | 'cancel' | 'restart'
}

export interface PreemptOptions {
  readonly at?: 'signal' | 'step' | 'never'
  readonly then?: 'resume' | 'restart'
}
export type OnFailure = 'skip' | 'block' | 'park'

interface CommonOptions extends Protection {
  /** Recorded with every run. Default `'1'`. */
  readonly version?: string | number
  /** The event types that this agent may emit or publish. Default: none. */
  readonly emits?: readonly AnyEventType[]
  /** Schema of the session state that this agent reads and sets. Default: any JSON object. */
  readonly session?: StandardSchemaV1
  /** Handlers of this agent that run at once in one process. Default 16, bounds 1 to 10,000. */
  readonly concurrency?: number
  /**
   * What runs one at a time, in sequence order. Default: events and handoffs of one `'key'`; calls and starts `'none'`.
   * Setting it applies to all work of the agent.
   */
  readonly order?: Order
  /**
   * What a dead delivery does to the key it held. `'skip'` (default): the key goes on. `'block'`: nothing of the key
   * starts until the dead letter is redriven or discarded. `'park'`: later ones of the key join the dead letters, and one
   * redrive brings all of them back in order. Unordered work has no key to hold.
   */
  readonly onFailure?: OnFailure
  /** Default 10 attempts, `'500ms..1m'` with full jitter (a random delay up to the doubling bound). */
  readonly retry?: RetryOptions
  /** Bounds one attempt's running time, suspended time not counted. Default `'5m'`. */
  readonly timeout?: Duration
  /**
   * With that many deliveries of this agent open, calls and starts are refused with SPINE_QUEUE_FULL: those of class 'low'
   * at three quarters of it, 'background' at half, 'critical' never. Events and handoffs
   * wait instead: they never block who sends them. Default 10,000, bounds 1 to 1,000,000.
   */
  readonly maxPending?: number
  /** The class of all work of this agent, and of what it emits and calls. Default: what the work inherits. */
  readonly priority?: Priority
  /**
   * The pool of slots that it runs in: see `pools` of createSpine. More urgent work takes slots from less urgent work of the
   * same pool only. Default `'default'`.
   */
  readonly pool?: string
  /**
   * How a run makes room for more urgent work when every slot is taken. `at: 'signal'` (default): at once, the signal of its
   * steps fires. `'step'`: before its next step. `'never'`. `then: 'resume'` (default): it goes on from its journal, and joins
   * a step that still runs. `'restart'`: from the top, on what the log holds then. A step with `effect` is always finished
   * first. After 3 times a run keeps its slot.
   */
  readonly preempt?: PreemptOptions
  /**
   * What a newer event of one of these types, in the same session and of another request, does to work of this agent that it
   * overtakes. `'hold'`: it stands still at its next step until the newer request has given work to this agent, which
   * supersedes it, or has come to rest, and then goes on. `'cancel'`: it is superseded at once. `'restart'`: it begins anew on
   * what the log holds then, without its journal but for effects and steps with `keep`; 3 times at most. An effect never
   * starts on an overtaken turn; one that has started is finished. Default: work is never overtaken.
   */
  readonly freshness?: FreshnessOptions
  /**
   * Agents that give the same name never work at once on one session: a delivery holds the name from its first start to its
   * end, also while it is suspended, backs off or has made room for others. What has not started holds nothing. A call from
   * inside the hold runs inside it; other circles of waits are rejected with SPINE_CALL_CYCLE. A name is formed like that of
   * an agent. Default: none.
   */
  readonly exclusive?: string
  /**
   * Names what the work is about: `(evt) => evt.data.orderId`. Asked once, before a delivery starts, and recorded: the second
   * delivery of this agent with the same key is skipped, for the life of the log, whatever became of the first. A call that is
   * skipped rejects with SPINE_CALL_FAILED and the cause SPINE_DUPLICATE. The key is a text of 1 to 256 characters.
   */
  readonly dedupe?: unknown
}

/** One type, several, every event but its own (`'*'`), or several as one (`join`). */
export type Subscription = AnyEventType | readonly AnyEventType[] | '*' | AnyJoin

interface SubscriptionOptions {
  /**
   * Starts a delivery only when its session has had an event of each of these types, before or after the event that it is
   * given. Until then it holds its key. At most 32 types. Default: none.
   */
  readonly after?: readonly AnyEventType[]
  /**
   * It only looks on: nobody waits for it (`settled`), no cancel and no deadline of the request ends it. It is durable,
   * retried and ordered like others; what it emits is part of the request. Default false.
   */
  readonly observes?: boolean
  /**
   * Which events an agent is given that is registered for the first time: `'now'` (default), those from then on;
   * `'beginning'`, all that the log retains; a number, those from that sequence on (SPINE_TRIMMED when it is not retained).
   * Not with `join`. What came before is given to it in order, and `agents.list()` shows that it is behind. A name that has
   * been registered before keeps its place.
   */
  readonly from?: 'now' | 'beginning' | number
}

export interface ReactionOptions extends CommonOptions, SubscriptionOptions {
  /** The event type, or types, that it reacts to: also `'*'`, every event but its own, and `join([A, B], { per })`. */
  readonly on: Subscription
  readonly input?: never
  readonly output?: never
}

export interface DirectedOptions extends CommonOptions {
  readonly on?: never
  readonly after?: never
  readonly observes?: never
  readonly from?: never
  /** What it is asked: `evt.data` of the handler. */
  readonly input: StandardSchemaV1
  /** What it replies: the return value of the handler. */
  readonly output: StandardSchemaV1
}

export type AgentOptions = ReactionOptions | DirectedOptions
/** The widest shape: what the library itself works with. */
export type AnyOptions = CommonOptions &
  SubscriptionOptions & {
    readonly on?: Subscription
    readonly input?: StandardSchemaV1
    readonly output?: StandardSchemaV1
  }

const AGENT_OPTIONS = optionNames<AnyOptions>({
  on: true,
  input: true,
  output: true,
  version: true,
  emits: true,
  session: true,
  concurrency: true,
  pool: true,
  order: true,
  onFailure: true,
  retry: true,
  timeout: true,
  maxPending: true,
  priority: true,
  preempt: true,
  freshness: true,
  exclusive: true,
  dedupe: true,
  after: true,
  observes: true,
  from: true,
  rate: true,
  breaker: true,
})
const FRESHNESS_OPTIONS = optionNames<FreshnessOptions>({ newer: true, then: true })
const PREEMPT_OPTIONS = optionNames<PreemptOptions>({ at: true, then: true })

/** The address of an agent and, once it has a handler, the agent itself. */
export interface Agent<Name extends string = string, Options extends AnyOptions = AnyOptions> {
  readonly name: Name
  readonly options: Options
  /** `undefined` for a reference: an address whose code is elsewhere. */
  readonly handler: AnyHandler | undefined
  /** Implements a reference. The reference itself stays as it is. */
  handle(handler: Handler<Options>): Agent<Name, Options>
}

export type AnyAgent = Pick<Agent, 'name' | 'options' | 'handler'>
export type AnyHandler = (evt: SpineEvent<string, never>, ctx: never) => unknown

/** What the target may be asked. Of a union of targets: what every one of them may be asked. */
export type InputDataOf<Target> = (Target extends unknown ? (input: InputOfOne<Target>) => void : never) extends (
  input: infer Input,
) => void
  ? Input
  : never
type InputOfOne<Target> = Target extends {
  readonly options: { readonly input: infer Schema extends StandardSchemaV1 }
}
  ? StandardSchemaV1.InferInput<Schema>
  : never
export type ReplyOf<Target> = Target extends {
  readonly options: { readonly output: infer Schema extends StandardSchemaV1 }
}
  ? StandardSchemaV1.InferOutput<Schema>
  : never

type HandledEvent<Options> = Options extends { readonly on: infer On }
  ? On extends '*'
    ? SpineEvent<string, Json>
    : On extends AnyJoin
      ? JoinedEventOf<On>
      : On extends readonly (infer Event)[]
        ? EventOf<Event>
        : EventOf<On>
  : Options extends { readonly input: infer Schema extends StandardSchemaV1 }
    ? SpineEvent<string, StandardSchemaV1.InferOutput<Schema>>
    : never

type HandlerResult<Options> = Options extends { readonly output: infer Schema extends StandardSchemaV1 }
  ? StandardSchemaV1.InferInput<Schema> | Handoff<StandardSchemaV1.InferOutput<Schema>>
  : void | Handoff

export type Handler<Options extends AnyOptions> = (
  evt: HandledEvent<Options>,
  ctx: Context<Options>,
) => HandlerResult<Options> | Promise<HandlerResult<Options>>

/** One kind of work per agent, and only options that exist; what is wrong is explained in the type of the option at fault. */
type Checked<Options> = keyof AnyOptions extends keyof Options
  ? // Not inferred yet: asked for the type of a function among the options, the compiler looks here first.
    Options
  : Options extends { readonly on: unknown; readonly input: unknown }
    ? Fault<
        Options,
        'input',
        "an agent reacts ('on') or does directed work ('input' and 'output'), never both: remove one"
      >
    : Options extends { readonly on: unknown; readonly output: unknown }
      ? Fault<
          Options,
          'output',
          "an agent that reacts ('on') returns no reply: remove 'output', or replace 'on' by 'input'"
        >
      : Options extends { readonly input: unknown; readonly after: unknown }
        ? Fault<Options, 'after', "directed work starts when it is asked for: 'after' is for agents that react ('on')">
        : Options extends { readonly input: unknown; readonly observes: unknown }
          ? Fault<Options, 'observes', "directed work is waited for: 'observes' is for agents that react ('on')">
          : Options extends { readonly input: unknown; readonly output: unknown } | { readonly on: unknown }
            ? Stranger<Options> extends never
              ? Options
              : Omit<Options, Stranger<Options>> & {
                  readonly [Name in Stranger<Options>]: `an agent has no option '${Name}'`
                }
            : Options extends { readonly input: unknown }
              ? Options & { readonly output: StandardSchemaV1 }
              : Options extends { readonly output: unknown }
                ? Options & { readonly input: StandardSchemaV1 }
                : Options & { readonly on: AnyEventType }

/** Options whose functions are given the event: what it is follows from `on` or `input`, which are inferred by themselves. */
type Named<On, Input> = Dedupes<On, Input> & Rates<On, Input>
type Dedupes<On, Input> =
  | {
      readonly on?: On
      readonly input?: Input
      readonly dedupe: (evt: GivenEvent<On, Input>) => string
    }
  | { readonly dedupe?: never }
type Rates<On, Input> =
  | {
      readonly on?: On
      readonly input?: Input
      readonly rate: {
        readonly limit: number
        readonly per: Duration
        readonly key: (evt: GivenEvent<On, Input>) => string
      }
    }
  | { readonly rate?: { readonly limit: number; readonly per: Duration; readonly key?: never } }
type GivenEvent<On, Input> = unknown extends On ? HandledEvent<{ input: Input }> : HandledEvent<{ on: On }>

type Stranger<Options> = Exclude<keyof Options & string, keyof AnyOptions>
type Fault<Options, Key extends PropertyKey, Message extends string> = Omit<Options, Key> & {
  readonly [Name in Key]: Message
}

/**
 * Declares an agent: with `on` it reacts to events, with `input` and `output` it does directed work.
 * Without a handler it is a reference, a typed address for agents that name each other or live elsewhere.
 *
 * @throws SPINE_AGENT_INVALID, SPINE_DURATION_INVALID
 * @example
 * const scheduling = agent('scheduling', { on: Requirements, emits: [Booked] }, async (evt, ctx) => {
 *   await ctx.step('book', ({ idempotencyKey }) => calendar.book(evt.data, idempotencyKey), { effect: true })
 *   ctx.emit(Booked, evt.data)
 * })
 */
export function agent<const Name extends string, const Options extends AnyOptions, const On = unknown, Input = unknown>(
  name: Name,
  options: Checked<Options> & Named<On, Input>,
): Agent<Name, Options>
export function agent<const Name extends string, const Options extends AnyOptions, const On = unknown, Input = unknown>(
  name: Name,
  options: Checked<Options> & Named<On, Input>,
  handler: Handler<Options>,
): Agent<Name, Options>
export function agent<Name extends string, Options extends AnyOptions>(
  name: Name,
  options: Options,
  handler?: Handler<Options>,
): Agent<Name, Options> {
  checkOptions(name, options, handler)
  return Object.freeze({
    name,
    options,
    handler: handler as AnyHandler | undefined,
    handle: (implementation: Handler<Options>) => agent<Name, Options>(name, options as never, implementation),
  })
}

/** Event types of `on`, however it was written; none for `'*'`, which names no type. */
export function subscriptionsOf({ on }: AnyOptions): readonly AnyEventType[] {
  if (on === undefined || on === '*') return []
  if (isJoin(on)) return on.types
  return Array.isArray(on) ? (on as readonly AnyEventType[]) : [on as AnyEventType]
}

function checkOptions(name: string, options: AnyOptions, handler: unknown): void {
  const what = `Agent '${name}'`
  requireAgentName(name)
  if (typeof options !== 'object' || options === null)
    throw invalid(`${what} has no options.`, 'Write agent(name, { on: Inquiry }, handler).', shown(options))
  if (handler !== undefined && typeof handler !== 'function')
    throw invalid(
      `${what}: its handler is ${shown(handler)}.`,
      'Pass a function (evt, ctx) => …, or nothing for a reference.',
    )
  requireKnownOptions(options, AGENT_OPTIONS, what)
  const reacts = options.on !== undefined
  const directed = options.input !== undefined || options.output !== undefined
  if (reacts === directed) {
    throw invalid(
      `${what} must have either 'on', or 'input' and 'output'.`,
      fixOfImport(
        'on' in options ? options.on : options,
        "Reactions have 'on'; work that is called, handed to or started has 'input' and 'output'.",
      ),
    )
  }
  if (directed && !(isStandardSchema(options.input) && isStandardSchema(options.output))) {
    throw invalid(
      `${what}: 'input' and 'output' must both be schemas.`,
      'Pass a Standard Schema such as z.object({…}).',
    )
  }
  checkEvents(what, options)
  for (const option of ['after', 'observes', 'from'] as const) {
    if (reacts || options[option] === undefined) continue
    throw invalid(
      `${what} has '${option}' without 'on'.`,
      'Only agents that react to events have it; directed work starts when it is asked for.',
    )
  }
  if (options.from !== undefined) requireFrom(options, what)
  if (options.after !== undefined) checkTypes(`${what}: after`, options.after)
  if (options.observes !== undefined && typeof options.observes !== 'boolean')
    throw invalid(`${what}: observes is no boolean.`, 'Use true or false.', options.observes)
  if (options.concurrency !== undefined)
    requireWholeNumber(options.concurrency, limits.concurrencyMax, `${what}: concurrency`)
  if (options.maxPending !== undefined)
    requireWholeNumber(options.maxPending, limits.pendingCallsMax, `${what}: maxPending`)
  if (options.order !== undefined && !['session', 'key', 'none'].includes(options.order)) {
    throw invalid(`${what}: order '${options.order}' is unknown.`, "Use 'session', 'key' or 'none'.", options.order)
  }
  if (options.onFailure !== undefined && !['skip', 'block', 'park'].includes(options.onFailure)) {
    throw invalid(
      `${what}: onFailure '${options.onFailure}' is unknown.`,
      "Use 'skip', 'block' or 'park'.",
      options.onFailure,
    )
  }
  if (options.dedupe !== undefined && typeof options.dedupe !== 'function')
    throw invalid(`${what}: dedupe is not a function.`, 'Write dedupe: (evt) => evt.data.orderId.', options.dedupe)
  if (options.priority !== undefined && !isPriority(options.priority))
    throw invalid(
      `${what}: there is no priority ${JSON.stringify(options.priority)}.`,
      `Use one of ${PRIORITIES.map((priority) => `'${priority}'`).join(', ')}.`,
      options.priority,
    )
  if (options.pool !== undefined && (typeof options.pool !== 'string' || options.pool === ''))
    throw invalid(
      `${what}: pool is no name.`,
      "Use a name that createSpine({ pools }) has, or 'default'.",
      options.pool,
    )
  if (options.exclusive !== undefined) requireExclusiveName(what, options.exclusive)
  checkPreempt(what, options.preempt)
  checkFreshness(what, options.freshness)
  protectionOf(options, what)
  if (options.timeout !== undefined) durationMs(options.timeout, `${what}: timeout`)
  retryPolicy(options.retry, what)
}

function checkEvents(what: string, options: AnyOptions): void {
  const { on, emits = [] } = options
  if (!Array.isArray(emits)) throw invalid(`${what}: emits is ${shown(emits)}.`, 'Write emits: [Booked].')
  const events = [...subscriptionsOf(options), ...(emits as readonly unknown[])]
  const isEmpty = on !== undefined && on !== '*' && subscriptionsOf(options).length === 0
  if (!isEmpty && events.every(isEventType)) return
  const stranger = isEmpty ? on : events.find((candidate) => !isEventType(candidate))
  throw invalid(
    `${what}: 'on' and 'emits' take what event() returned.`,
    fixOfImport(stranger, "Declare it first: const Inquiry = event('inquiry.received', schema)."),
    shown(stranger),
  )
}

function checkPreempt(what: string, preempt: PreemptOptions | undefined): void {
  if (preempt !== undefined) requireKnownOptions(preempt, PREEMPT_OPTIONS, `${what}: preempt`)
  const { at = 'signal', then = 'resume' } = preempt ?? {}
  if (!['signal', 'step', 'never'].includes(at))
    throw invalid(`${what}: preempt.at '${at}' is unknown.`, "Use 'signal', 'step' or 'never'.", at)
  if (!['resume', 'restart'].includes(then))
    throw invalid(`${what}: preempt.then '${then}' is unknown.`, "Use 'resume' or 'restart'.", then)
}

function checkFreshness(what: string, freshness: FreshnessOptions | undefined): void {
  if (freshness === undefined) return
  requireKnownOptions(freshness, FRESHNESS_OPTIONS, `${what}: freshness`)
  const { newer, then } = freshness
  checkTypes(`${what}: freshness.newer`, newer)
  if (!['hold', 'cancel', 'restart'].includes(then))
    throw invalid(`${what}: freshness.then '${then}' is unknown.`, "Use 'hold', 'cancel' or 'restart'.", then)
}

function requireFrom({ from, on }: AnyOptions, what: string): void {
  if (isJoin(on) && from !== 'now')
    throw invalid(
      `${what} has 'from' with a join.`,
      'Join what comes from now on; read what came before with spine.log.',
    )
  if (from === 'now' || from === 'beginning' || (Number.isSafeInteger(from) && (from as number) >= 1)) return
  throw new SpineError('SPINE_OPTION_INVALID', `${what}: from is ${shown(from)}.`, {
    value: from,
    fix: "Use 'now', 'beginning', or the sequence of the first event that it shall be given.",
  })
}

function invalid(message: string, fix: string, value?: unknown): SpineError {
  return new SpineError('SPINE_AGENT_INVALID', message, value === undefined ? { fix } : { fix, value })
}
