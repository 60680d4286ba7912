/**
 * Plausible logs in a few words, for tests of what folds them. It gives sequences and headers as the runtime would;
 * it does not fold, so a test can also write what no correct process would.
 */
import type { Json, LogRecord, Priority, RecordHeader } from 'event-spine'

export interface EventPlace {
  readonly session?: string
  readonly key?: string
  /** Absolute ms, for the root of a request. */
  readonly deadline?: number
  /** Of a delayed event. */
  readonly due?: number
  readonly priority?: Priority
  /** Joins that request as a follower, one hop from its root. */
  readonly request?: string
}

export interface RegistrationOptions {
  readonly on?: readonly string[]
  readonly order?: string
  readonly version?: string
  readonly onFailure?: 'skip' | 'block' | 'park'
  readonly join?: { readonly per: 'request' | 'session'; readonly withinMs?: number; readonly atLeast?: number }
  readonly after?: readonly string[]
  readonly observes?: boolean
  readonly priority?: Priority
  readonly freshness?: { readonly newer: readonly string[]; readonly then: 'hold' | 'cancel' | 'restart' }
  readonly exclusive?: string
  readonly breaker?: { readonly failures: number; readonly withinMs: number; readonly cooldownMs: number }
  readonly from?: 'beginning' | number
  readonly rate?: { readonly limit: number; readonly perMs: number }
}

export interface GatherOptions {
  readonly until?: 'all' | 'settled' | { readonly quorum: number }
  readonly due?: number
  readonly atLeast?: number
  readonly onLate?: 'cancel' | 'finish'
}

const FAILURE = { code: 'SPINE_HANDLER_FAILED', name: 'Error', message: 'broken' }

export class LogBuilder {
  readonly records: LogRecord[] = []
  readonly #append: (record: LogRecord) => void

  /** `append` is given every record as soon as it is made. */
  constructor(append: (record: LogRecord) => void = () => {}) {
    this.#append = append
  }

  /** Sequence of the last record. */
  get head(): number {
    return this.records.length
  }

  at(sequence: number): LogRecord {
    const record = this.records[sequence - 1]
    if (record === undefined) throw new Error(`the log has no record ${sequence}`)
    return record
  }

  /** Any record. Returns its sequence. */
  record(type: string, data: Json = null, header: Partial<RecordHeader> = {}): number {
    const sequence = this.head + 1
    const place = { session: 'spine', request: 'spine', key: 'spine', cause: 0, hops: 0 }
    const record = { ...place, time: 1_000 + sequence, ...header, type, sequence, data }
    this.records.push(record)
    this.#append(record)
    return sequence
  }

  register(name: string, options: RegistrationOptions = {}): number {
    const { on = [], order = 'default', version = '1', onFailure, join, after, observes } = options
    const { priority, freshness, exclusive, breaker, rate, from } = options
    const kind = on.length === 0 ? 'directed' : 'reacts'
    const failing = onFailure === undefined ? {} : { onFailure }
    return this.record('spine.agent.registered', {
      ...{ name, version, kind, on, emits: [], order, options: optionsOf({ breaker, rate }) },
      ...failing,
      ...(join === undefined ? {} : { join: { types: on, ...join } }),
      ...(after === undefined ? {} : { after }),
      ...(observes === undefined ? {} : { observes }),
      ...(priority === undefined ? {} : { priority }),
      ...(freshness === undefined ? {} : { freshness }),
      ...(exclusive === undefined ? {} : { exclusive }),
      ...(from === undefined ? {} : { from }),
    })
  }

  remove(name: string): number {
    return this.record('spine.agent.removed', { name })
  }

  rename(name: string, to: string): number {
    return this.record('spine.agent.renamed', { name, to })
  }

  pauseAgent(name: string): number {
    return this.record('spine.agent.paused', { name, why: 'maintenance' })
  }

  resumeAgent(name: string): number {
    return this.record('spine.agent.resumed', { name })
  }

  openBreaker(name: string, until: number, probe?: number): number {
    return this.record('spine.breaker.opened', { name, until, ...(probe === undefined ? {} : { probe }) })
  }

  putBehind(name: string): number {
    return this.record('spine.agent.behind', { name, since: this.head + 1 })
  }

  /** These events, and no others up to there. */
  admit(name: string, upTo: number, events: readonly number[]): number {
    const places = events.map((sequence) => {
      const { type, session, request, key, hops } = this.at(sequence)
      return { type, session, request, key, hops }
    })
    return this.record('spine.agent.admitted', { name, upTo, events: [...events], places })
  }

  closeBreaker(name: string): number {
    return this.record('spine.breaker.closed', { name })
  }

  claim(owner: string): number {
    return this.record('spine.lane.claimed', { lane: '*', owner })
  }

  release(): number {
    return this.record('spine.lane.released', { lane: '*' })
  }

  /** An event from outside: the root of a request named `r<sequence>`, unless the place names one. */
  event(type: string, place: EventPlace = {}): number {
    return this.record(type, { any: 'data' }, this.#outside(place))
  }

  /** Directed work from outside. */
  start(target: string, place: EventPlace = {}): number {
    return this.record('spine.call.requested', { target, input: null }, this.#outside(place))
  }

  /** Someone gave the request another class. */
  prioritize(request: string, priority: Priority): number {
    return this.record('spine.request.prioritized', { priority }, { request })
  }

  giveBudget(request: string, usd: number): number {
    return this.record('spine.budget.given', { amounts: { usd } }, { request })
  }

  raiseBudget(request: string, usd: number): number {
    return this.record('spine.budget.raised', { amounts: { usd } }, { request })
  }

  tellLow(request: string, pool?: number): number {
    const data = { unit: 'usd', limit: 1, spent: 1, ...(pool === undefined ? {} : { pool }) }
    return this.record('spine.budget.low', data, { request })
  }

  cancelRequest(request: string): number {
    return this.record('spine.request.cancelled', { why: 'no longer wanted' }, { request })
  }

  expireRequest(request: string, deadline: number): number {
    return this.record('spine.request.expired', { deadline }, { request })
  }

  /** The delivery that record `source` opened for `agent`: its methods write what a run, or its owner, would write. */
  delivery(source: number, agent: string): DeliveryRecords {
    return new DeliveryRecords(this, source, agent)
  }

  #outside({ session, key, deadline, due, priority, request }: EventPlace): Partial<RecordHeader> {
    const name = request ?? `r${this.head + 1}`
    const own = session ?? name
    const place = { session: own, request: name, key: key ?? own, hops: request === undefined ? 0 : 1 }
    return {
      ...place,
      ...(deadline === undefined ? {} : { deadline }),
      ...(due === undefined ? {} : { due }),
      ...(priority === undefined ? {} : { priority }),
    }
  }
}

function optionsOf({ breaker, rate }: { readonly breaker: Json | undefined; readonly rate: Json | undefined }): Json {
  const protection = { ...(breaker === undefined ? {} : { breaker }), ...(rate === undefined ? {} : { rate }) }
  return Object.keys(protection).length === 0 ? {} : { timeoutMs: 100, ...protection }
}

export class DeliveryRecords {
  readonly source: number
  readonly agent: string
  readonly #log: LogBuilder

  constructor(log: LogBuilder, source: number, agent: string) {
    this.#log = log
    this.source = source
    this.agent = agent
  }

  get id(): string {
    return `${this.source}/${this.agent}`
  }

  emit(type: string, place: Pick<EventPlace, 'session' | 'key'> = {}): number {
    const { session, key } = place
    return this.#tell(
      type,
      { any: 'data' },
      {
        ...(session === undefined ? {} : { session, key: session }),
        ...(key === undefined ? {} : { key }),
        hops: this.#header.hops + 1,
      },
    )
  }

  patch(patch: Json): number {
    return this.#tell('spine.session.patched', { patch })
  }

  step(
    command: string,
    outcome: {
      readonly failed?: boolean
      readonly basis?: number
      readonly version?: string
      readonly keep?: boolean
      readonly reserved?: number
      readonly spent?: { readonly usd: number }
    } = {},
  ): number {
    const { failed = false, ...stand } = outcome
    return this.#tell(
      'spine.step.recorded',
      failed ? { command, error: FAILURE, ...stand } : { command, value: 1, ...stand },
    )
  }

  route(command: string, target: string): number {
    return this.#tell('spine.route.decided', { command, value: 1, rule: 0, target, rejected: [] })
  }

  startEffect(command: string): number {
    return this.#tell('spine.step.started', { command })
  }

  startCosted(command: string, usd: number, plain: boolean): number {
    return this.#tell('spine.step.started', { command, cost: { usd }, ...(plain ? { plain } : {}) })
  }

  refuse(command: string): number {
    return this.#tell('spine.budget.exhausted', { command, unit: 'usd', limit: 1, spent: 1, wanted: 1 })
  }

  returnBudget(reserved: number): number {
    return this.#tell('spine.budget.returned', { reserved })
  }

  pauseForBudget(failed: string): number {
    return this.#tell('spine.delivery.paused', { why: 'budget', failed })
  }

  call(
    command: string,
    target: string,
    options: {
      readonly deadline?: number
      readonly session?: string
      readonly priority?: Priority
      readonly budget?: { readonly usd: number }
    } = {},
  ): number {
    const { session, deadline, priority, budget } = options
    return this.#tell(
      'spine.call.requested',
      { command, target, input: null, ...(budget === undefined ? {} : { budget }) },
      {
        ...(session === undefined ? {} : { session, key: session }),
        ...(deadline === undefined ? {} : { deadline }),
        ...(priority === undefined ? {} : { priority }),
        hops: this.#header.hops + 1,
      },
    )
  }

  sleep(command: string, due: number): number {
    return this.#tell('spine.timer.set', { command, due })
  }

  fire(command: string): number {
    return this.#tell('spine.timer.fired', { command })
  }

  openWait(
    command: string,
    event: string,
    options: { readonly due?: number; readonly cause?: number; readonly match?: Json } = {},
  ): number {
    return this.#tell('spine.wait.opened', { command, event, after: this.source, ...options })
  }

  matchWait(command: string, event: number): number {
    return this.#tell('spine.wait.matched', { command, event })
  }

  expireWait(command: string): number {
    return this.#tell('spine.wait.expired', { command })
  }

  /** A wait of the same agent took its event. */
  take(by: number): number {
    return this.#tell('spine.delivery.taken', { by })
  }

  /** Its event is due. */
  endDelay(): number {
    return this.#tell('spine.timer.fired', { command: '@delay' })
  }

  gather(command: string, branches: readonly string[], options: GatherOptions = {}): number {
    const { until = 'all', ...rest } = options
    return this.#tell('spine.gather.opened', { command, branches, until, ...rest })
  }

  complete(options: { readonly dropped?: readonly string[] } = {}): number {
    return this.#tell('spine.delivery.completed', { reply: 'done', ...options })
  }

  handOff(target: string): number {
    return this.#tell('spine.delivery.completed', { handoff: { target, input: null } })
  }

  /** The time of its round is up. */
  endJoin(): number {
    return this.#tell('spine.wait.expired', { command: '@join' })
  }

  /** The time of its round is up, and too little has come; with `of`, it repeats another. */
  skip(of?: number): number {
    return this.#tell('spine.delivery.skipped', { why: 'too little', ...(of === undefined ? {} : { of }) })
  }

  /** Its session has had an event of this type. */
  matchAfter(type: string, event: number): number {
    return this.#tell('spine.wait.matched', { command: `@after ${type}`, event })
  }

  retry(attempt: number, due: number, came: { readonly upTo?: number; readonly failed?: string } = {}): number {
    return this.#tell('spine.delivery.retried', { attempt, due, error: FAILURE, ...came })
  }

  /** An attempt failed with this error. */
  fail(error: { readonly [name: string]: Json } = {}): number {
    return this.#tell('spine.delivery.retried', { attempt: 1, due: 1, error: { ...FAILURE, ...error } })
  }

  die(code: string = FAILURE.code): number {
    return this.#tell('spine.delivery.dead', { attempts: 1, error: { ...FAILURE, code } })
  }

  /** Its handler has been entered; `rate`: under this key of its rate. */
  start(rate?: string): number {
    const rates = rate === undefined ? {} : { rates: [rate] }
    return this.#log.record('spine.runs.started', { events: [this.source], agents: [this.agent], ...rates })
  }

  /** Its handler waits for the log, though it was named as started. */
  rest(): number {
    const [suspendedEvents, suspendedAgents] = [[this.source], [this.agent]]
    return this.#log.record('spine.runs.started', { events: [], agents: [], suspendedEvents, suspendedAgents })
  }

  restart(generation: number): number {
    return this.#tell('spine.delivery.restarted', { generation, why: 'asked for' })
  }

  /** It made room; with `generation` it starts over. */
  preempt(by: number, generation?: number): number {
    return this.#tell('spine.delivery.preempted', { by, ...(generation === undefined ? {} : { generation }) })
  }

  supersede(by: number): number {
    return this.#tell('spine.delivery.superseded', { by })
  }

  pause(): number {
    return this.#tell('spine.delivery.paused', { why: 'SPINE_REPLAY_MISMATCH' })
  }

  cancel(): number {
    return this.#tell('spine.delivery.cancelled', { why: 'no longer wanted' })
  }

  expire(): number {
    return this.#tell('spine.delivery.expired', { deadline: this.#header.deadline ?? 1 })
  }

  redrive(): number {
    return this.#tell('spine.delivery.redriven', {})
  }

  discard(): number {
    return this.#tell('spine.delivery.discarded', {})
  }

  /** Any record about this delivery. */
  #tell(type: string, data: Json, header: Partial<RecordHeader> = {}): number {
    return this.#log.record(type, data, { ...this.#header, ...header })
  }

  /** R3: place of the record that opened it, one hop further when a handoff did, and its name. */
  get #header(): Partial<RecordHeader> & Pick<RecordHeader, 'hops'> {
    const { session, request, key, hops, deadline, priority, type } = this.#log.at(this.source)
    const further = type === 'spine.delivery.completed' ? 1 : 0
    const name = { cause: this.source, agent: this.agent }
    const bounds = { ...(deadline === undefined ? {} : { deadline }), ...(priority === undefined ? {} : { priority }) }
    return { session, request, key, hops: hops + further, ...bounds, ...name }
  }
}
