/**
 * The composition root: the `Spine` that users hold, and `createSpine` which puts engine, fold and agents together.
 *
 * Not its job: any decision (`coordination/`) and any waiting (`runtime/`).
 */
import type { AnyAgent, InputDataOf, ReplyOf } from './agent/agent.ts'
import type { Directed } from './agent/context.ts'
import type { AnyEventType, DataOf, EventOf, InputOf, MatchOf } from './agent/event-type.ts'
import type { SpineState } from './coordination/state.ts'
import type { Engine } from './engine/engine.ts'
import type { Amounts } from './event/amounts.ts'
import type { Priority } from './event/priority.ts'
import type { LogRecord } from './event/record.ts'
import { assert } from './kernel/assert.ts'
import type { Clock } from './kernel/clock.ts'
import { type Duration, durationMs } from './kernel/duration.ts'
import { SpineError } from './kernel/errors.ts'
import type { Json } from './kernel/json.ts'
import { type OptionNames, optionNames, requireKnownOptions } from './kernel/known-options.ts'
import type { Random } from './kernel/random.ts'
import { shown } from './kernel/shown.ts'
import { type AgentInfo, Agents } from './runtime/agents.ts'
import { type DeadLetter, type DeadLetterDetail, DeadLetters } from './runtime/dead-letters.ts'
import { holdProcess, releaseProcess } from './runtime/hold-process.ts'
import { HostedAgents } from './runtime/hosted-agent.ts'
import { checkPosition, type LogQuery, readLog, tailLog, type WaitOptions, waitForEvent } from './runtime/read-log.ts'
import { type Message, type Published, Publisher, type PublishOptions, type StartOptions } from './runtime/publisher.ts'
import { type RequestInfo, Requests, type Settled } from './runtime/requests.ts'
import type { Interception } from './runtime/run-host.ts'
import { Runtime } from './runtime/runtime.ts'
import { systemClock } from './runtime/system-clock.ts'
import { systemRandom } from './runtime/system-random.ts'
import { type Logger, stderrLogger } from './runtime/logger.ts'
import { type WorkHandle, workHandle } from './runtime/work-handle.ts'

export interface SpineOptions {
  /** Where the log lives. Default: SQLite at `.spine/log.db`. */
  readonly engine?: Engine
  /** The agents that this process hosts. References have no handler and do not belong here. */
  readonly agents: readonly AnyAgent[]
  /**
   * Slots that agents share, by name: `{ model: 8 }` lets 8 handlers with `pool: 'model'` run at once in this process. More
   * urgent work takes them from less urgent work. An agent without `pool` is in `'default'`, which has 64 unless it is named
   * here. 1 to 10,000 each, at most 64 pools.
   */
  readonly pools?: { readonly [name: string]: number }
  /** Where warnings go. Default: one line each to stderr. */
  readonly logger?: Logger
  readonly clock?: Clock
  readonly random?: Random
}

const SPINE_OPTIONS = optionNames<SpineOptions>({
  agents: true,
  engine: true,
  pools: true,
  logger: true,
  clock: true,
  random: true,
})

export interface SessionAt {
  readonly id: string
  /** The log position that the state tells of. */
  readonly at: number
  readonly state: { readonly [key: string]: Json }
}

export interface Spine {
  /**
   * Puts an event on the log. Resolves when it is durable and this process has folded it.
   *
   * @throws SPINE_SCHEMA_INVALID, SPINE_PAYLOAD_NOT_JSON, SPINE_PAYLOAD_TOO_LARGE, SPINE_PAYLOAD_TOO_DEEP,
   *   SPINE_KEY_REUSED, SPINE_DEADLINE_PAST, SPINE_LOG_BUSY, SPINE_LOG_FULL, SPINE_LOG_FAILED, SPINE_CLOSED
   * @example const { request } = await spine.publish(Inquiry, { text: 'a haircut' }, { session: 'customer-42' })
   */
  publish<Event extends AnyEventType>(type: Event, data: InputOf<Event>, options?: PublishOptions): Promise<Published>
  /** Many events, in order. With `atomic: true` all of them in one commit, or none; at most 256. */
  publishAll(messages: readonly Message[], options?: { readonly atomic?: boolean }): Promise<readonly Published[]>
  /** Gives directed work to an agent from outside. */
  start<Target extends AnyAgent>(
    target: Directed<Target>,
    input: InputDataOf<Target>,
    options?: StartOptions,
  ): Promise<WorkHandle<ReplyOf<Target>>>
  /** Waits until nothing of the request is open at hosted agents. Never hangs: default bound 60 s, then `open`. */
  settled(request: string, options?: { readonly within?: Duration }): Promise<Settled>
  /** The first matching event; `undefined` when the bound passes. With `request`: also one already on the log. */
  waitFor<Event extends AnyEventType>(
    type: Event,
    options: WaitOptions<MatchOf<DataOf<Event>>>,
  ): Promise<EventOf<Event> | undefined>
  readonly log: {
    /** Records in order, read page by page. */
    read(query?: LogQuery): AsyncIterableIterator<LogRecord>
    /** Records above `after` (default: from now on), then those to come, until the loop is left or the spine closed. */
    tail(options?: { readonly after?: number }): AsyncIterableIterator<LogRecord>
  }
  readonly sessions: {
    /** The state of a session, now or as it was at a sequence. */
    get(id: string, options?: { readonly at?: number }): Promise<SessionAt>
  }
  readonly agents: {
    list(): readonly AgentInfo[]
    /** Gives up an absent agent; its open work ends. @throws SPINE_AGENT_UNKNOWN, SPINE_AGENT_HOSTED */
    remove(name: string): Promise<void>
    /** Moves an absent agent's open work and subscriptions to another name. @throws SPINE_AGENT_UNKNOWN, SPINE_AGENT_HOSTED */
    rename(name: string, to: string): Promise<void>
    /**
     * The agent starts nothing new, here and after a restart, until it is resumed: no delivery, and no further attempt at
     * one that failed. What is running or suspended goes on, events wait in their order, deadlines pass. Also for an absent
     * agent. Twice is once.
     *
     * @throws SPINE_AGENT_UNKNOWN
     * @example await spine.agents.pause('billing', 'the bank is down')
     */
    pause(name: string, why?: string): Promise<void>
    /** What waited starts, in its order; also what an open breaker held, which it closes. @throws SPINE_AGENT_UNKNOWN */
    resume(name: string): Promise<void>
  }
  readonly requests: {
    /** @throws SPINE_REQUEST_UNKNOWN */
    get(id: string): Promise<RequestInfo>
    /** One record ends all that is open; a step with `effect` that has started is finished first. Twice is fine. */
    cancel(id: string, why: string): Promise<void>
    /**
     * Gives the request another class: what is open of it, queued or running, and what will follow, except for agents that
     * have a `priority` of their own. A record; what others inherited from it stays with them until they end. Nothing open:
     * nothing happens.
     *
     * @throws SPINE_REQUEST_UNKNOWN, SPINE_OPTION_INVALID
     */
    setPriority(id: string, priority: Priority, why?: string): Promise<void>
    /**
     * Adds to the limits of the request's budget, and lets the runs go on that stand paused for want of it: each tries the
     * step again that was refused. Units without a limit stay without one. A record, with the reason; each call adds. With an
     * `idempotencyKey`, which is scoped to the request and kept for life, it adds once however often it is tried again.
     *
     * @throws SPINE_REQUEST_UNKNOWN, SPINE_BUDGET_INVALID, SPINE_KEY_REUSED for the same key with other amounts
     * @example await spine.requests.raiseBudget(request, { usd: 2 }, 'worth it')
     */
    raiseBudget(
      id: string,
      amounts: Amounts,
      why?: string,
      options?: { readonly idempotencyKey?: string },
    ): Promise<void>
    /**
     * Starts over the runs of the request that stand paused, after a `SPINE_REPLAY_MISMATCH` say: each begins from the top
     * on a new basis, with nothing kept of its journal but the effects that had started. Returns their ids.
     *
     * @throws SPINE_REQUEST_UNKNOWN
     */
    restart(id: string, why: string): Promise<readonly string[]>
  }
  readonly deadLetters: {
    list(options?: { readonly request?: string; readonly agent?: string }): Promise<readonly DeadLetter[]>
    /** @throws SPINE_DEAD_LETTER_UNKNOWN */
    get(id: string): Promise<DeadLetterDetail>
    /** Back to work, with the journal kept: recorded steps do not run again. Without the deadline it had. Twice is one redrive. */
    redrive(id: string): Promise<void>
    discard(id: string, why?: string): Promise<void>
  }
  /** Starts nothing new, lets running handlers end within `drain` (default 10 s), then closes the engine. */
  close(options?: { readonly drain?: Duration }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const runtimes = new WeakMap<Spine, Runtime>()

/**
 * The state that this process has folded from the log, live: read it, never change it. An observer that folds the same
 * records with `evolve` has the same `encodeState`.
 */
export function stateOf(spine: Spine): SpineState {
  const runtime = runtimes.get(spine)
  assert(runtime !== undefined, 'stateOf was given something that createSpine did not make')
  return runtime.state
}

/** Where the log lives when nobody says otherwise. */
const DEFAULT_PATH = '.spine/log.db'
const DRAIN_DEFAULT = '10s'
const NONE = {}
const WITHIN_OPTION = optionNames<{ readonly within?: Duration }>({ within: true })
const AT_OPTION = optionNames<{ readonly at?: number }>({ at: true })
const AFTER_OPTION = optionNames<{ readonly after?: number }>({ after: true })
const DRAIN_OPTION = optionNames<{ readonly drain?: Duration }>({ drain: true })

/**
 * Opens a spine: takes the log, folds it, registers the agents, and goes on with whatever was open.
 *
 * Resolves when the registrations are durable and folded. Absent agents with open work are named in a warning.
 *
 * @throws SPINE_AGENT_INVALID, SPINE_EVENT_INVALID, SPINE_ENGINE_LOCKED, SPINE_LOG_NEWER, SPINE_LOG_CORRUPT, SPINE_NO_SQLITE
 * @example const spine = await createSpine({ engine: sqlite('./spine.db'), agents: [inquiry, scheduling] })
 */
export async function createSpine(options: SpineOptions): Promise<Spine> {
  return (await openSpine(options)).spine
}

/** `createSpine`, and what is inside it, for the test kit. */
export async function openSpine(
  options: SpineOptions,
  interception?: Interception,
): Promise<{ readonly spine: Spine; readonly runtime: Runtime }> {
  checkSpineOptions(options)
  const hosted = new HostedAgents(options.agents)
  const engine = options.engine ?? (await defaultEngine())
  const runtime = new Runtime({
    engine,
    hosted,
    logger: options.logger ?? stderrLogger,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom(),
    interception,
    pools: options.pools,
  })
  await engine.open()
  try {
    await runtime.start()
  } catch (error) {
    await engine.close()
    throw error
  }
  return { spine: spineOf(runtime), runtime }
}

/** `what`: the function that was given them. @throws SPINE_OPTION_INVALID */
export function checkSpineOptions(
  options: Pick<SpineOptions, 'agents' | 'engine'>,
  what = 'createSpine',
  names: OptionNames = SPINE_OPTIONS,
): void {
  requireKnownOptions(options, names, what)
  const { agents, engine } = options
  if (!Array.isArray(agents)) {
    throw new SpineError('SPINE_OPTION_INVALID', `${what}: agents is ${shown(agents)}, and no list.`, {
      value: agents,
      fix: `Write ${what}({ agents: [inquiry, scheduling] }); with [] it hosts none.`,
    })
  }
  if (engine !== undefined && typeof engine?.append !== 'function') {
    throw new SpineError('SPINE_OPTION_INVALID', `${what}: engine is ${shown(engine)}, and no engine.`, {
      value: engine,
      fix: "Write engine: sqlite('./spine.db'), with sqlite from 'event-spine/sqlite'.",
    })
  }
}

async function defaultEngine(): Promise<Engine> {
  const { sqlite } = await import('./engine/sqlite/index.ts')
  return sqlite(DEFAULT_PATH)
}

function spineOf(runtime: Runtime): Spine {
  const agents = new Agents(runtime)
  const requests = new Requests(runtime)
  const deadLetters = new DeadLetters(runtime)
  const publisher = new Publisher(runtime)
  for (const warning of agents.warnings()) runtime.logger.warn(warning)
  holdProcess(runtime)
  let closing: Promise<void> | undefined
  const close: Spine['close'] = async (options = NONE) => {
    requireKnownOptions(options, DRAIN_OPTION, 'close')
    closing ??= closeRuntime(runtime, durationMs(options.drain ?? DRAIN_DEFAULT, 'close: drain'))
    return closing
  }
  const spine: Spine = {
    publish: (type, data, options) =>
      publisher.publish(options === undefined ? { type, data } : { type, data, options }),
    publishAll: (messages, options) => publisher.publishAll(messages, options),
    start: async (target, input, options = {}) => {
      const agent = target as AnyAgent
      const started = await publisher.start(agent, input, options)
      return workHandle(runtime, requests, agent.name, started) as WorkHandle<never>
    },
    settled: async (request, options = NONE) => {
      requireKnownOptions(options, WITHIN_OPTION, 'settled')
      return requests.settled(request, options.within)
    },
    waitFor: (type, options) => waitForEvent(runtime, type, options as WaitOptions) as Promise<never>,
    log: {
      read: (query) => readLog(runtime, query),
      tail: (options = NONE) => {
        requireKnownOptions(options, AFTER_OPTION, 'log.tail')
        return tailLog(runtime, options.after ?? runtime.state.at)
      },
    },
    sessions: {
      get: async (id, options = NONE) => {
        requireKnownOptions(options, AT_OPTION, 'sessions.get')
        return sessionOf(runtime, id, options.at)
      },
    },
    agents: {
      list: () => agents.list(),
      remove: (name) => agents.remove(name),
      rename: (name, to) => agents.rename(name, to),
      pause: (name, why) => agents.pause(name, why),
      resume: (name) => agents.resume(name),
    },
    requests: {
      get: (id) => requests.get(id),
      cancel: (id, why) => requests.cancel(id, why),
      setPriority: (id, priority, why) => requests.setPriority(id, priority, why),
      raiseBudget: (id, amounts, why, options) => requests.raiseBudget(id, amounts, why, options),
      restart: (id, why) => requests.restart(id, why),
    },
    deadLetters: {
      list: (filter) => deadLetters.list(filter),
      get: (id) => deadLetters.get(id),
      redrive: (id) => deadLetters.redrive(id),
      discard: (id, why) => deadLetters.discard(id, why),
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  }
  runtimes.set(spine, runtime)
  return spine
}

async function sessionOf(runtime: Runtime, id: string, at: number | undefined): Promise<SessionAt> {
  checkPosition(at, 'sessions.get: at')
  const head = runtime.state.at
  const state = at === undefined ? await runtime.sessions.current(id) : await runtime.sessions.at(id, at)
  return { id, at: Math.min(at ?? head, head), state }
}

async function closeRuntime(runtime: Runtime, drainMs: number): Promise<void> {
  try {
    await runtime.stop(drainMs)
    await runtime.engine.close()
  } finally {
    releaseProcess(runtime)
  }
}
