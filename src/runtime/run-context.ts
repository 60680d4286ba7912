/** The `ctx` of one attempt: checks what a handler asks for and passes it to the run. */
import type { AnyAgent } from '../agent/agent.ts'
import { retryPolicy } from '../agent/retry-policy.ts'
import {
  CALL_OPTIONS,
  type CallOptions,
  type Context,
  EMIT_OPTIONS,
  type EmitOptions,
  type Handoff,
  type SessionHandle,
  STEP_OPTIONS,
  type StepContext,
  type StepOptions,
  type WaitForOptions,
} from '../agent/context.ts'
import type { AnyEventType, SpineEvent } from '../agent/event-type.ts'
import type { GatherOptions } from '../agent/gather.ts'
import { requireEventType } from '../agent/require-event-type.ts'
import { type Amounts, givenAmounts } from '../event/amounts.ts'
import type { NewRecord, RecordHeader } from '../event/record.ts'
import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { type Encoded, encodeJson, type Json } from '../kernel/json.ts'
import { requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { mergePatch } from '../kernel/merge-patch.ts'
import { type Random, seededRandom } from '../kernel/random.ts'
import { shown } from '../kernel/shown.ts'
import { askGather } from './ask-gather.ts'
import type { Branches } from './branches.ts'
import type { Command } from './command.ts'
import { ContextHandle } from './context-handle.ts'
import type { HostedAgent } from './hosted-agent.ts'
import { givenPriority } from './given-priority.ts'
import { dueAfter, following, record } from './record-draft.ts'
import { requireDirected } from './require-directed.ts'
import { requireId } from './require-id.ts'
import { routeCommand } from './route-command.ts'
import type { SessionState } from './session-states.ts'
import { stepCost } from './step-costs.ts'
import { waitCommand } from './wait-command.ts'
import { requireNewWork, type Trail } from './trail.ts'
import { schemaError, validateNow } from './validate.ts'

/** What one attempt is given, fixed before the handler is entered. */
export interface Attempt {
  readonly agent: HostedAgent
  /** Header of the records that tell of this run. */
  readonly header: Omit<RecordHeader, 'type'>
  readonly request: () => SpineEvent
  readonly sessionState: SessionState
  readonly trail: Trail
  /** Attempts before this one. */
  readonly failedBefore: number
  readonly signal: () => AbortSignal
  /** Time of the last released record. */
  readonly now: () => number
  readonly ask: (name: string, command: Command, exclusive: boolean) => Promise<unknown>
  readonly commands: Commands
  readonly patched: (id: string) => boolean
  readonly spend: (amounts: Amounts) => void
  /** Something was said after the handler had returned. */
  readonly late: (what: string) => void
  /** How often the run was started over. */
  readonly generation: number
}

/** What the attempt has asked for, by id: for what asks for several commands at once. */
export interface Commands {
  readonly branches: Branches
  /** The id of the next command of that name; `undefined` when nobody answers any more. */
  reserve(name: string, exclusive?: boolean): string | undefined
  askAs(id: string, command: Command): Promise<unknown>
  commandOf(id: string): Command | undefined
}

/** What a handler has said that belongs to the end of its run. */
export interface Intentions {
  readonly events: readonly {
    readonly type: AnyEventType
    readonly data: Encoded
    readonly options: EmitOptions | undefined
  }[]
  /** One for each `session.set`, in order. */
  readonly patches: readonly Json[]
  readonly handoffs: ReadonlyMap<Handoff, { readonly target: string; readonly input: Encoded }>
}

/** What waits for one type have taken: in order, and last by each way to ask (cause and match). */
interface Taken {
  readonly all: number[]
  readonly last: Map<string, number>
}

const NO_OPTIONS = {}
const NO_HANDOFFS: Intentions['handoffs'] = new Map()
const STEP_RETRY_DEFAULT = { attempts: 1, backoff: '500ms..1m' }

export class RunContext {
  readonly attempt: Attempt
  readonly #events: { type: AnyEventType; data: Encoded; options: EmitOptions | undefined }[] = []
  #handoffs: Map<Handoff, { target: string; input: Encoded }> | undefined
  readonly #patches: Json[] = []
  #state: SessionState
  #random: Random | undefined
  #isClosed = false
  /** By type: the events that its waits took. */
  #taken: Map<string, Taken> | undefined
  #sessionHandle: SessionHandle<{ readonly [key: string]: Json }> | undefined

  constructor(attempt: Attempt) {
    this.attempt = attempt
    this.#state = attempt.sessionState
  }

  get intentions(): Intentions {
    return { events: this.#events, patches: this.#patches, handoffs: this.#handoffs ?? NO_HANDOFFS }
  }

  /** The object that the handler gets. */
  handle(): Context {
    return new ContextHandle(this)
  }

  /** Made for the runs that draw from it. The first generation has the seed that older logs replay with. */
  chance(): Random {
    if (this.#random === undefined) {
      const { header, agent, generation } = this.attempt
      const run = `${header.request}/${header.cause}/${agent.name}`
      this.#random = seededRandom(generation === 0 ? run : `${run}/${generation}`)
    }
    return this.#random
  }

  async step(
    name: string,
    run: (step: StepContext) => unknown,
    options: StepOptions<never> = NO_OPTIONS,
  ): Promise<unknown> {
    const what = `step '${name}' of ${this.attempt.agent.name}`
    if (typeof name !== 'string' || name === '' || name.startsWith('@') || name.length > limits.nameCharactersMax) {
      throw new SpineError(
        'SPINE_STEP_NAME',
        `A step of ${this.attempt.agent.name} has the name ${JSON.stringify(name)}.`,
        {
          value: name,
          limit: limits.nameCharactersMax,
          fix: "A step's name is a text of at most 128 characters that does not begin with '@'.",
        },
      )
    }
    if (options !== NO_OPTIONS) requireKnownOptions(options, STEP_OPTIONS, what)
    if (typeof run !== 'function') {
      throw new SpineError('SPINE_OPTION_INVALID', `${what} was given ${shown(run)} instead of a function.`, {
        value: run,
        fix: 'Write ({ signal }) => model.ask(text, { signal }): the step calls it, and not again once it is recorded.',
      })
    }
    return this.attempt.ask(
      name,
      {
        kind: options.effect === true ? 'effect' : 'step',
        run,
        retry: retryPolicy(options.retry, what, STEP_RETRY_DEFAULT),
        keep: options.keep === true,
        timeoutMs: options.timeout === undefined ? undefined : durationMs(options.timeout, `${what}: timeout`),
        ...(options.cost === undefined ? {} : { cost: stepCost(options.cost, what) }),
      },
      true,
    )
  }

  async remaining(): Promise<Amounts> {
    return (await this.attempt.ask('@budget', { kind: 'remaining' }, false)) as Amounts
  }

  spend(amounts: unknown): void {
    const given = givenAmounts(amounts, `spend of ${this.attempt.agent.name}`)
    if (!this.#isTooLate('spent something')) this.attempt.spend(given)
  }

  /** The handler has returned: what it still says is not part of the run. */
  close(): void {
    this.#isClosed = true
  }

  #isTooLate(what: string): boolean {
    if (this.#isClosed) this.attempt.late(what)
    return this.#isClosed
  }

  emit(type: AnyEventType, data: unknown, options?: EmitOptions): void {
    if (this.#isTooLate(`emitted '${type?.type}'`)) return
    this.#requireDeclared(type, 'emit')
    this.#requireHop(`emit '${type.type}'`)
    if (this.#events.length >= limits.emitsMax) {
      throw new SpineError(
        'SPINE_COMMIT_TOO_LARGE',
        `${this.attempt.agent.name} emitted more than ${limits.emitsMax} events in one run.`,
        {
          limit: limits.emitsMax,
          fix: 'Use ctx.publish, which commits each at once, or emit one event that carries a list.',
        },
      )
    }
    const encoded = validateNow(type.schema, data, type.type)
    this.#requireNewWork(type.type, encoded)
    this.#events.push({ type, data: encoded, options: checkPlace(options, type.type) })
  }

  async publish(type: AnyEventType, data: unknown, options?: EmitOptions): Promise<{ sequence: number; id: string }> {
    this.#requireDeclared(type, 'publish')
    this.#requireHop(`publish '${type.type}'`)
    const encoded = validateNow(type.schema, data, type.type)
    this.#requireNewWork(type.type, encoded)
    const place = checkPlace(options, type.type)
    const event = (time: number) => eventRecord(this.attempt.header, type, encoded, place, time)
    return (await this.attempt.ask(`@publish ${type.type}`, { kind: 'publish', event }, false)) as {
      sequence: number
      id: string
    }
  }

  async call(target: AnyAgent, input: unknown, options: CallOptions = NO_OPTIONS): Promise<unknown> {
    const encoded = directedInput(target, input, `ctx.call of ${this.attempt.agent.name}`)
    this.#requireHop(`call '${target.name}'`)
    this.#requireNewWork(target.name, encoded)
    if (options !== NO_OPTIONS) requireKnownOptions(options, CALL_OPTIONS, `call '${target.name}'`)
    const { session } = options
    if (session !== undefined) requireId(session, 'session')
    return this.attempt.ask(
      `@call ${target.name}`,
      {
        kind: 'call',
        target: target.name,
        input: encoded,
        session,
        priority: givenPriority(options.priority, `call '${target.name}'`),
        budget:
          options.budget === undefined ? undefined : givenAmounts(options.budget, `call '${target.name}': budget`),
        withinMs:
          options.within === undefined ? undefined : durationMs(options.within, `call '${target.name}': within`),
      },
      false,
    )
  }

  handoff(target: AnyAgent, input: unknown): Handoff<never> {
    const encoded = directedInput(target, input, `ctx.handoff of ${this.attempt.agent.name}`)
    this.#requireHop(`hand off to '${target.name}'`)
    this.#requireNewWork(target.name, encoded)
    const handoff: Handoff<never> = Object.freeze({ kind: 'handoff', target: target.name })
    this.#handoffs ??= new Map()
    this.#handoffs.set(handoff, { target: target.name, input: encoded })
    return handoff
  }

  async route(value: unknown, rules: unknown): Promise<AnyAgent> {
    const command = routeCommand(`ctx.route of ${this.attempt.agent.name}`, value, rules)
    return (await this.attempt.ask('@route', command, false)) as AnyAgent
  }

  async sleep(duration: Duration): Promise<void> {
    await this.attempt.ask('@sleep', { kind: 'sleep', ms: durationMs(duration, 'sleep') }, false)
  }

  async gather(branches: unknown, options: GatherOptions = {}): Promise<unknown> {
    return askGather(this, branches, options)
  }

  /**
   * The first match after its own event that no wait of it has taken, so that an event between two waits is not lost, and
   * answers may come in any order. What was asked for in the same way before is looked for behind that.
   */
  async waitFor(type: AnyEventType, options: WaitForOptions): Promise<SpineEvent | undefined> {
    const command = waitCommand(type, options, `waitFor '${type?.type}' of ${this.attempt.agent.name}`)
    const taken = this.#takenOf(type.type)
    const selector = JSON.stringify([command.cause ?? null, command.match ?? null])
    const after = () => taken.last.get(selector) ?? this.attempt.header.cause
    const others = () => taken.all.filter((sequence) => sequence > after())
    const event = (await this.attempt.ask(`@wait ${type.type}`, { ...command, after, others }, false)) as
      | SpineEvent
      | undefined
    if (event === undefined) return undefined
    taken.last.set(selector, event.sequence)
    taken.all.push(event.sequence)
    return event
  }

  #takenOf(type: string): Taken {
    this.#taken ??= new Map()
    let taken = this.#taken.get(type)
    if (taken === undefined) {
      taken = { all: [], last: new Map() }
      this.#taken.set(type, taken)
    }
    return taken
  }

  session(): SessionHandle<{ readonly [key: string]: Json }> {
    const context = this
    this.#sessionHandle ??= {
      id: this.attempt.header.session,
      get state() {
        return context.#state
      },
      set: (patch) => this.#setSession(patch),
    }
    return this.#sessionHandle
  }

  #setSession(patch: unknown): void {
    if (this.#isTooLate('set the state of its session')) return
    const what = `session of ${this.attempt.agent.name}`
    const { value } = encodeJson(patch, what, limits.sessionBytesMax)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new SpineError('SPINE_SCHEMA_INVALID', `${what}: a patch is an object of the keys to change.`, {
        value,
        fix: 'Pass { key: value }.',
      })
    }
    const state = mergePatch(this.#state, value) as SessionState
    this.#requireSessionSchema(state, Object.keys(value), what)
    encodeJson(state, `${what}: state`, limits.sessionBytesMax)
    this.#state = state
    this.#patches.push(value)
  }

  /** The state may still lack what other agents will set; only the keys that this patch sets have to be right. */
  #requireSessionSchema(state: SessionState, keys: readonly string[], what: string): void {
    const { session } = this.attempt.agent.options
    if (session === undefined) return
    const result = session['~standard'].validate(state)
    if (result instanceof Promise || result.issues === undefined) return
    const own = result.issues.filter((issue) => {
      const [first] = issue.path ?? []
      const key = String(typeof first === 'object' ? first.key : first)
      return keys.includes(key) && state[key] !== undefined
    })
    if (own.length > 0) throw schemaError(own, what)
  }

  #requireDeclared(type: AnyEventType, what: 'emit' | 'publish'): void {
    const { agent } = this.attempt
    if (agent.emits.has(type?.type)) return
    requireEventType(type, `ctx.${what} of ${agent.name}`)
    throw new SpineError('SPINE_EMIT_UNDECLARED', `${agent.name} emits '${type.type}' without declaring it.`, {
      value: type.type,
      limit: [...agent.emits],
      fix: `Add it to the agent's option 'emits'.`,
    })
  }

  #requireNewWork(to: string, { value }: Encoded): void {
    const { trail, agent } = this.attempt
    if (trail.length > 0) requireNewWork(trail, agent.name, to, value)
  }

  #requireHop(what: string): void {
    const { hops } = this.attempt.header
    if (hops + 1 <= limits.hopsMax) return
    throw new SpineError(
      'SPINE_HOPS_EXCEEDED',
      `${this.attempt.agent.name} cannot ${what}: the chain has ${hops} hops already.`,
      {
        value: hops + 1,
        limit: limits.hopsMax,
        fix: 'Agents pass this work around in a circle; end it, or start a new request.',
      },
    )
  }
}

export function eventRecord(
  header: Omit<RecordHeader, 'type'>,
  type: AnyEventType,
  data: Encoded,
  options: EmitOptions | undefined,
  time: number,
): NewRecord {
  const version = type.version === 1 ? undefined : type.version
  const due = options?.delay === undefined ? undefined : dueAfter(options.delay, time)
  return record(type.type, following(header, time, options?.session, options?.key, version, due), data)
}

function checkPlace(options: EmitOptions | undefined, type: string): EmitOptions | undefined {
  if (options === undefined) return options
  requireKnownOptions(options, EMIT_OPTIONS, `event '${type}'`)
  const { session, key, delay } = options
  if (session !== undefined) requireId(session, 'session')
  if (key !== undefined) requireId(key, 'key')
  if (delay !== undefined) durationMs(delay, 'delay')
  return options
}

/** Input of directed work, validated by the target's schema. @throws SPINE_AGENT_INVALID for an agent that reacts. */
export function directedInput(target: AnyAgent, input: unknown, what: string): Encoded {
  return validateNow(requireDirected(target, what), input, `input of '${target.name}'`)
}
