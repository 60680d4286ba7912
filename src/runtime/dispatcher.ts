/**
 * Which deliveries run here, and when: slots per agent and per pool, the most urgent first, those that resume before those
 * that start.
 *
 * Job: start runs, hand out slots, make room for what is more urgent. Not its job: order within a key, which the fold keeps
 * (only the head of a key is ever ready); the order of what waits (`line.ts`, `pool.ts`).
 *
 * U1  At most `concurrency` runs of an agent hold a slot, and at most as many of a pool as it has, save one in its reserve.
 *     A suspended run holds none.
 * U2  One delivery has at most one run at a time.
 * U3  An entry of a line may be out of date; the state is asked again before anything starts, or makes room for it.
 * U4  A run that starts alone holds the only slot of the process (coordination/crashes.ts).
 * U5  What an agent that is paused, or whose breaker is open, may not start is kept in its order (coordination/pauses.ts,
 *     coordination/breakers.ts).
 * U6  What makes room for more urgent work starts again only when the log says that it did.
 */
import { type StartMode, startMode } from '../coordination/crashes.ts'
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import type { AgentState } from '../coordination/state.ts'
import { NORMAL, type Urgency } from '../event/priority.ts'
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { HostedAgent, HostedAgents } from './hosted-agent.ts'
import { ExclusiveRuns } from './exclusive-runs.ts'
import { LANE } from './lane.ts'
import { Line } from './line.ts'
import { createPools, NOTHING, type Pool } from './pool.ts'
import { Preemption } from './preemption.ts'
import { RateGate, type RatedStart, type RateGateHost } from './rate-gate.ts'
import { Run } from './run.ts'
import { StartGate } from './start-gate.ts'
import { StoppedRuns } from './stopped-runs.ts'
import { SuspendedRuns } from './suspended-runs.ts'

interface Loner {
  readonly line: Line
  readonly row: Row
  readonly source: Sequence
}

/** About a millisecond of handlers that do little; timers and I/O get their turn in between. */
const ENTERED_PER_TURN = 128

export class Dispatcher {
  readonly #host: RateGateHost
  readonly #hosted: HostedAgents
  readonly #lines = new Map<string, Line>()
  readonly #pools: ReadonlyMap<string, Pool>
  readonly #live = new Map<Row, Run>()
  /** Became ready again while their last attempt was still ending. */
  readonly #again = new Map<Row, Sequence>()
  readonly #preemption: Preemption
  readonly #exclusives: ExclusiveRuns
  readonly #gate: StartGate
  readonly #suspended: SuspendedRuns
  /** What wants the process to itself. While there is any, nothing else starts. */
  readonly #loners: Loner[] = []
  readonly #stoppedRuns: StoppedRuns
  readonly rates: RateGate
  #isAlone = false
  #slotsTaken = 0
  /** Work of more than one class has been seen: somebody may have to make room. */
  #hasClasses = false
  /** Handlers entered or resumed since the event loop last turned, as far as that was necessary to know. */
  #entered = 0
  #isYielding = false
  #stopped = false

  /** @throws SPINE_OPTION_INVALID for pools that make no sense, SPINE_AGENT_INVALID for an agent of an unknown pool */
  constructor(host: RateGateHost, hosted: HostedAgents, pools: { readonly [name: string]: number } | undefined) {
    this.#host = host
    this.#hosted = hosted
    this.#pools = createPools(pools)
    this.#suspended = new SuspendedRuns(host.interception?.suspendedRunsMax ?? limits.suspendedRunsMax)
    this.#stoppedRuns = new StoppedRuns(host, (row, source) => this.ready(row, source))
    this.#preemption = new Preemption(host, (run) => this.#lines.get(run.agent.name) as Line)
    this.#exclusives = new ExclusiveRuns(host, this.#preemption)
    this.#gate = new StartGate(host, this.#live, this.#preemption, this.#stoppedRuns, this.#exclusives)
    this.rates = new RateGate(host, (row, source) => this.ready(row, source))
    for (const agent of hosted.current.values()) this.add(agent)
  }

  add(agent: HostedAgent): void {
    const pool = this.poolOf(agent)
    const known = this.#lines.get(agent.name)
    if (known !== undefined) known.agent = agent
    else this.#lines.set(agent.name, new Line(agent, pool))
  }

  /** @throws SPINE_AGENT_INVALID when there is no such pool, or another version of the agent is in another one */
  poolOf(agent: HostedAgent): Pool {
    const pool = this.#pools.get(agent.pool)
    const known = this.#lines.get(agent.name)?.pool
    if (pool !== undefined && (known === undefined || known === pool)) return pool
    throw new SpineError(
      'SPINE_AGENT_INVALID',
      pool === undefined
        ? `Agent '${agent.name}' is in the pool '${agent.pool}', which createSpine was not given.`
        : `Agent '${agent.name}' is in the pool '${agent.pool}', and another version of it in '${known?.name}'.`,
      {
        value: agent.pool,
        limit: [...this.#pools.keys()],
        fix: `Pass createSpine({ pools: { '${agent.pool}': 8 } }), and name one pool in all versions of an agent.`,
      },
    )
  }

  get liveRuns(): Iterable<Run> {
    return this.#live.values()
  }

  /** Nothing here could start or resume now. */
  get isIdle(): boolean {
    if (this.#stopped) return true
    if (this.#loners.length > 0 || !this.rates.isIdle) return false
    for (const line of this.#lines.values()) if (line.slotsTaken > 0 || !line.isEmpty) return false
    return true
  }

  runOf(row: Row, source: Sequence): Run | undefined {
    const run = this.#live.get(row)
    return run?.source === source ? run : undefined
  }

  /** A delivery may start. Nothing happens when its agent is hosted elsewhere. */
  ready(row: Row, source: Sequence): void {
    const line = this.#lineOf(row)
    if (line === undefined) return
    if (this.#live.has(row)) {
      this.#again.set(row, source)
      return
    }
    const madeRoom = this.#preemption.isFolded(row, source)
    if (this.#modeOf(row) === 'alone') {
      this.#startAlone({ line, row, source })
      return
    }
    const queue = line.queue(this.#urgencyOf(row))
    if (madeRoom) queue.pushFirst(row, source)
    else queue.push(row, source)
    this.#tryStart(line)
  }

  /** It is ready, and may have been kept from starting by another of its exclusive. What started here needs no second start. */
  letIn(row: Row, source: Sequence): void {
    const run = this.runOf(row, source)
    const { exclusives, turns } = this.#host.state
    // One that still stands still for a newer turn would come to rest again at once, and let in whoever let it in.
    const isBarred = exclusives.placeOf(row)?.waiting.has(row) === true && !turns.isStale(row)
    if (run?.phase === 'suspended' && isBarred) run.freshAgain()
    if (run !== undefined || this.#preemption.isOnItsWay(row, source)) return
    if (!this.#suspended.isForgotten(row, source)) this.ready(row, source)
  }

  /** It is more urgent, or less, than it was when it came. */
  urged(row: Row, source: Sequence): void {
    const line = this.#lineOf(row)
    const { deliveries } = this.#host.state
    if (line === undefined || deliveries.source[row] !== source) return
    const urgency = this.#urgencyOf(row)
    const run = this.#live.get(row)
    if (run === undefined) {
      // Where it stands in line already, that entry is out of date.
      if (deliveries.status[row] !== STATUS.ready && deliveries.status[row] !== STATUS.backoff) return
      line.queue(urgency).push(row, source)
    } else if (run.phase === 'suspended' && run.isWaitingForSlot) {
      line.removeResume(run)
      line.queue(urgency).resumes.add(run)
    } else return
    this.#tryStart(line)
  }

  /** No newer turn of its session stands in its way any more. */
  fresh(row: Row, source: Sequence): void {
    const run = this.runOf(row, source)
    if (run !== undefined) run.freshAgain()
    else {
      this.#suspended.takeForgotten(row, source)
      if (this.#host.state.deliveries.source[row] === source) this.ready(row, source)
    }
  }

  /** An agent was paused, or its breaker open, and is not any more, or a probe of it is due: what waited starts in its order, before what came later. */
  resumed(agent: string): void {
    const line = this.#lines.get(agent)
    if (line === undefined || line.held.length === 0) return
    const held = [...line.held, ...line.takeStarts()]
    line.held = []
    for (let at = 0; at < held.length; at += 2) {
      const [row, source] = [held[at] as Row, held[at + 1] as Sequence]
      const isHere = this.#host.state.deliveries.source[row] === source
      if (isHere && this.#modeOf(row) === 'alone') this.#startAlone({ line, row, source })
      else line.queue(this.#urgencyOf(row)).push(row, source)
    }
    this.#tryStart(line)
  }

  isBarred(row: Row): boolean {
    return this.#exclusives.isBarred(row)
  }

  /** Whether every slot that this agent may have is taken. */
  isBusy(agent: string): boolean {
    const line = this.#lines.get(agent)
    return line !== undefined && (line.isFull || line.pool.isFull || this.#isAlone || this.#loners.length > 0)
  }

  /** A suspended run of it is no longer kept. */
  isForgotten(row: Row): boolean {
    return this.#suspended.isForgotten(row, this.#host.state.deliveries.source[row] as Sequence)
  }

  /** Something has come for a delivery without a run. */
  goOn(row: Row, source: Sequence): void {
    if (this.#suspended.takeForgotten(row, source)) this.ready(row, source)
  }

  requestSlot(run: Run): void {
    this.#suspended.remove(run)
    const line = this.#lines.get(run.agent.name) as Line
    if (this.#modeOf(run.row) === 'alone') {
      const isWaiting = this.#loners.some(({ row }) => row === run.row)
      if (!isWaiting) this.#startAlone({ line, row: run.row, source: run.source })
      return
    }
    if (run.isWaitingForSlot) return
    run.isWaitingForSlot = true
    line.queue(this.#urgencyOf(run.row)).resumes.add(run)
    this.#tryStart(line)
  }

  slotFreed(run: Run): void {
    if (run.phase === 'suspended') {
      this.#suspend(run)
      if (this.#host.state.turns.isStale(run.row)) this.#letPass(run)
    }
    const line = this.#lines.get(run.agent.name) as Line
    line.slotsTaken--
    line.pool.slotsTaken--
    line.pool.running.delete(run)
    this.#slotsTaken--
    line.pool.offer(line)
    if (this.#isAlone || this.#loners.length > 0) {
      this.#isAlone = false
      this.#startLonersThenOthers()
    } else this.#fill(line.pool)
  }

  /** A run that was asked to make room has come to a place where it can. True when it did. */
  yields(run: Run): boolean {
    run.isAskedToYield = false
    const line = this.#lines.get(run.agent.name) as Line
    const { pool } = line
    const wanted = line.isFull ? line : pool.isFull ? pool.next() : undefined
    if (wanted === undefined || wanted.mostUrgent >= this.#urgencyOf(run.row)) return false
    return this.#clearHead(wanted, wanted.mostUrgent) && this.#preemption.yield(run, wanted.sourceOfHead)
  }

  /** It has come to rest for a newer turn: others may use its exclusive. */
  #letPass({ row }: Run): void {
    const { exclusives, deliveries } = this.#host.state
    for (const other of exclusives.placeOf(row)?.waiting ?? [])
      if (deliveries.status[other] === STATUS.ready) this.letIn(other, deliveries.source[other] as Sequence)
  }

  #suspend(run: Run): void {
    const forgotten = this.#suspended.add(run)
    if (forgotten === undefined) return
    forgotten.abandon()
    this.#exclusives.over(forgotten)
    this.#live.delete(forgotten.row)
  }

  runOver(run: Run): void {
    this.#exclusives.over(run)
    this.#suspended.remove(run)
    if (run.isWaitingForSlot) {
      const line = this.#lines.get(run.agent.name) as Line
      line.removeResume(run)
      line.pool.offer(line)
    }
    if (this.#live.get(run.row) === run) this.#live.delete(run.row)
    const again = this.#again.get(run.row)
    if (again === undefined) return
    this.#again.delete(run.row)
    this.ready(run.row, again)
  }

  runStopped(run: Run): void {
    if (!this.#stopped) this.#stoppedRuns.add(run)
  }

  /** Whether a delivery waits for code of an earlier one of its key, or its exclusive, which was stopped. */
  isHeldByStopped(row: Row): boolean {
    return this.#stoppedRuns.isHeld(row)
  }

  /** Starts and resumes nothing more. */
  stop(): void {
    this.#stopped = true
  }

  #lineOf(row: Row): Line | undefined {
    const { agents, deliveries } = this.#host.state
    return this.#lines.get((agents[deliveries.agent[row] as number] as AgentState).name)
  }

  #modeOf(row: Row): StartMode {
    const { state } = this.#host
    return startMode(state, row, state.lanes.get(LANE))
  }

  #urgencyOf(row: Row): Urgency {
    const urgency = this.#host.state.deliveries.urgency[row] as Urgency
    if (urgency !== NORMAL) this.#hasClasses = true
    return urgency
  }

  /** Something has joined this line. */
  #tryStart(line: Line): void {
    line.pool.offer(line)
    if (line.isFull && this.#hasClasses && this.#mayGoOn(line.mostUrgent)) this.#makeRoomInLine(line)
    this.#fill(line.pool)
  }

  /** A run that ends while it is entered frees its slot in here: the loop that started it goes on, not another inside. */
  #fill(pool: Pool): void {
    if (pool.isFilling) return
    pool.isFilling = true
    while (pool.hasWaiting && this.#mayGoOn(pool.mostUrgent) && this.#startOne(pool));
    pool.isFilling = false
  }

  #mayGoOn(urgency: Urgency): boolean {
    if (this.#stopped || this.#isAlone || this.#loners.length > 0) return false
    if (this.#entered < ENTERED_PER_TURN || urgency < NORMAL) return true
    this.#goOnNextTurn()
    return false
  }

  /** Handlers that never wait could keep the event loop for as long as there are deliveries. */
  #goOnNextTurn(): void {
    if (this.#isYielding) return
    this.#isYielding = true
    setImmediate(() => {
      this.#isYielding = false
      this.#entered = 0
      for (const pool of this.#pools.values()) this.#fill(pool)
    })
  }

  /** One move: starts or resumes something, or drops an entry that is out of date. False when nothing can go on. */
  #startOne(pool: Pool): boolean {
    // Who has to make room for something makes it for the most urgent; the turn of the oldest comes with a free slot.
    const isTurnOfOldest = !pool.isFull && pool.isTurnOfOldest
    const line = (isTurnOfOldest ? pool.oldest() : pool.next()) as Line
    const urgency = pool.isFull ? line.mostUrgent : line.turn(isTurnOfOldest)
    if (!this.#clearHead(line, urgency)) {
      pool.offer(line)
      return true
    }
    const queue = line.queue(urgency)
    const resumed = queue.firstResume
    if (resumed === undefined && this.#waitsForRate(line, queue.row, queue.source)) {
      queue.dropStart()
      pool.offer(line)
      return true
    }
    if (pool.isFull && !this.#hasRoom(line, urgency)) return false
    line.started(urgency)
    if (resumed !== undefined) {
      queue.resumes.delete(resumed)
      this.#resume(line, resumed)
    } else {
      const { row, source } = queue
      queue.dropStart()
      const rated = this.#admit(line, row, source)
      if (rated !== 'waits') this.#start(line, row, source, rated)
    }
    pool.started(line, isTurnOfOldest)
    return true
  }

  /** Drops what may not start from the head of a queue; false when nothing is left of it, or it is of another class by now. */
  #clearHead(line: Line, urgency: Urgency): boolean {
    const queue = line.queue(urgency)
    for (let run = queue.firstResume; run !== undefined; run = queue.firstResume) {
      // What has been folded already, and not been told yet, may have ended it.
      if (run.phase === 'suspended' && this.#host.state.deliveries.source[run.row] === run.source) return true
      queue.resumes.delete(run)
    }
    while (queue.hasStarts) {
      const { row, source } = queue
      const now = this.#host.state.deliveries.urgency[row] as Urgency
      if (this.#gate.mayStart(line, row, source)) {
        if (now <= urgency) return true
        line.queue(now).push(row, source)
      }
      queue.dropStart()
    }
    return false
  }

  #hasRoom(line: Line, urgency: Urgency): boolean {
    const { pool } = line
    return this.#hasClasses && this.#preemption.makeRoom(line, urgency, pool.running, pool.hasReserve)
  }

  /** Every slot of the agent itself is taken: one of its own makes room. */
  #makeRoomInLine(line: Line): void {
    const urgency = line.mostUrgent
    if (urgency === NOTHING || !this.#clearHead(line, urgency)) return
    const own = [...line.pool.running].filter((run) => run.agent.name === line.agent.name)
    this.#preemption.makeRoom(line, urgency, own, false)
  }

  #resume(line: Line, run: Run): boolean {
    if (run.phase !== 'suspended') return false
    run.isWaitingForSlot = false
    this.#takeSlot(line, run)
    run.resume()
    return true
  }

  #startAlone(loner: Loner): void {
    this.#loners.push(loner)
    this.#startLonersThenOthers()
  }

  #startLonersThenOthers(): void {
    if (this.#startLoner()) return
    for (const pool of this.#pools.values()) this.#fill(pool)
  }

  /** Lets the next loner go once every slot is free; true while one wants to run, or does. */
  #startLoner(): boolean {
    while (!this.#stopped && !this.#isAlone && this.#slotsTaken === 0) {
      const loner = this.#loners.shift()
      if (loner === undefined) return false
      const { line, row, source } = loner
      const suspended = this.runOf(row, source)
      // Before it starts, because a run may end, and free its slot, while it is entered.
      this.#isAlone = true
      const goes = suspended === undefined ? this.#startIf(line, row, source) : this.#resume(line, suspended)
      if (!goes) this.#isAlone = false
    }
    return this.#isAlone || this.#loners.length > 0
  }

  #startIf(line: Line, row: Row, source: Sequence): boolean {
    if (!this.#gate.mayStart(line, row, source)) return false
    const rated = this.#admit(line, row, source)
    if (rated === 'waits') return false
    this.#start(line, row, source, rated)
    return true
  }

  /** Before anybody makes room for it. It comes again when there is room in its rate. */
  #waitsForRate(line: Line, row: Row, source: Sequence): boolean {
    if (line.agent.options.rate === undefined || this.rates.wouldAdmit(line.agent, row, source)) return false
    return this.rates.admit(line.agent, row, source) === 'waits'
  }

  /** Most agents have no rate. */
  #admit(line: Line, row: Row, source: Sequence): RatedStart | 'waits' | undefined {
    return line.agent.options.rate === undefined ? undefined : this.rates.admit(line.agent, row, source)
  }

  #start(line: Line, row: Row, source: Sequence, rated: RatedStart | undefined): void {
    const run = new Run(this.#host, this.#codeOf(line, row), row, source)
    this.#takeSlot(line, run)
    this.#live.set(row, run)
    this.#exclusives.started(run)
    run.start(rated !== undefined || this.#modeOf(row) !== 'plain', rated)
  }

  #takeSlot(line: Line, run: Run): void {
    this.#entered++
    line.slotsTaken++
    line.pool.slotsTaken++
    line.pool.running.add(run)
    this.#slotsTaken++
  }

  /** A run that has begun goes on with the version that began it, where that is hosted. */
  #codeOf(line: Line, row: Row): HostedAgent {
    const version = this.#host.state.runs.get(row)?.version
    if (version === undefined || version === '' || version === line.agent.version) return line.agent
    return this.#hosted.versionOf(line.agent.name, version) ?? line.agent
  }
}
