/**
 * Plausible logs in a few words, for tests of what folds them. It gives sequences and headers as the runtime would;
 * it does not fold, so a test can also write what no correct process would.
 */
import type { Json, LogRecord, RecordHeader } from 'event-spine'

export interface EventPlace {
  readonly session?: string
  readonly key?: string
  /** Absolute ms, for the root of a request. */
  readonly deadline?: number
  /** Of a delayed event. */
  readonly due?: number
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
    const { on = [], order = 'default', version = '1', onFailure, join, after, observes, breaker, rate, from } = options
    const kind = on.length === 0 ? 'directed' : 'reacts'
    const failing = onFailure === undefined ? {} : { onFailure }
    return this.record('spine.agent.registered', {
      ...{ name, version, kind, on, emits: [], order, options: optionsOf({ breaker, rate }) },
      ...failing,
      ...(join === undefined ? {} : { join: { types: on, ...join } }),
      ...(after === undefined ? {} : { after }),
      ...(observes === undefined ? {} : { observes }),
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

  #outside({ session, key, deadline, due, request }: EventPlace): Partial<RecordHeader> {
    const name = request ?? `r${this.head + 1}`
    const own = session ?? name
    const place = { session: own, request: name, key: key ?? own, hops: request === undefined ? 0 : 1 }
    return { ...place, ...(deadline === undefined ? {} : { deadline }), ...(due === undefined ? {} : { due }) }
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
    outcome: { readonly failed?: boolean; readonly basis?: number; readonly version?: string } = {},
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

  call(
    command: string,
    target: string,
    options: { readonly deadline?: number; readonly session?: string } = {},
  ): number {
    const { session, deadline } = options
    return this.#tell(
      'spine.call.requested',
      { command, target, input: null },
      {
        ...(session === undefined ? {} : { session, key: session }),
        ...(deadline === undefined ? {} : { deadline }),
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
    const { session, request, key, hops, deadline, type } = this.#log.at(this.source)
    const further = type === 'spine.delivery.completed' ? 1 : 0
    const name = { cause: this.source, agent: this.agent }
    return { session, request, key, hops: hops + further, ...(deadline === undefined ? {} : { deadline }), ...name }
  }
}

export interface DeliveryView {
  readonly id: string
  readonly status: string
  readonly request: string
  readonly session: string
  readonly key: string
  readonly attempt: number
  readonly started: boolean
  readonly began: boolean
  readonly crashes: number
  readonly generation: number
  readonly hops: number
  readonly due: number
  readonly deadline: number
  readonly caller: string
  readonly call: number
  readonly observes: boolean
  readonly join: { readonly seen: readonly { readonly type: string; readonly sequence: number }[] } | null
  readonly missing: readonly string[]
  readonly run: RunView | null
}

export interface RunView {
  readonly basis: number
  readonly version: string
  readonly commands: readonly {
    readonly name: string
    readonly kind: string
    readonly ended: number
    readonly ok: boolean
    readonly callee: string
    readonly due: number
    readonly carried: boolean
  }[]
  readonly gathers?: readonly { readonly name: string; readonly branches: readonly string[] }[]
}

/** What `encodeState` writes, read back. */
export interface StateView {
  readonly at: number
  readonly agents: readonly {
    readonly name: string
    readonly registration: { readonly on: readonly string[] } | null
    readonly since: number
    readonly open: number
    readonly breaker?: {
      readonly openings: number
      readonly until: number
      readonly probe: number
      readonly verdict: string
    }
    readonly rate?: readonly { readonly key: string; readonly starts: readonly number[] }[]
    readonly paused?: { readonly since: number; readonly why: string | null }
    readonly holds: readonly { readonly key: string; readonly mode: string; readonly letters: readonly number[] }[]
  }[]
  readonly deliveries: readonly DeliveryView[]
  readonly requests: readonly { readonly id: string; readonly open: number; readonly deadline: number }[]
  readonly deadLetters: readonly {
    readonly id: string
    readonly sequence: number
    readonly request: string
    readonly run: RunView | null
  }[]
  readonly lanes: readonly {
    readonly lane: string
    readonly claimed: number
    readonly owner: string
    readonly released: boolean
    readonly careful: boolean
  }[]
}

export function readState(encoded: string): StateView {
  return JSON.parse(encoded) as StateView
}

/** `'<id> <status>'` of everything open, in the order of their sources: what most tests ask for. */
export function openWork({ deliveries }: StateView): readonly string[] {
  const source = (id: string) => Number.parseInt(id, 10)
  const sorted = [...deliveries].sort(
    (left, right) => source(left.id) - source(right.id) || (left.id < right.id ? -1 : 1),
  )
  return sorted.map(({ id, status }) => `${id} ${status}`)
}
