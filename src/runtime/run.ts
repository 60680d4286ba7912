/**
 * One attempt at one delivery.
 *
 * Job: enter the handler (`execution.ts`), do what it asks, release outcomes in order (`replay.ts`), end with one commit.
 * Not its job: when it may run (`dispatcher.ts`), what a failure leads to in the state (`coordination/`).
 *
 * States: `running` (holds a slot: the handler computes, or a step of it runs here) → `suspended` (waits only for what
 * comes from the log; holds no slot) → `running` …  → `ending` (effects are awaited, the last commit is under way) →
 * `over` (nothing that the handler still does has an effect; its promises never settle).
 *
 * X1  Nothing is released except what the fold has passed.
 * X2  Every commit guards the lane, and the request unless it only records an effect that has started, or only looks on.
 * X3  An effect's start is durable before its function is entered, and its outcome is recorded even when the run is over.
 * X4  Only an attempt that is not over appends an end.
 * X5  An effect that had started is finished before its run ends well, also when the handler does not wait for it.
 * X6  A run that made room writes nothing more but what its steps under way bring.
 */
import type { Row } from '../coordination/delivery-table.ts'
import type { ExclusivePlace } from '../coordination/exclusives.ts'
import { callsToFinish } from '../coordination/gather.ts'
import type { AppendOutcome, Guard, IdempotencyKey } from '../engine/engine.ts'
import type { LogRecord, NewRecord, RecordHeader } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import { afterMicrotasks } from './after-microtasks.ts'
import { appendFor, type Guarded } from './append-for.ts'
import { type Envelope, Execution, type HandlerResult, headerNow, isReplayDue } from './execution.ts'
import { failureOf, lacksBudget } from './failure.ts'
import { failureRecord } from './failure-record.ts'
import { finalRecords } from './final-records.ts'
import type { HostedAgent } from './hosted-agent.ts'
import { isUnasked, type Journal, journalOf, NO_JOURNAL } from './journal.ts'
import { runGuards } from './lane.ts'
import { LazySignal } from './lazy-signal.ts'
import { envelopeInMemory } from './load-envelope.ts'
import { loadRun } from './load-run.ts'
import { performCommands } from './perform-commands.ts'
import { fact, rowHeader } from './record-draft.ts'
import { receivedOutcome } from './received-outcome.ts'
import type { RatedStart } from './rate-gate.ts'
import type { Outcome } from './replay.ts'
import { isHeldByTurn, judgedUpTo, RunFreshness } from './run-freshness.ts'
import type { RunHost } from './run-host.ts'
import { RunEffects } from './run-effects.ts'
import { RunStanding } from './run-standing.ts'
import { RunningTime, timeoutError } from './running-time.ts'
import { endedBy, OVER, PREEMPTED } from './ended-by.ts'

export type RunPhase = 'running' | 'suspended' | 'ending' | 'over'

export class Run {
  readonly host: RunHost
  readonly agent: HostedAgent
  readonly row: Row
  readonly source: Sequence
  phase: RunPhase = 'running'
  /** Steps that run here and commits that are under way: while there are any, the run is not suspended. */
  busy = 0
  /** Its last commit is on its way. */
  isConcluded = false
  /** Its start was made durable before it was entered. */
  isCareful = false

  readonly #observes: boolean
  /** What its delivery is ordered by; empty for unordered work. */
  readonly orderKey: string
  /** What it keeps others from working at, of an agent that is exclusive. */
  readonly exclusive: ExclusivePlace | undefined
  /** Its last commit ends the delivery, whatever is open of it: what it has called is given up. */
  endsForGood = false
  /** Open calls that its good end leaves to themselves. */
  #outliving: ReadonlySet<string> | undefined
  /** It has something to do, and stands in line for a slot. */
  isWaitingForSlot = false
  /** More urgent work wants its slot, at its next step. */
  isAskedToYield = false
  /** Its steps that still run may be joined. */
  isPreempted = false
  readonly generation: number
  /** Plain steps whose function runs, by id: each tells whether it left an outcome on the log. */
  readonly stepsUnderWay = new Map<string, Promise<boolean>>()
  /** Stopped from outside, and all that it had begun rests. */
  onRest: (() => void) | undefined

  #stopSignal: LazySignal | undefined
  readonly #header: Omit<RecordHeader, 'type'>
  readonly #runningTime: RunningTime
  #envelope: Envelope | undefined
  #execution: Execution | undefined
  readonly effects = new RunEffects()
  /** Waits for newer turns of the session to be over. */
  readonly freshness = new RunFreshness()
  /** Outcomes that came in while there was no execution to give them to. */
  #early: Outcome[] = []
  /** Outcomes up to here were given to a handler run from the top. */
  #replayedTo: Sequence = 0
  readonly #standing = new RunStanding()
  #wakePending = false
  /** Something has come for it while it was suspended. */
  #isStirred = false

  constructor(host: RunHost, agent: HostedAgent, row: Row, source: Sequence) {
    this.host = host
    this.generation = host.state.deliveries.generation[row] as number
    this.#observes = host.state.deliveries.observes[row] === 1
    this.agent = agent
    this.row = row
    this.source = source
    this.orderKey = host.state.deliveries.key[row] as string
    this.exclusive = host.state.exclusives.placeOf(row)
    this.#header = rowHeader(host.state, row, 0)
    this.#runningTime = new RunningTime(host.clock, agent.timeoutMs, () => this.#timedOut())
  }

  /** Loads the envelope and enters the handler; at once when memory has it all. A start that is counted is careful. */
  start(carefully: boolean, rated?: RatedStart): void {
    this.isCareful = carefully
    const fromLog = carefully || this.agent.options.dedupe !== undefined
    const envelope = fromLog ? undefined : envelopeInMemory(this.host, this.row, this.source)
    if (envelope === undefined) void this.#load(rated)
    else this.#begin(envelope, NO_JOURNAL)
  }

  async #load(rated: RatedStart | undefined): Promise<void> {
    try {
      const loaded = await loadRun(this, this.#standing, rated)
      if (loaded !== undefined) this.#begin(loaded.envelope, loaded.journal)
    } catch (error) {
      // What cannot be loaded fails the attempt like anything that the handler throws.
      await this.fail(error)
    }
  }

  /** It repeats another, and its handler is not entered. */
  async skip(of: Sequence): Promise<void> {
    this.#beginEnding()
    await this.#conclude([fact('spine.delivery.skipped', headerNow(this), { why: 'duplicate', of })])
    this.#over()
  }

  #begin(envelope: Envelope, journal: Journal): void {
    const { host } = this
    if (this.isOver) return
    // Loading may have taken a while; who decides what has become due ends the delivery.
    if (host.clock.now() >= (this.#header.deadline ?? Number.POSITIVE_INFINITY)) {
      this.#over()
      return
    }
    this.#envelope = envelope
    this.#standing.enter(host.state.at, journal.basis)
    this.#runningTime.begin()
    if (!this.isCareful) host.startedRuns.entered(this)
    this.#enter(new Execution(this, envelope, journal, this.#early))
  }

  /** The fold tells of an outcome. */
  receive(command: string, record: LogRecord): void {
    if (this.isOver || isUnasked(command)) return
    const outcome = receivedOutcome(this, command, record)
    if (this.#execution === undefined) {
      this.#early.push(outcome)
      return
    }
    this.#execution.replay.receive(outcome)
    this.stirred()
  }

  /** There is something to do: at once, or when a suspended run has a slot again. */
  stirred(): void {
    if (this.phase === 'suspended') {
      this.#isStirred = true
      this.host.requestSlot(this)
    } else this.wake()
  }

  /** A slot has been given back to a suspended run. */
  resume(): void {
    if (this.phase !== 'suspended') return
    this.#isStirred = false
    this.phase = 'running'
    this.#runningTime.begin()
    this.host.startedRuns.entered(this)
    this.wake()
  }

  /** The fold tells that the delivery has ended: by this run's own last commit, or from outside. */
  ended(record: LogRecord): void {
    const own = record.cause === this.source && record.agent === this.agent.name && this.phase === 'ending'
    if (own) this.#over()
    else this.stop(endedBy(record))
  }

  /** Ends it from outside: cancelled, expired, closed. Effects that have started are finished. */
  stop(reason: unknown): void {
    if (this.isOver) return
    this.#abort(reason)
    this.#over()
    this.host.runStopped(this)
  }

  /** No newer turn stands in its way any more. */
  freshAgain(): void {
    this.freshness.freshAgain()
    if (this.#execution !== undefined) this.stirred()
  }

  /** Its end, which is on the way, ends this call of it. */
  givesUp(call: string | undefined): boolean {
    return this.endsForGood && (call === undefined || this.#outliving?.has(call) !== true)
  }

  /** Makes room for more urgent work. What the log has of it stays, and so does what a step of it still brings (X6). */
  preempt(by: Sequence): void {
    this.isPreempted = this.agent.preempt.then === 'resume'
    const stand = this.#execution === undefined ? {} : this.stand()
    const data = this.isPreempted ? { by, ...stand } : { by, generation: this.generation + 1 }
    // Guarded by the lane alone: the fold ignores it when the delivery has ended.
    void this.append([fact('spine.delivery.preempted', headerNow(this), data)], 'lane')
    this.#abort(PREEMPTED)
    this.#over()
    this.host.runStopped(this)
  }

  /** As if the process had died here: nothing is written, nothing is told. */
  abandon(): void {
    this.#runningTime.end()
    this.phase = 'over'
  }

  get isOver(): boolean {
    return this.phase === 'over'
  }

  /** It waits for the log, and nothing has come for it. */
  get isAtRest(): boolean {
    return this.phase === 'suspended' && this.busy === 0 && !this.#isStirred && !this.freshness.isAsking
  }

  get signal(): AbortSignal {
    this.#stopSignal ??= new LazySignal()
    return this.#stopSignal.signal
  }

  #abort(reason: unknown): void {
    this.#stopSignal ??= new LazySignal()
    this.#stopSignal.abort(reason)
  }

  /** Of the records that tell of this run, with the time of the first. */
  get header(): Omit<RecordHeader, 'type'> {
    return this.#header
  }

  /** Whether this effect started before and left no outcome. */
  maybeDone(id: string): boolean {
    return this.#execution?.maybeDone(id) === true
  }

  /** On the first journal record of the run: where it stands. Later ones say nothing. */
  stand(): { readonly basis?: number; readonly version?: string } {
    return this.#standing.told(this.agent.version)
  }

  append(
    records: readonly NewRecord[],
    guarded: Guarded = 'all',
    key?: IdempotencyKey,
  ): Promise<AppendOutcome | undefined> {
    return appendFor(this, records, guarded, key)
  }

  guards(guarded: Guarded): readonly Guard[] {
    const lane = this.host.laneGuard()
    if (guarded === 'lane') return [lane]
    const judged = guarded === 'all' ? judgedUpTo(this) : undefined
    return runGuards(lane, this.#header, this.agent, this.#standing.since, this.#observes, judged)
  }

  /** Facts that ride along with whatever the run writes next. */
  withMarkers(records: readonly NewRecord[]): readonly NewRecord[] {
    const markers = this.#execution?.markers ?? []
    if (this.#execution === undefined || markers.length === 0) return records
    this.#execution.markers = []
    return [...markers, ...records]
  }

  #enter(execution: Execution): void {
    this.#early = []
    this.#execution = execution
    execution.enter()
    // A handler that never waits has come to rest already.
    if (execution.result !== undefined && execution.replay.count === 0 && !isHeldByTurn(this))
      this.#end(execution, execution.result)
    else this.wake()
  }

  /** The handler is run again from the top, and given the journal up to and with this outcome. */
  async #replayFromTop(record: LogRecord): Promise<void> {
    this.#replayedTo = record.sequence
    this.#execution?.replace()
    this.#execution = undefined
    const journal = await journalOf(this.host.state, this.host.records, this.row)
    if (!this.isOver) this.#enter(new Execution(this, this.#envelope as Envelope, journal, this.#early))
  }

  /** Something may have changed for the handler: look once it has come to rest. */
  wake(): void {
    if (this.busy === 0) this.onRest?.()
    if (this.#wakePending || this.phase !== 'running') return
    this.#wakePending = true
    afterMicrotasks(() => {
      this.#wakePending = false
      if (this.phase === 'running' && this.#execution !== undefined) this.#advance(this.#execution)
    })
  }

  /** The handler has come to rest: one move, then let it run again. */
  #advance(execution: Execution): void {
    if (isHeldByTurn(this)) {
      this.#suspendIfIdle(true)
      return
    }
    if (execution.result !== undefined) {
      this.#end(execution, execution.result)
      return
    }
    this.#runningTime.arm()
    const { replay } = execution
    const move = replay.next()
    switch (move.kind) {
      case 'release':
        if (isReplayDue(this, move.outcome.record, this.#replayedTo)) {
          void this.#replayFromTop(move.outcome.record)
          return
        }
        execution.release(move.asked, move.outcome)
        this.wake()
        return
      case 'perform':
        if (this.isAskedToYield && this.host.yields(this)) return
        performCommands(this, move.asked)
        this.wake()
        return
      case 'mismatch':
        void this.#pause(move.error)
        return
      case 'wait':
        this.#suspendIfIdle(replay.open > 0)
    }
  }

  /** Waiting only for the log: the slot is free for others. A handler that waits for something of its own keeps it. */
  #suspendIfIdle(waits: boolean): void {
    if (this.busy > 0 || !waits) return
    this.phase = 'suspended'
    this.#releaseSlot()
  }

  #releaseSlot(): void {
    this.#runningTime.end()
    this.host.slotFreed(this)
  }

  #timedOut(): void {
    if (this.phase !== 'running') return
    const mismatch = this.#execution?.replay.mismatchAtEnd('came to rest without asking for it')
    if (mismatch !== undefined) {
      void this.#pause(mismatch)
      return
    }
    const error = timeoutError(this.agent)
    this.#abort(error)
    void this.fail(error)
  }

  #end(execution: Execution, result: HandlerResult): void {
    if ('error' in result) {
      void this.fail(result.error)
      return
    }
    const mismatch = execution.replay.mismatchAtEnd('ended')
    if (mismatch !== undefined) {
      void this.#pause(mismatch)
      return
    }
    // X5
    const started = execution.replay.takeStartedEffects()
    if (started.length > 0) performCommands(this, started)
    this.#beginEnding()
    if (!this.effects.any) this.#complete(execution, result.value)
    else
      void this.#effectsDone().then((done) => {
        if (done) this.#complete(execution, result.value)
        else void this.fail(timeoutError(this.agent))
      })
  }

  #complete({ replay, context }: Execution, value: unknown): void {
    if (this.isOver) return
    try {
      const records = finalRecords(this, context.intentions, value, replay.openCommands())
      if (!(records instanceof Promise)) this.#commitEnd(records)
      else
        void records.then(
          (made) => this.#commitEnd(made),
          (error: unknown) => this.fail(error),
        )
    } catch (error) {
      void this.fail(error)
    }
  }

  #commitEnd(records: readonly NewRecord[]): void {
    if (this.isOver) return
    this.isConcluded = true
    this.endsForGood = true
    const journal = this.host.state.runs.get(this.row)
    if (journal?.gathers !== undefined) this.#outliving = callsToFinish(journal)
    this.host.startedRuns.settled(this)
    const commit = { guards: this.guards('all'), records: this.withMarkers(records) }
    this.host.post(commit, (outcome, error) => {
      // In the usual case the fold has told it already.
      if (this.isOver) return
      if (outcome === undefined && SpineError.is(error, 'SPINE_COMMIT_TOO_LARGE')) {
        this.endsForGood = false
        this.#outliving = undefined
        void this.fail(error)
      } else if (outcome?.status === 'conflict') {
        void this.freshness.passes(this, outcome).then((passes) => {
          if (passes) this.#commitEnd(records)
          else this.stop(outcome)
        })
      } else if (outcome === undefined) this.stop(error)
      else this.#over()
    })
    // The log refuses what is too large at once; from here on this end is ahead of whatever the called ones would write.
    if (this.endsForGood) this.host.giveUpCalls(this.row, this.#outliving)
  }

  async fail(error: unknown): Promise<void> {
    if (this.isOver) return
    this.#beginEnding()
    if (!SpineError.is(error, 'SPINE_TIMEOUT')) await this.#effectsDone()
    if (this.isOver) return
    if (lacksBudget(error)) return this.#endPaused(error, 'budget', this.#execution?.came(error))
    const record = failureRecord(this, error, this.#execution?.came(error) ?? {})
    this.endsForGood = record.type === 'spine.delivery.dead'
    const concluded = this.#conclude([record])
    if (this.endsForGood) this.host.giveUpCalls(this.row, this.#outliving)
    await concluded
    this.#abort(error)
    this.#over()
  }

  /** The last commit of the attempt. What a step of it still brings is not recorded any more. */
  async #conclude(records: readonly NewRecord[]): Promise<void> {
    this.isConcluded = true
    await this.append(records)
  }

  async #pause(error: SpineError): Promise<void> {
    this.#beginEnding()
    await this.#effectsDone()
    if (this.isOver) return
    await this.#endPaused(error, error.code)
  }

  async #endPaused(error: unknown, why: string, came?: ReturnType<Execution['came']>): Promise<void> {
    const failure = failureOf(error)
    this.host.reportFailure(this, failure, undefined)
    await this.#conclude([fact('spine.delivery.paused', headerNow(this), { why, error: failure, ...came })])
    this.#abort(error)
    this.#over()
  }

  #beginEnding(): void {
    const running = this.phase === 'running'
    this.phase = 'ending'
    if (running) this.#releaseSlot()
  }

  #effectsDone(): Promise<boolean> {
    return this.effects.done(this.host.clock, this.agent.timeoutMs)
  }

  #over(): void {
    if (this.isOver) return
    const running = this.phase === 'running'
    this.phase = 'over'
    if (running) this.#releaseSlot()
    this.freshness.freshAgain()
    // Steps that lost a race, and whoever else still holds the signal.
    this.#stopSignal?.abort(OVER)
    this.host.runOver(this)
  }
}
