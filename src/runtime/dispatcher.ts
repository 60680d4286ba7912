/**
 * Which deliveries run here, and when: slots per agent, those that resume before those that start.
 *
 * Job: keep the lines of each hosted agent, start runs, hand out slots. Not its job: order within a key, which the fold
 * keeps (only the head of a key is ever ready).
 *
 * U1  At most `concurrency` runs of an agent hold a slot. A suspended run holds none.
 * U2  One delivery has at most one run at a time.
 * U3  An entry of a line may be out of date; the state is asked again before anything starts.
 * U4  A run that starts alone holds the only slot of the process (coordination/crashes.ts).
 * U5  What an agent that is paused, or whose breaker is open, may not start is kept in its order (coordination/pauses.ts,
 *     coordination/breakers.ts).
 */
import { type StartMode, startMode } from '../coordination/crashes.ts'
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import { isHeldByBreaker, mayProbe } from '../coordination/breakers.ts'
import { isHeldByPause } from '../coordination/pauses.ts'
import type { AgentState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import type { HostedAgent, HostedAgents } from './hosted-agent.ts'
import { LANE } from './lane.ts'
import { RateGate, type RateGateHost } from './rate-gate.ts'
import { Run } from './run.ts'
import { StoppedRuns } from './stopped-runs.ts'
import { SuspendedRuns } from './suspended-runs.ts'

interface Line {
  agent: HostedAgent
  slotsTaken: number
  isFilling: boolean
  /** Suspended runs that have something to do. */
  readonly resumes: Set<Run>
  /** Row and source of deliveries that may start, alternating: numbers, because there may be many. */
  starts: number[]
  next: number
  /** As `starts`: those whose turn came while the agent was paused, or its breaker open. */
  held: number[]
}

interface Loner {
  readonly line: Line
  readonly row: Row
  readonly source: Sequence
}

/** Entries that were started are cut off in blocks, so that a line that never empties does not grow for ever. */
const STARTED_KEPT = 4_096

/** About a millisecond of handlers that do little; timers and I/O get their turn in between. */
const ENTERED_PER_TURN = 128

function compact(line: Line): void {
  line.starts = line.starts.slice(line.next)
  line.next = 0
}

export class Dispatcher {
  readonly #host: RateGateHost
  readonly #hosted: HostedAgents
  readonly #lines = new Map<string, Line>()
  readonly #live = new Map<Row, Run>()
  /** Became ready again while their last attempt was still ending. */
  readonly #again = new Map<Row, Sequence>()
  readonly #suspended: SuspendedRuns
  /** What wants the process to itself. While there is any, nothing else starts. */
  readonly #loners: Loner[] = []
  readonly #stoppedRuns: StoppedRuns
  readonly rates: RateGate
  #isAlone = false
  #slotsTaken = 0
  /** Handlers entered or resumed since the event loop last turned, as far as that was necessary to know. */
  #entered = 0
  #isYielding = false
  #stopped = false

  constructor(host: RateGateHost, hosted: HostedAgents) {
    this.#host = host
    this.#hosted = hosted
    this.#suspended = new SuspendedRuns(host.interception?.suspendedRunsMax ?? limits.suspendedRunsMax)
    this.#stoppedRuns = new StoppedRuns(host.clock, (row, source) => this.ready(row, source))
    this.rates = new RateGate(host, (row, source) => this.ready(row, source))
    for (const agent of hosted.current.values()) this.add(agent)
  }

  add(agent: HostedAgent): void {
    const known = this.#lines.get(agent.name)
    if (known !== undefined) known.agent = agent
    else
      this.#lines.set(agent.name, {
        agent,
        slotsTaken: 0,
        isFilling: false,
        resumes: new Set(),
        starts: [],
        next: 0,
        held: [],
      })
  }

  get liveRuns(): Iterable<Run> {
    return this.#live.values()
  }

  /** Nothing here could start or resume now. */
  get isIdle(): boolean {
    if (this.#stopped) return true
    if (this.#loners.length > 0 || !this.rates.isIdle) return false
    for (const line of this.#lines.values()) {
      if (line.slotsTaken > 0 || line.resumes.size > 0 || line.next < line.starts.length) return false
    }
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
    if (this.#modeOf(row) === 'alone') {
      this.#startAlone({ line, row, source })
      return
    }
    line.starts.push(row, source)
    this.#fill(line)
  }

  /** An agent was paused, or its breaker open, and is not any more, or a probe of it is due: what waited starts in its order, before what came later. */
  resumed(agent: string): void {
    const line = this.#lines.get(agent)
    if (line === undefined || line.held.length === 0) return
    const held = [...line.held, ...line.starts.slice(line.next)]
    line.held = []
    line.starts = []
    line.next = 0
    for (let at = 0; at < held.length; at += 2) {
      const [row, source] = [held[at] as Row, held[at + 1] as Sequence]
      const isHere = this.#host.state.deliveries.source[row] === source
      if (isHere && this.#modeOf(row) === 'alone') this.#startAlone({ line, row, source })
      else line.starts.push(row, source)
    }
    this.#fill(line)
  }

  /** Whether every slot that this agent may have is taken. */
  isBusy(agent: string): boolean {
    const line = this.#lines.get(agent)
    return line !== undefined && (line.slotsTaken >= line.agent.concurrency || this.#isAlone || this.#loners.length > 0)
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
    line.resumes.add(run)
    this.#fill(line)
  }

  slotFreed(run: Run): void {
    if (run.phase === 'suspended') this.#suspend(run)
    const line = this.#lines.get(run.agent.name) as Line
    line.slotsTaken--
    this.#slotsTaken--
    if (this.#isAlone || this.#loners.length > 0) {
      this.#isAlone = false
      this.#startLonersThenOthers()
    } else {
      this.#fill(line)
    }
  }

  #suspend(run: Run): void {
    const forgotten = this.#suspended.add(run)
    if (forgotten === undefined) return
    forgotten.abandon()
    this.#live.delete(forgotten.row)
  }

  runOver(run: Run): void {
    this.#suspended.remove(run)
    if (this.#live.get(run.row) === run) this.#live.delete(run.row)
    const again = this.#again.get(run.row)
    if (again === undefined) return
    this.#again.delete(run.row)
    this.ready(run.row, again)
  }

  runStopped(run: Run): void {
    if (!this.#stopped) this.#stoppedRuns.add(run)
  }

  /** Whether a delivery waits for code of an earlier one of its key, which was stopped. */
  isHeldByStopped(row: Row): boolean {
    const { agents, deliveries } = this.#host.state
    const { name } = agents[deliveries.agent[row] as number] as AgentState
    return this.#stoppedRuns.isHeld(name, deliveries.key[row] as string)
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

  /** A run that ends while it is entered frees its slot in here: the loop that started it goes on, not another inside. */
  #fill(line: Line): void {
    if (line.isFilling) return
    line.isFilling = true
    while (this.#mayFill(line)) {
      if (line.resumes.size > 0) {
        const [resumed] = line.resumes as unknown as readonly [Run]
        line.resumes.delete(resumed)
        this.#resume(line, resumed)
      } else if (!this.#startNext(line)) break
    }
    line.isFilling = false
  }

  #mayFill(line: Line): boolean {
    if (this.#stopped || this.#isAlone || this.#loners.length > 0) return false
    if (line.slotsTaken >= line.agent.concurrency) return false
    if (this.#entered < ENTERED_PER_TURN) return true
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
      for (const line of this.#lines.values()) this.#fill(line)
    })
  }

  #resume(line: Line, run: Run): boolean {
    if (run.phase !== 'suspended') return false
    this.#takeSlot(line)
    run.resume()
    return true
  }

  /** Starts the next delivery that may still start; false when the line is empty. */
  #startNext(line: Line): boolean {
    while (line.next < line.starts.length) {
      const row = line.starts[line.next] as Row
      const source = line.starts[line.next + 1] as Sequence
      line.next += 2
      if (this.#start(line, row, source)) {
        if (line.next >= STARTED_KEPT) compact(line)
        return true
      }
    }
    line.starts = []
    line.next = 0
    return false
  }

  #startAlone(loner: Loner): void {
    this.#loners.push(loner)
    this.#startLonersThenOthers()
  }

  #startLonersThenOthers(): void {
    if (this.#startLoner()) return
    for (const line of this.#lines.values()) this.#fill(line)
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
      const goes = suspended === undefined ? this.#start(line, row, source) : this.#resume(line, suspended)
      if (!goes) this.#isAlone = false
    }
    return this.#isAlone || this.#loners.length > 0
  }

  #start(line: Line, row: Row, source: Sequence): boolean {
    if (!this.#mayStart(row, source)) return false
    if (this.#isHeld(row)) {
      line.held.push(row, source)
      return false
    }
    const key = this.#host.state.deliveries.key[row] as string
    if (this.#stoppedRuns.isHeld(line.agent.name, key)) {
      this.#stoppedRuns.hold(line.agent.name, key, row, source)
      return false
    }
    if (this.#isParked(row)) {
      this.#host.park(row)
      return false
    }
    const rated = line.agent.options.rate === undefined ? undefined : this.rates.admit(line.agent, row, source)
    if (rated === 'waits') return false
    this.#takeSlot(line)
    const run = new Run(this.#host, this.#codeOf(line, row), row, source)
    this.#live.set(row, run)
    run.start(rated !== undefined || this.#modeOf(row) !== 'plain', rated)
    return true
  }

  #isHeld(row: Row): boolean {
    const { state, clock } = this.#host
    if (isHeldByPause(state, row)) return true
    const agent = state.agents[state.deliveries.agent[row] as number] as AgentState
    if (agent.breaker === undefined || !isHeldByBreaker(state, row)) return false
    if (mayProbe(agent, clock.now())) this.#host.probe(row)
    return true
  }

  #takeSlot(line: Line): void {
    this.#entered++
    line.slotsTaken++
    this.#slotsTaken++
  }

  /** A run that has begun goes on with the version that began it, where that is hosted. */
  #codeOf(line: Line, row: Row): HostedAgent {
    const version = this.#host.state.runs.get(row)?.version
    if (version === undefined || version === '' || version === line.agent.version) return line.agent
    return this.#hosted.versionOf(line.agent.name, version) ?? line.agent
  }

  #isParked(row: Row): boolean {
    const { agents, deliveries } = this.#host.state
    const { holds } = agents[deliveries.agent[row] as number] as AgentState
    return holds.size > 0 && holds.get(deliveries.key[row] as string)?.mode === 'park'
  }

  /** One of its callers ends for good: so does this, as soon as that is folded. */
  #isGivenUp(row: Row): boolean {
    const { deliveries, runs } = this.#host.state
    let called = row
    for (let each = deliveries.caller[row] as Row; each !== 0; each = deliveries.caller[each] as Row) {
      const call = runs.get(each)?.calls.get(deliveries.call[called] as Sequence)
      if (this.#live.get(each)?.givesUp(call) === true) return true
      called = each
    }
    return false
  }

  #mayStart(row: Row, source: Sequence): boolean {
    const { deliveries } = this.#host.state
    const status = deliveries.status[row]
    if (deliveries.source[row] !== source || this.#live.has(row)) return false
    if (deliveries.caller[row] !== 0 && this.#isGivenUp(row)) return false
    const now = this.#host.clock.now()
    const deadline = deliveries.deadline[row] as number
    if (deadline !== 0 && now >= deadline) return false
    return status === STATUS.ready || (status === STATUS.backoff && now >= (deliveries.due[row] as number))
  }
}
