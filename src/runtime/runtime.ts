/**
 * One process on one log: folds it, owns its lane, turns what changed and what became due into runs and records.
 *
 * Job: the loop from a folded batch to the next decision. Not its job: the rules (`coordination/`), the handlers'
 * journals (`run.ts`), the questions of users (`spine.ts` and its neighbours).
 *
 * V1  It decides only after it has folded past its own claim of the lane.
 * V2  Every commit it makes for a delivery guards the lane, so that a stale owner's commit is refused, however late.
 * V3  After a failed write nothing more starts and nothing more is acknowledged.
 */
import { hostname } from 'node:os'
import type { AnyEventType } from '../agent/event-type.ts'
import { calledWork } from '../coordination/called-work.ts'
import { decideDue, dropStale, type FailureDecision } from '../coordination/decide.ts'
import type { Row } from '../coordination/delivery-table.ts'
import type { DueEntry } from '../coordination/due-heap.ts'
import type { Mark } from '../coordination/state.ts'
import { type Unavailability, whyUnavailable } from '../coordination/unavailability.ts'
import type { AppendOutcome, Engine, Guard } from '../engine/engine.ts'
import type { Failure } from '../event/catalogue.ts'
import type { Priority } from '../event/priority.ts'
import type { LogRecord, NewRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import { SpineError } from '../kernel/errors.ts'
import { createUuid } from '../kernel/ids.ts'
import type { Random } from '../kernel/random.ts'
import { AfterLookUps } from './after-look-ups.ts'
import { Appender, type CommitDraft, type Settled } from './appender.ts'
import { ChargesOnTheWay } from './charges-on-the-way.ts'
import { LowBudgetsTold } from './low-budgets-told.ts'
import { Spendings } from './spendings.ts'
import { CatchUp } from './catch-up.ts'
import { CallsOnTheWay } from './calls-on-the-way.ts'
import { Dispatcher } from './dispatcher.ts'
import { EventWaits } from './event-waits.ts'
import { eventTypesOf, type HostedAgent, type HostedAgents } from './hosted-agent.ts'
import { LANE, LANE_HEAD } from './lane.ts'
import { LaneOwner } from './lane-owner.ts'
import { LogFold } from './log-fold.ts'
import { describeFailure, type Logger, unthrowing } from './logger.ts'
import { fact, startedRecord, systemHeader } from './record-draft.ts'
import { Marks } from './marks.ts'
import { PreemptedSteps } from './preempted-steps.ts'
import { Records } from './records.ts'
import { changedRegistrations, requireNoCircle, requireRetained } from './registrations.ts'
import { RequestEnds } from './request-ends.ts'
import { requireRegistered } from './require-registered.ts'
import type { Run } from './run.ts'
import type { Interception, RunHost } from './run-host.ts'
import { SessionStates } from './session-states.ts'
import { Snapshots } from './snapshots.ts'
import { withTurns } from './with-turns.ts'
import { StartedRuns } from './started-runs.ts'

export interface RuntimeOptions {
  readonly engine: Engine
  readonly hosted: HostedAgents
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
  readonly interception?: Interception | undefined
  readonly pools?: { readonly [name: string]: number } | undefined
}

const GIVEN_UP = new SpineError('SPINE_REQUEST_CANCELLED', 'Whoever asked for the work has ended.')
const EXPIRED = new SpineError('SPINE_EXPIRED', 'The deadline of the work passed.')

export class Runtime implements RunHost {
  readonly engine: Engine
  /** By name, in the version that takes what is new. */
  readonly hosted: ReadonlyMap<string, HostedAgent>
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
  readonly interception: Interception | undefined
  readonly startedRuns = new StartedRuns((run) => this.state.deliveries.started[run.row] === 1)
  readonly records: Records
  readonly sessions: SessionStates
  readonly types: Map<string, AnyEventType>
  readonly callsOnTheWay = new CallsOnTheWay()
  readonly chargesOnTheWay = new ChargesOnTheWay()
  readonly lowBudgetsTold = new LowBudgetsTold()
  readonly spendings: Spendings
  readonly effectsUnderWay = new Map<string, Promise<unknown>>()
  readonly preemptedSteps: PreemptedSteps
  readonly writer: string
  readonly catchUp: CatchUp
  /** Called after every folded batch; for waits of users. */
  readonly onFolded = new Set<(marks: readonly Mark[]) => void>()
  /** Called for every record once it is folded; for waits of users. */
  readonly onRecord = new Set<(record: LogRecord) => void>()
  /** Called when a run waits for the log alone; for waits of users. */
  readonly onSuspended = new Set<(row: Row) => void>()
  readonly #fold: LogFold
  readonly #appender: Appender
  readonly #dispatcher: Dispatcher
  readonly #owner: LaneOwner
  readonly #lookUps: AfterLookUps
  readonly #waits: EventWaits
  readonly #snapshots: Snapshots
  readonly #marks: Marks
  readonly #hosted: HostedAgents
  #claimed: Sequence = 0
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #failure: unknown
  #closed = false
  /** From the first moment of `stop` on: why nobody outside may append any more. */
  #closing: SpineError | undefined
  /** Called when a run has let go of its slot, or is over. */
  #onRunRests = () => {}
  readonly #ends = new RequestEnds()

  constructor({ engine, hosted, logger, clock, random, interception, pools }: RuntimeOptions) {
    this.engine = engine
    this.#hosted = hosted
    this.hosted = hosted.current
    this.interception = interception
    this.logger = unthrowing(logger)
    this.clock = clock
    this.random = random
    this.records = new Records(engine)
    this.spendings = new Spendings(this)
    this.sessions = new SessionStates(engine)
    this.types = eventTypesOf(hosted.all())
    this.writer = createUuid(clock.now(), random)
    this.#fold = new LogFold(engine, {
      onRecord: (record) => this.#remember(record),
      onFolded: (marks) => this.#folded(marks),
      onBroken: (error) => this.#fail(error),
    })
    this.#appender = new Appender(
      engine,
      this.#fold,
      this.writer,
      (error) => this.#fail(error),
      () => this.#nameStartedRuns(),
    )
    this.preemptedSteps = new PreemptedSteps(clock)
    this.#dispatcher = new Dispatcher(this, hosted, pools)
    this.#owner = new LaneOwner(this)
    this.#lookUps = new AfterLookUps(this)
    this.#waits = new EventWaits(this)
    this.catchUp = new CatchUp(this)
    this.#snapshots = new Snapshots(engine, clock)
    this.#marks = new Marks(this, this.#dispatcher, this.#owner, this.#lookUps, this.#waits, this.catchUp)
  }

  get state() {
    return this.#fold.state
  }

  get failure(): unknown {
    return this.#failure
  }

  /** Nothing more will be folded. */
  get isClosed(): boolean {
    return this.#closed || this.#failure !== undefined
  }

  /** True when the fold has passed `at`, false when the spine has closed or the log has failed. */
  passing(at: Sequence): Promise<boolean> | boolean {
    if (this.state.at > at) return true
    if (this.isClosed) return false
    return new Promise((resolve) => {
      const look = () => {
        if (this.state.at <= at && !this.isClosed) return
        this.onFolded.delete(look)
        resolve(this.state.at > at)
      }
      this.onFolded.add(look)
    })
  }

  /** How a request was ended by someone or by time, as far as memory knows; `'unknown'` asks for a look at the log. */
  endOf(request: string): 'cancelled' | 'expired' | 'unknown' | undefined {
    const root = this.records.recentRoot(request)
    if (root === undefined || root.sequence <= this.#claimed) return 'unknown'
    return this.#ends.of(request)
  }

  isRecent(request: string): boolean {
    return (this.records.recentRoot(request)?.sequence ?? 0) > this.#claimed
  }

  isBusy(agent: string): boolean {
    return this.#dispatcher.isBusy(agent)
  }

  isBarred(row: Row): boolean {
    return this.#dispatcher.isBarred(row)
  }

  isForgotten(row: Row): boolean {
    return this.#dispatcher.isForgotten(row)
  }

  isHeldByStopped(row: Row): boolean {
    return this.#dispatcher.isHeldByStopped(row)
  }

  get liveRuns(): Iterable<Run> {
    return this.#dispatcher.liveRuns
  }

  runOf(row: number): Run | undefined {
    return this.#dispatcher.runOf(row, this.state.deliveries.source[row] as Sequence)
  }

  /** Folds the log, claims the lane, registers what changed, and begins to work. */
  async start(): Promise<void> {
    const from = await this.#fold.start()
    this.sessions.beginAt(from)
    this.#snapshots.startAt(from)
    requireNoCircle(this.hosted.values(), this.state)
    await this.#claim(`${hostname()}:${process.pid}`)
    await this.#register()
    await this.#marks.takeOver()
    this.tick()
  }

  /**
   * Hosts one more agent, or a newer version of one. Resolves when its registration is folded.
   *
   * @throws SPINE_AGENT_INVALID, SPINE_LANE_LOST
   */
  async host(agent: HostedAgent): Promise<void> {
    this.#dispatcher.poolOf(agent)
    this.#hosted.add(agent)
    if (this.hosted.get(agent.name) !== agent) return
    this.#dispatcher.add(agent)
    for (const [name, type] of eventTypesOf([agent])) this.types.set(name, type)
    await this.#register()
  }

  /** Nothing runs here, nothing could start, and nothing is on its way to the log. */
  get isIdle(): boolean {
    if (this.isClosed) return true
    const parts = [this.#appender, this.#dispatcher, this.#lookUps, this.#waits, this.catchUp]
    if (parts.some(({ isIdle }) => !isIdle)) return false
    for (const run of this.liveRuns) if (run.phase !== 'suspended') return false
    return true
  }

  /** As if the process had died here: nothing more is written, folded or started, and what waits is told so. */
  abandon(error: SpineError): void {
    this.#closed = true
    this.#failure ??= error
    this.#dispatcher.stop()
    this.#timer?.cancel()
    this.#snapshots.stop()
    this.#fold.stop()
    for (const run of this.liveRuns) run.abandon()
    this.#appender.abandon(error)
    for (const listener of [...this.onFolded]) listener([])
  }

  async #claim(owner: string): Promise<void> {
    const claim = fact('spine.lane.claimed', systemHeader(this.clock.now()), { lane: LANE, owner })
    const guards = [{ head: LANE_HEAD, notAfter: this.state.lanes.get(LANE)?.claimed ?? 0 }]
    const outcome = await this.append({ guards, moves: [LANE_HEAD], records: [claim] })
    if (outcome.status !== 'appended') throw this.#laneLost()
    this.#claimed = outcome.last
  }

  async #register(): Promise<void> {
    await requireRetained(this.hosted.values(), this.state, this.engine)
    for (const records of changedRegistrations(this.hosted.values(), this.state, this.clock.now()))
      await this.appendAsOwner(records)
  }

  append(commit: CommitDraft): Promise<AppendOutcome> {
    return this.#appender.append(withTurns(this.state, commit))
  }

  /** For what somebody outside asked for: refused with SPINE_LOG_BUSY when too much waits to be written. */
  appendOrRefuse(commit: CommitDraft): Promise<AppendOutcome> {
    if (this.#closing !== undefined) return Promise.reject(this.#closing)
    return this.#appender.append(withTurns(this.state, commit), true)
  }

  /** For what must not be lost in silence: rejects with SPINE_LANE_LOST when another process owns the lane by now. */
  async appendAsOwner(records: readonly NewRecord[]): Promise<void> {
    const outcome = await this.append({ guards: [this.laneGuard()], records })
    if (outcome.status === 'conflict') throw this.#laneLost()
  }

  post(commit: CommitDraft, settled: Settled): void {
    this.#appender.post(withTurns(this.state, commit), settled)
  }

  laneGuard(): Guard {
    return { head: LANE_HEAD, notAfter: this.#claimed }
  }

  unavailability(agent: string, priority: Priority | undefined): Unavailability | undefined {
    const onTheWay = this.callsOnTheWay.to(agent)
    return whyUnavailable(this.state, agent, this.hosted.has(agent), onTheWay, this.clock.now(), priority)
  }

  requireRegistered(agent: string): void {
    requireRegistered(this.state, agent)
  }

  requestSlot(run: Run): void {
    this.#dispatcher.requestSlot(run)
  }

  park(row: Row): void {
    this.#owner.park(row)
  }

  probe(row: Row): void {
    this.#owner.probe(row)
  }

  /** When a delivery that waits for the rate of its agent is looked at again. */
  rateWaitOf(row: Row): number | undefined {
    return this.#dispatcher.rates.waitsUntil(row)
  }

  slotFreed(run: Run): void {
    if (run.phase !== 'suspended') this.startedRuns.over(run)
    else {
      this.startedRuns.suspended(run)
      // A crash counts for who is known to run: whoever started carefully is not left in suspicion.
      if (run.isCareful && this.state.deliveries.started[run.row] === 1) this.#nameNow()
    }
    this.#dispatcher.slotFreed(run)
    if (run.phase === 'suspended') for (const listener of this.onSuspended) listener(run.row)
    this.#onRunRests()
  }

  yields(run: Run): boolean {
    return this.#dispatcher.yields(run)
  }

  runOver(run: Run): void {
    this.#dispatcher.runOver(run)
    this.#onRunRests()
  }

  runStopped(run: Run): void {
    this.#dispatcher.runStopped(run)
  }

  giveUpCalls(caller: Row, outliving: ReadonlySet<string> | undefined): void {
    // Most runs call nobody, and need no walk.
    if (!this.state.runs.has(caller)) return
    for (const row of calledWork(this.state, caller, outliving)) this.runOf(row)?.stop(GIVEN_UP)
  }

  giveUp(row: Row): void {
    for (const each of [row, ...calledWork(this.state, row)]) this.runOf(each)?.stop(EXPIRED)
  }

  reportFailure(run: Run, failure: Failure, decision: FailureDecision | undefined): void {
    this.logger.warn(describeFailure(run, failure, decision, this.clock.now()))
  }

  isRunning(row: Row): boolean {
    return this.runOf(row) !== undefined
  }

  lookAgainAt(entry: DueEntry): void {
    this.state.due?.push(entry)
    this.#armTimer()
  }

  /** Does what has become due and sets the timer for what comes next. */
  tick(): void {
    if (this.#failure !== undefined) return
    for (const decision of decideDue(this.state, this.clock.now())) {
      if (decision.kind === 'start') this.#dispatcher.ready(decision.row, decision.source)
      else if (decision.kind === 'look-again') this.#waits.lookAgain(decision)
      else if (decision.kind === 'half-open') this.#dispatcher.resumed(decision.agent)
      else if (decision.kind === 'pass-rate') this.#dispatcher.rates.pass(decision.place)
      else if (decision.kind === 'fire-timer' && decision.isWait)
        this.#waits.expire(decision, () => this.#owner.carryOut(decision))
      else this.#owner.carryOut(decision)
    }
    this.#armTimer()
  }

  /**
   * Starts nothing more; runs that hold a slot get until `drainMs` to end. What is not done by then goes on with the
   * next owner: an effect that still runs is run again there, with its key and `maybeDone`.
   */
  async stop(drainMs: number): Promise<void> {
    const reason = new SpineError('SPINE_CLOSED', 'The spine is closing.')
    this.#closing = reason
    this.#dispatcher.stop()
    await this.#drained(drainMs)
    this.#timer?.cancel()
    for (const run of [...this.liveRuns]) run.stop(reason)
    if (this.#failure === undefined) {
      // An effect that has returned is written down while the lane is held; one more turn brings it to the appender.
      if (this.effectsUnderWay.size > 0) await new Promise((resolve) => setImmediate(resolve))
      // Behind everything that was asked for before: when it has been folded, so has all of that.
      const record = fact('spine.lane.released', systemHeader(this.clock.now()), { lane: LANE })
      await this.append({ guards: [this.laneGuard()], records: [record] }).catch(() => undefined)
    }
    // What effects still bring is on its way, and this process will not hear of it.
    this.#appender.abandon(new SpineError('SPINE_CLOSED', 'The spine has closed.', { outcome: 'unknown' }))
    this.#snapshots.stop()
    this.#fold.stop()
    this.#closed = true
    for (const listener of [...this.onFolded]) listener([])
  }

  async #drained(drainMs: number): Promise<void> {
    const isBusy = () => [...this.liveRuns].some((run) => run.phase === 'running' || run.phase === 'ending')
    if (!isBusy() || drainMs === 0 || this.#failure !== undefined) return
    await new Promise<void>((resolve) => {
      const timer = this.clock.setTimer(this.clock.now() + drainMs, resolve)
      this.#onRunRests = () => {
        if (isBusy() && this.#failure === undefined) return
        timer.cancel()
        resolve()
      }
    })
    this.#onRunRests = () => {}
  }

  #remember(record: LogRecord): void {
    this.records.remember(record)
    if (this.state.deliveries.hasSource(record.sequence) && this.#hosted.hears(record)) this.records.keep(record)
    this.sessions.remember(record)
    this.#ends.remember(record)
    if (this.chargesOnTheWay.size > 0) this.chargesOnTheWay.folded(record)
    if (this.state.budgets.isUsed) this.spendings.remember(record)
    if (this.onRecord.size > 0) for (const listener of this.onRecord) listener(record)
    if (record.type === 'spine.lane.claimed' && this.#claimed !== 0 && record.sequence > this.#claimed)
      this.#fail(this.#laneLost())
  }

  #folded(marks: readonly Mark[]): void {
    this.#marks.carryOut(marks)
    this.catchUp.folded()
    dropStale(this.state)
    if (this.state.due?.next !== undefined) this.#armTimer()
    this.#snapshots.folded(this.state)
    for (const listener of [...this.onFolded]) listener(marks)
  }

  #armTimer(): void {
    const next = this.state.due?.next
    if (next === undefined || next >= this.#timerAt) return
    this.#timer?.cancel()
    this.#timerAt = next
    this.#timer = this.clock.setTimer(next, () => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.tick()
    })
  }

  /** Rides along with a batch that goes out anyway, and is not awaited. */
  #nameStartedRuns(): CommitDraft | undefined {
    const named = this.startedRuns.nextBatch()
    if (named === undefined) return undefined
    return { guards: [this.laneGuard()], records: [startedRecord(named.started, named.suspended, this.clock.now())] }
  }

  #nameNow(): void {
    const commit = this.#nameStartedRuns()
    if (commit !== undefined) this.append(commit).catch(() => undefined)
  }

  #laneLost(): SpineError {
    const lane = this.state.lanes.get(LANE)
    return new SpineError('SPINE_LANE_LOST', `This log is owned by ${lane?.owner ?? 'another process'} now.`, {
      fix: 'Let one process own the log, or use a shared engine.',
    })
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#appender.fail(error)
    this.#dispatcher.stop()
    for (const run of [...this.liveRuns]) run.stop(error)
    this.logger.warn(
      `The log cannot be written any more, and nothing is acknowledged until it is reopened: ${(error as Error).message}`,
    )
    this.#onRunRests()
    for (const listener of [...this.onFolded]) listener([])
  }
}
