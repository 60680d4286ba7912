/**
 * One attempt of one delivery, from the handler's entry to the commit that ends it.
 *
 * Job: enter the handler, perform what it asks for, release outcomes in order (`replay.ts`), end with one commit.
 * Not its job: when it may run (`dispatcher.ts`), what a failure leads to in the state (`coordination/`).
 *
 * States: `running` (holds a slot: the handler computes, or a step of it runs here) → `suspended` (waits only for what
 * comes from the log; holds no slot) → `running` …  → `ending` (effects are awaited, the last commit is under way) →
 * `over` (nothing that the handler still does has an effect; its promises never settle).
 *
 * X1  Nothing is released except what the fold has passed.
 * X2  Every commit guards the lane, and the request unless it only records an effect that has started.
 * X3  An effect's start is durable before its function is entered, and its outcome is recorded even when the run is over.
 * X4  Only an attempt that is not over appends an end.
 */
import { decideFailure } from '../coordination/decide.ts'
import type { Row } from '../coordination/delivery-table.ts'
import type { AppendOutcome, Guard } from '../engine/engine.ts'
import type { Failure } from '../event/catalogue.ts'
import type { LogRecord, NewRecord, RecordHeader } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import { afterMicrotasks } from './after-microtasks.ts'
import { failureOf } from './failure.ts'
import { finalRecords } from './final-records.ts'
import type { HostedAgent } from './hosted-agent.ts'
import { type Journal, journalOf } from './journal.ts'
import { LazySignal } from './lazy-signal.ts'
import { outcomeOf } from './outcome.ts'
import { performCommands } from './perform-commands.ts'
import { fact, rowHeader } from './record-draft.ts'
import { type Asked, type Outcome, Replay } from './replay.ts'
import { RunContext } from './run-context.ts'
import type { RunHost } from './run-host.ts'
import { RunningTime } from './running-time.ts'
import type { SessionState } from './session-states.ts'
import { toEvent } from './to-event.ts'

export type RunPhase = 'running' | 'suspended' | 'ending' | 'over'

type HandlerResult = { readonly value: unknown } | { readonly error: unknown }

export class Run {
  readonly host: RunHost
  readonly agent: HostedAgent
  readonly row: Row
  readonly source: Sequence
  phase: RunPhase = 'running'
  /** Steps that run here and commits that are under way: while there are any, the run is not suspended. */
  busy = 0

  readonly #stopSignal = new LazySignal()
  readonly #header: Omit<RecordHeader, 'type'>
  #replay: Replay | undefined
  #context: RunContext | undefined
  #journaled: ReadonlySet<string> = new Set()
  /** Outcomes that came in while the envelope was loading. */
  readonly #early: Outcome[] = []
  #basis: Sequence = 0
  /** Cancels up to here belong to an earlier life of the delivery. */
  #startedAt: Sequence = 0
  #standRecorded = false
  #releasedTime = 0
  #wakePending = false
  #result: HandlerResult | undefined
  readonly #runningTime: RunningTime
  /** Effects that have started: the end waits for them. */
  #effects = new Set<Promise<unknown>>()

  constructor(host: RunHost, agent: HostedAgent, row: Row, source: Sequence) {
    this.host = host
    this.agent = agent
    this.row = row
    this.source = source
    this.#header = rowHeader(host.state, row, 0)
    this.#runningTime = new RunningTime(host.clock, agent.timeoutMs, () => this.#timedOut())
  }

  /** Loads what the envelope holds and enters the handler; at once when memory has it all. */
  async start(): Promise<void> {
    const { host } = this
    try {
      const source = host.records.recent(this.source) ?? (await host.records.get(this.source))
      const root = host.records.recentRoot(source.request) ?? (await host.records.root(source.request)) ?? source
      const found = journalOf(host.state, host.records, this.row)
      const journal = found instanceof Promise ? await found : found
      const session = this.#sessionAt(source.session, journal.basis)
      this.#enter(source, root, journal, session instanceof Promise ? await session : session)
    } catch (error) {
      // What cannot be loaded or upgraded fails the attempt like anything that the handler throws.
      await this.fail(error)
    }
  }

  /** The fold tells of an outcome. */
  receive(command: string, record: LogRecord): void {
    if (this.isOver) return
    if (this.#replay === undefined) {
      this.#early.push({ command, record })
      return
    }
    this.#replay.receive({ command, record })
    if (this.phase === 'suspended') this.host.requestSlot(this)
    else this.wake()
  }

  /** A slot has been given back to a suspended run. */
  resume(): void {
    if (this.phase !== 'suspended') return
    this.phase = 'running'
    this.#runningTime.begin()
    this.wake()
  }

  /** The fold tells that the delivery has ended: by this run's own last commit, or from outside. */
  ended(record: LogRecord): void {
    const own = record.cause === this.source && record.agent === this.agent.name && this.phase === 'ending'
    if (own) this.#over()
    else
      this.stop(
        new SpineError(
          record.type.endsWith('expired') ? 'SPINE_EXPIRED' : 'SPINE_REQUEST_CANCELLED',
          `The work ended by ${record.type}.`,
        ),
      )
  }

  /** Ends it from outside: cancelled, expired, closed. Effects that have started are finished. */
  stop(reason: unknown): void {
    if (this.isOver) return
    this.#over()
    this.#stopSignal.abort(reason)
  }

  get isOver(): boolean {
    return this.phase === 'over'
  }

  get signal(): AbortSignal {
    return this.#stopSignal.signal
  }

  /** Header of the records that tell of this run, with the time of the first. */
  get header(): Omit<RecordHeader, 'type'> {
    return this.#header
  }

  /** Whether this effect started before and left no outcome. */
  maybeDone(id: string): boolean {
    return this.#journaled.has(id)
  }

  /** On the first journal record of the run: where it stands. Later ones say nothing. */
  stand(): { readonly basis?: number; readonly version?: string } {
    if (this.#standRecorded) return {}
    this.#standRecorded = true
    return { basis: this.#basis, version: this.agent.version }
  }

  /**
   * Appends for this run. `undefined` when the log refused it: the request has ended or the lane is lost, and the fold
   * has told, or will tell, this run so.
   */
  async append(records: readonly NewRecord[], guardRequest = true): Promise<AppendOutcome | undefined> {
    const guards: Guard[] = [this.host.laneGuard()]
    if (guardRequest) guards.push({ head: `request/${this.#header.request}`, notAfter: this.#startedAt })
    this.busy++
    try {
      const outcome = await this.host.append({ guards, records })
      if (outcome.status !== 'conflict') return outcome
      this.stop(outcome)
      return undefined
    } catch (error) {
      if (SpineError.is(error, 'SPINE_COMMIT_TOO_LARGE')) throw error
      this.stop(error)
      return undefined
    } finally {
      this.busy--
      this.wake()
    }
  }

  /** Keeps the end of the run waiting until a started effect has its outcome on the log. */
  trackEffect(effect: Promise<unknown>): void {
    this.#effects.add(effect)
    void effect.finally(() => this.#effects.delete(effect))
  }

  /** With a journal the run stands where it stood; without one, at the head of the fold. */
  #sessionAt(session: string, basis: Sequence): SessionState | Promise<SessionState> {
    const { sessions } = this.host
    return basis === 0 ? (sessions.recent(session) ?? sessions.current(session)) : sessions.at(session, basis)
  }

  #enter(source: LogRecord, root: LogRecord, journal: Journal, session: SessionState): void {
    if (this.isOver) return
    const { host, agent } = this
    this.#startedAt = host.state.at
    this.#basis = journal.basis || host.state.at
    this.#standRecorded = journal.basis !== 0
    this.#journaled = journal.ids
    this.#releasedTime = source.time
    const early = this.#early.filter(({ command }) => !journal.outcomes.some((outcome) => outcome.command === command))
    this.#replay = new Replay(journal.ids, [...journal.outcomes, ...early], journal.carried)
    this.#context = new RunContext({
      agent,
      header: this.header,
      request: toEvent(root, host.types),
      sessionState: session,
      failedBefore: host.state.deliveries.attempt[this.row] as number,
      signal: () => this.signal,
      now: () => this.#releasedTime,
      ask: (name, command, exclusive) => this.#ask(name, command, exclusive),
    })
    const event = toEvent(source, host.types)
    this.#runningTime.begin()
    this.#call(event)
    this.wake()
  }

  #call(event: unknown): void {
    const handler = this.agent.handler as (event: unknown, context: unknown) => unknown
    let returned: unknown
    try {
      returned = handler(event, (this.#context as RunContext).handle())
    } catch (error) {
      this.#result = { error }
      return
    }
    Promise.resolve(returned).then(
      (value) => this.#ended({ value }),
      (error: unknown) => this.#ended({ error }),
    )
  }

  #ended(result: HandlerResult): void {
    this.#result = result
    if (this.phase === 'suspended') this.host.requestSlot(this)
    else this.wake()
  }

  #ask(name: string, command: Asked['command'], exclusive: boolean): Promise<unknown> {
    if (this.phase === 'over' || this.phase === 'ending') return new Promise(() => {})
    const replay = this.#replay as Replay
    const id = replay.nextId(name, exclusive)
    if (replay.count >= limits.commandsMax) {
      throw new SpineError(
        'SPINE_OPTION_INVALID',
        `${this.agent.name} asked for more than ${limits.commandsMax} steps and calls in one run.`,
        {
          limit: limits.commandsMax,
          fix: 'Split the work: hand off to a fresh run now and then.',
        },
      )
    }
    const promise = replay.ask(id, command)
    if (this.phase === 'suspended') this.host.requestSlot(this)
    else this.wake()
    return promise
  }

  /** Something may have changed for the handler: look once it has come to rest. */
  wake(): void {
    if (this.#wakePending || this.phase !== 'running') return
    this.#wakePending = true
    afterMicrotasks(() => {
      this.#wakePending = false
      if (this.phase === 'running') this.#advance()
    })
  }

  /** The handler has come to rest: one move, then let it run again. */
  #advance(): void {
    if (this.#result !== undefined) {
      void this.#end(this.#result)
      return
    }
    const replay = this.#replay as Replay
    const move = replay.next()
    switch (move.kind) {
      case 'release':
        this.#release(move.asked, move.record)
        return
      case 'perform':
        performCommands(this, move.asked)
        this.wake()
        return
      case 'mismatch':
        void this.#pause(move.error)
        return
      case 'wait':
        this.#suspendIfIdle(replay)
    }
  }

  #release(asked: Asked, record: LogRecord): void {
    this.#releasedTime = record.time
    const outcome = outcomeOf(asked.command, record)
    if ('error' in outcome) asked.reject(outcome.error)
    else asked.resolve(outcome.value)
    this.wake()
  }

  /** Waiting only for the log: the slot is free for others. A handler that waits for something of its own keeps it. */
  #suspendIfIdle(replay: Replay): void {
    if (this.busy > 0 || replay.open === 0) return
    this.phase = 'suspended'
    this.#releaseSlot()
  }

  #releaseSlot(): void {
    this.#runningTime.end()
    this.host.slotFreed(this)
  }

  #timedOut(): void {
    if (this.phase !== 'running') return
    const mismatch = (this.#replay as Replay).mismatchAtEnd('came to rest without asking for it')
    if (mismatch !== undefined) {
      void this.#pause(mismatch)
      return
    }
    const error = new SpineError('SPINE_TIMEOUT', `${this.agent.name} ran longer than ${this.agent.timeoutMs} ms.`, {
      limit: this.agent.timeoutMs,
      fix: "Hand 'signal' to what the steps call, or raise the agent's timeout.",
    })
    this.#stopSignal.abort(error)
    void this.fail(error)
  }

  async #end(result: HandlerResult): Promise<void> {
    if ('error' in result) return this.fail(result.error)
    const replay = this.#replay as Replay
    const mismatch = replay.mismatchAtEnd('ended')
    if (mismatch !== undefined) return this.#pause(mismatch)
    this.#beginEnding()
    try {
      await this.#effectsDone()
      const records = await finalRecords(
        this,
        (this.#context as RunContext).intentions,
        result.value,
        replay.openCommands(),
      )
      if (this.isOver) return
      await this.append(records)
      this.#over()
    } catch (error) {
      await this.fail(error)
    }
  }

  /** Ends the attempt as failed. */
  async fail(error: unknown): Promise<void> {
    if (this.isOver) return
    this.#beginEnding()
    if (!SpineError.is(error, 'SPINE_TIMEOUT')) await this.#effectsDone()
    if (this.isOver) return
    const failure = failureOf(error)
    await this.append([this.#failureRecord(failure)])
    this.#over()
    this.#stopSignal.abort(error)
  }

  #failureRecord(failure: Failure): NewRecord {
    const { host, agent } = this
    const header = { ...this.#header, time: host.clock.now() }
    const failedBefore = host.state.deliveries.attempt[this.row] as number
    const { attempts: attemptsMax, delayMsMin, delayMsMax } = agent.retry
    const { retryAfterMs } = failure
    const decision = decideFailure({
      failedBefore,
      attemptsMax,
      delayMsMin,
      delayMsMax,
      failure,
      retryAfterMs,
      now: header.time,
      random: host.random,
    })
    host.reportFailure(this, failure, decision)
    if (decision.kind === 'dead')
      return fact('spine.delivery.dead', header, { attempts: decision.attempts, error: failure })
    return fact('spine.delivery.retried', header, { attempt: decision.attempt, due: decision.due, error: failure })
  }

  async #pause(error: SpineError): Promise<void> {
    this.#beginEnding()
    await this.#effectsDone()
    if (this.isOver) return
    const failure = failureOf(error)
    this.host.reportFailure(this, failure, undefined)
    await this.append([
      fact(
        'spine.delivery.paused',
        { ...this.#header, time: this.host.clock.now() },
        { why: failure.code, error: failure },
      ),
    ])
    this.#over()
    this.#stopSignal.abort(error)
  }

  #beginEnding(): void {
    const running = this.phase === 'running'
    this.phase = 'ending'
    if (running) this.#releaseSlot()
  }

  async #effectsDone(): Promise<void> {
    while (this.#effects.size > 0) await Promise.allSettled([...this.#effects])
  }

  #over(): void {
    if (this.isOver) return
    const running = this.phase === 'running'
    this.phase = 'over'
    if (running) this.#releaseSlot()
    this.host.runOver(this)
  }
}
