/** The way in for users: checks, encodes, gives ids, and appends. */
import type { AnyAgent } from '../agent/agent.ts'
import type { AnyEventType, InputOf } from '../agent/event-type.ts'
import { requireEventType } from '../agent/require-event-type.ts'
import type { AppendOutcome, Guard, IdempotencyKey } from '../engine/engine.ts'
import { type Amounts, givenAmounts } from '../event/amounts.ts'
import { isCatalogued } from '../event/catalogue.ts'
import { eventId, type LogRecord, type NewRecord, type RecordHeader } from '../event/record.ts'
import type { Priority } from '../event/priority.ts'
import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { createUuid } from '../kernel/ids.ts'
import { canonicalJson, type Json } from '../kernel/json.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { nearest } from '../kernel/nearest.ts'
import { shown } from '../kernel/shown.ts'
import { fingerprint } from './fingerprint.ts'
import { givenPriority, writtenPriority } from './given-priority.ts'
import { keyReused } from './key-reused.ts'
import { LANE_HEAD } from './lane.ts'
import { queueFull } from './queue-full.ts'
import { fact, record } from './record-draft.ts'
import { dueAfter } from './record-draft.ts'
import { requireId } from './require-id.ts'
import { requireDirected } from './require-directed.ts'
import type { Runtime } from './runtime.ts'
import { validate, validateSoon } from './validate.ts'

export interface PublishOptions {
  /** The conversation or case. Default: a session of its own, named by the request's id. */
  readonly session?: string
  /** What the event is ordered by. Default: the session. */
  readonly partition?: string
  /** The same key again returns the first event with `duplicate: true`, for ever; scoped to the event type. */
  readonly idempotencyKey?: string
  /** From now, or a date: nothing of the request starts after it. */
  readonly deadline?: Duration | Date
  /** How urgent the work is that follows. Default: that of the `cause`, or `'normal'`. */
  readonly priority?: Priority
  /** From now: the event is on the log at once, and is delivered then. Default: none. */
  readonly delay?: Duration
  /** What the request may spend, with all that follows: units of your own, as in `{ usd: 1 }`. Not with `cause`. Default: no limit. */
  readonly budget?: Amounts
  /** `sequence` of an earlier event that this one answers: it joins that event's request and session. */
  readonly cause?: number
}

const PUBLISH_OPTIONS = optionNames<PublishOptions>({
  session: true,
  partition: true,
  idempotencyKey: true,
  deadline: true,
  priority: true,
  delay: true,
  budget: true,
  cause: true,
})

export interface Published {
  readonly id: string
  readonly sequence: number
  readonly request: string
  readonly session: string
  /** The idempotency key was used before with the same data; this is the first event. */
  readonly duplicate: boolean
}

/** One entry of `publishAll`. */
export interface Message {
  readonly type: AnyEventType
  readonly data: unknown
  readonly options?: PublishOptions
}

export type StartOptions = Omit<PublishOptions, 'cause'>
const START_OPTIONS = new Set([...PUBLISH_OPTIONS].filter((name) => name !== 'cause'))
const MESSAGE_PARTS = optionNames<Message>({ type: true, data: true, options: true })
const ATOMIC_OPTION = optionNames<AtomicOption>({ atomic: true })

export interface AtomicOption {
  /** All in one commit, or none; at most 256. Default false. */
  readonly atomic?: boolean
}

const NO_OPTIONS = {}

interface Draft {
  readonly record: NewRecord
  /** The budget of its request, behind it in the same commit. */
  readonly budget: NewRecord | undefined
  readonly key: IdempotencyKey | undefined
  readonly guards: readonly Guard[]
}

export class Publisher {
  readonly #runtime: Runtime
  readonly #unheard = new Set<string>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  async publish(message: Message): Promise<Published> {
    const draft = await this.#draft(message)
    return this.#append(draft)
  }

  async publishAll(messages: readonly Message[], options: AtomicOption = NO_OPTIONS): Promise<readonly Published[]> {
    requireKnownOptions(options, ATOMIC_OPTION, 'publishAll')
    const atomic = options.atomic === true
    if (!Array.isArray(messages)) {
      throw new SpineError('SPINE_OPTION_INVALID', `publishAll was given ${shown(messages)} instead of a list.`, {
        value: messages,
        fix: 'Pass [message(Inquiry, data), …].',
      })
    }
    if (atomic && messages.length > limits.emitsMax) {
      throw new SpineError('SPINE_COMMIT_TOO_LARGE', `${messages.length} events cannot be published atomically.`, {
        value: messages.length,
        limit: limits.emitsMax,
        fix: 'Publish in smaller batches, or without atomic.',
      })
    }
    for (const [place, one] of messages.entries()) {
      requireEventType(one?.type, `publishAll: message ${place}`)
      requireKnownOptions(one, MESSAGE_PARTS, `publishAll: message ${place}`)
    }
    // All are checked before the first is appended: one bad event in a list must not leave half of it on the log.
    const drafts = await Promise.all(messages.map((message) => this.#draft(message)))
    if (!atomic) return Promise.all(drafts.map((draft) => this.#append(draft)))
    return drafts.length === 0 ? [] : this.#appendTogether(drafts)
  }

  /** Directed work from outside: the root of a request of its own. */
  async start(target: AnyAgent, input: unknown, options: StartOptions): Promise<Published> {
    const schema = requireDirected(target, 'start')
    requireKnownOptions(options, START_OPTIONS, `start '${target.name}'`)
    this.#runtime.requireRegistered(target.name)
    const encoded = await validate(schema, input, `input of '${target.name}'`)
    const header = this.#rootHeader(options)
    const call = fact('spine.call.requested', header, { target: target.name, input: encoded.value })
    const key = keyOf(options, `start ${target.name}`, encoded.value)
    return this.#startUnlessFull(target.name, { record: call, budget: budgetRecord(header, options), key, guards: [] })
  }

  /** @throws SPINE_QUEUE_FULL, unless the idempotency key was used before: then it is the work that it started. */
  async #startUnlessFull(target: string, draft: Draft): Promise<Published> {
    const { state, callsOnTheWay } = this.#runtime
    const full = queueFull(state, target, callsOnTheWay.to(target), draft.record.priority)
    if (full === undefined) {
      callsOnTheWay.asked(target)
      return this.#append(draft).finally(() => callsOnTheWay.arrived(target))
    }
    if (draft.key === undefined) throw full
    // Keys are looked at before guards, and this guard never holds: nothing is written, and a repetition is recognised.
    const never: Guard = { head: LANE_HEAD, notAfter: 0 }
    const { record, key } = draft
    const outcome = await this.#runtime.appendOrRefuse({ guards: [never], records: [record], key })
    if (outcome.status === 'conflict') throw full
    return this.#published(draft, outcome, 0)
  }

  async #draft({ type, data, options = NO_OPTIONS }: Message): Promise<Draft> {
    this.#requireType(type)
    if (options !== NO_OPTIONS) requireKnownOptions(options, PUBLISH_OPTIONS, `publish '${type.type}'`)
    const checked = validateSoon(type.schema, data, type.type)
    const encoded = checked instanceof Promise ? await checked : checked
    const { header, guards } = await this.#header(options)
    const budget =
      options.cause === undefined ? budgetRecord(header, options) : await this.#budgetAgain(header, options)
    const place = type.version === 1 ? header : { ...header, version: type.version }
    // Whoever asked waits for an answer, as far as anyone knows.
    if (options.cause === undefined) this.#warnIfUnheard(type.type)
    return { record: record(type.type, place, encoded), budget, key: keyOf(options, type.type, encoded.value), guards }
  }

  /** A request that was at rest has no budget in memory any more: whoever wakes it says it again. */
  async #budgetAgain(header: Omit<RecordHeader, 'type'>, { budget }: PublishOptions): Promise<NewRecord | undefined> {
    if (budget !== undefined) {
      throw new SpineError('SPINE_BUDGET_INVALID', 'An event with a cause spends from the budget of that request.', {
        value: budget,
        fix: 'Leave budget out, or use requests.raiseBudget.',
      })
    }
    const known = await this.#runtime.spendings.budgetOf(header.request)
    return known === undefined ? undefined : fact('spine.budget.given', besides(header), known)
  }

  #requireType(type: AnyEventType): void {
    requireEventType(type, 'publish')
    if (isCatalogued(type.type)) {
      throw new SpineError('SPINE_EVENT_INVALID', `'${type.type}' is written by Event Spine alone.`, {
        value: type.type,
        fix: 'Use a name of your own.',
      })
    }
    if (!this.#runtime.types.has(type.type)) this.#runtime.types.set(type.type, type)
  }

  async #header(options: PublishOptions): Promise<{ header: Omit<RecordHeader, 'type'>; guards: readonly Guard[] }> {
    if (options.cause === undefined) return { header: this.#rootHeader(options), guards: [] }
    const cause = await this.#causeOf(options.cause)
    requireHops(cause.hops + 1)
    if (cause.deadline !== undefined && cause.deadline <= this.#runtime.clock.now()) throw expired(cause.request)
    const header = {
      time: this.#runtime.clock.now(),
      request: cause.request,
      ...this.#place(options, { session: cause.session, key: cause.key }),
      cause: cause.sequence,
      hops: cause.hops + 1,
      ...(cause.deadline === undefined ? {} : { deadline: cause.deadline }),
      ...(cause.priority === undefined ? {} : { priority: cause.priority }),
    }
    return {
      header: this.#narrowed(urgent(delayed(header, options), options), options),
      guards: [{ head: `request/${cause.request}`, notAfter: 0 }],
    }
  }

  async #causeOf(sequence: number): Promise<LogRecord> {
    const isPlace = Number.isSafeInteger(sequence) && sequence >= 1
    // Another process, or another reader of this file, may have told of it before the fold of this one came to it.
    if (isPlace && sequence > this.#runtime.state.at && (await this.#runtime.engine.head()) >= sequence)
      await this.#runtime.passing(sequence - 1)
    const known = isPlace && sequence <= this.#runtime.state.at
    const cause = known ? await this.#runtime.records.get(sequence) : undefined
    if (cause !== undefined && cause.request !== 'spine') return cause
    throw new SpineError('SPINE_OPTION_INVALID', `cause: no event has the sequence ${sequence}.`, {
      value: sequence,
      limit: this.#runtime.state.at,
      fix: "Pass the 'sequence' of the event that this one answers.",
    })
  }

  #rootHeader(options: PublishOptions): Omit<RecordHeader, 'type'> {
    const { clock, random } = this.#runtime
    const time = clock.now()
    const request = createUuid(time, random)
    const place = this.#place(options, { session: request, key: request })
    const root = {
      time,
      ...place,
      request,
      cause: 0,
      hops: 0,
      agent: undefined,
      deadline: undefined,
      due: undefined,
      priority: undefined,
      version: undefined,
    }
    return this.#narrowed(urgent(delayed(root, options), options), options)
  }

  #place(options: PublishOptions, inherited: { session: string; key: string }): { session: string; key: string } {
    if (options.session !== undefined) requireId(options.session, 'session')
    if (options.partition !== undefined) requireId(options.partition, 'partition')
    return { session: options.session ?? inherited.session, key: options.partition ?? options.session ?? inherited.key }
  }

  #narrowed(header: Omit<RecordHeader, 'type'>, options: PublishOptions): Omit<RecordHeader, 'type'> {
    if (options.deadline === undefined) return header
    const { deadline } = options
    const at = deadline instanceof Date ? deadline.getTime() : header.time + durationMs(deadline, 'deadline')
    if (!(at > header.time)) {
      throw new SpineError('SPINE_DEADLINE_PAST', 'The deadline lies in the past.', {
        value: deadline,
        limit: new Date(header.time).toISOString(),
        fix: "Pass a duration from now ('5m') or a later date.",
      })
    }
    return { ...header, deadline: Math.min(at, header.deadline ?? Number.POSITIVE_INFINITY) }
  }

  async #append(draft: Draft): Promise<Published> {
    const { key, guards } = draft
    const outcome = await this.#runtime.appendOrRefuse({
      guards,
      records: recordsOf([draft]),
      ...(key === undefined ? {} : { key }),
    })
    return this.#published(draft, outcome, 0)
  }

  async #appendTogether(drafts: readonly Draft[]): Promise<readonly Published[]> {
    if (drafts.some((draft) => draft.key !== undefined)) {
      throw new SpineError(
        'SPINE_OPTION_INVALID',
        'Events published atomically cannot have idempotency keys of their own.',
        {
          fix: 'Publish them without atomic, or one event that carries a list.',
        },
      )
    }
    const guards = drafts.flatMap((draft) => draft.guards)
    const outcome = await this.#runtime.appendOrRefuse({ guards, records: recordsOf(drafts) })
    let place = 0
    const places = drafts.map(({ budget }) => {
      const own = place
      place += budget === undefined ? 1 : 2
      return own
    })
    return Promise.all(drafts.map((draft, index) => this.#published(draft, outcome, places[index] as number)))
  }

  async #published(draft: Draft, outcome: AppendOutcome, index: number): Promise<Published> {
    if (outcome.status === 'conflict') {
      if (this.#runtime.endOf(draft.record.request) === 'expired') throw expired(draft.record.request)
      throw new SpineError('SPINE_REQUEST_CANCELLED', `The request '${draft.record.request}' has ended.`, {
        value: draft.record.request,
        limit: outcome.at,
        fix: 'Publish without cause to start a new request.',
      })
    }
    if (outcome.status === 'key-reused') throw keyReused(draft.key?.name, outcome.first)
    const duplicate = outcome.status === 'duplicate'
    const sequence = outcome.first + index
    const { request, session, hops } = duplicate ? await this.#runtime.records.get(sequence) : draft.record
    return { id: eventId({ request, hops, sequence }), sequence, request, session, duplicate }
  }

  #warnIfUnheard(type: string): void {
    const { subscriptions, everything, agents, waits } = this.#runtime.state
    if (subscriptions.has(type) || everything.length > 0 || waits.hears(type) || this.#unheard.has(type)) return
    this.#unheard.add(type)
    if (agents.some(({ registration }) => registration?.after?.includes(type) === true)) return
    const meant = nearest(type, subscriptions.keys())
    const hint = meant === undefined ? '' : `: did you mean '${meant}'?`
    this.#runtime.logger.warn(`no agent is registered for '${type}'${hint}; the event is kept on the log`)
  }
}

function recordsOf(drafts: readonly Draft[]): readonly NewRecord[] {
  return drafts.flatMap(({ record, budget }) => (budget === undefined ? [record] : [record, budget]))
}

function budgetRecord(header: Omit<RecordHeader, 'type'>, { budget }: PublishOptions): NewRecord | undefined {
  if (budget === undefined) return undefined
  return fact('spine.budget.given', besides(header), { amounts: givenAmounts(budget, 'budget') })
}

/** What tells of a request has no delay and no version. */
function besides(header: Omit<RecordHeader, 'type'>): Omit<RecordHeader, 'type'> {
  return { ...header, due: undefined, version: undefined }
}

function expired(request: string): SpineError {
  return new SpineError('SPINE_EXPIRED', `The deadline of the request '${request}' has passed.`, {
    value: request,
    fix: 'Publish without cause to start a new request.',
  })
}

function delayed(header: Omit<RecordHeader, 'type'>, { delay }: PublishOptions): Omit<RecordHeader, 'type'> {
  const due = dueAfter(delay, header.time)
  return due === undefined ? header : { ...header, due }
}

function urgent(header: Omit<RecordHeader, 'type'>, { priority }: PublishOptions): Omit<RecordHeader, 'type'> {
  const given = givenPriority(priority, 'priority')
  return given === undefined ? header : { ...header, priority: writtenPriority(given) }
}

function keyOf(options: PublishOptions, scope: string, data: Json): IdempotencyKey | undefined {
  const { idempotencyKey: name, session, partition, cause } = options
  if (name === undefined) return undefined
  requireId(name, 'idempotencyKey')
  return {
    scope,
    name,
    print: fingerprint(
      canonicalJson({
        data,
        session: session ?? null,
        partition: partition ?? null,
        // Left out where there is none: keys from before it keep their print.
        ...(cause === undefined ? {} : { cause }),
      }),
    ),
  }
}

function requireHops(hops: number): void {
  if (hops <= limits.hopsMax) return
  throw new SpineError('SPINE_HOPS_EXCEEDED', `The chain of causes has ${hops - 1} hops already.`, {
    value: hops,
    limit: limits.hopsMax,
    fix: 'Publish without cause to start a new request.',
  })
}

/**
 * One entry of `publishAll`, with the data checked against the type.
 *
 * @example await spine.publishAll([message(Inquiry, { text: 'a haircut' }), message(Inquiry, { text: 'a taxi' })])
 */
export function message<Event extends AnyEventType>(
  type: Event,
  data: InputOf<Event>,
  options?: PublishOptions,
): Message {
  return options === undefined ? { type, data } : { type, data, options }
}
