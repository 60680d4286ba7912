/**
 * Which deliveries run here, and when: slots per agent, those that resume before those that start.
 *
 * Job: keep the lines of each hosted agent, start runs, hand out slots. Not its job: order within a key, which the fold
 * keeps (only the head of a key is ever ready).
 *
 * U1  At most `concurrency` runs of an agent hold a slot. A suspended run holds none.
 * U2  One delivery has at most one run at a time.
 * U3  An entry of a line may be out of date; the state is asked again before anything starts.
 */
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import type { AgentState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import type { HostedAgent } from './hosted-agent.ts'
import { Run } from './run.ts'
import type { RunHost } from './run-host.ts'

interface Line {
  readonly agent: HostedAgent
  slotsTaken: number
  /** Suspended runs that have something to do. */
  readonly resumes: Run[]
  /** Row and source of deliveries that may start, alternating: numbers, because there may be many. */
  starts: number[]
  next: number
}

/** Entries that were started are cut off in blocks, so that a line that never empties does not grow for ever. */
const STARTED_KEPT = 4_096

function compact(line: Line): void {
  line.starts = line.starts.slice(line.next)
  line.next = 0
}

export class Dispatcher {
  readonly #host: RunHost
  readonly #lines = new Map<string, Line>()
  readonly #live = new Map<Row, Run>()
  /** Became ready again while their last attempt was still ending. */
  readonly #again = new Map<Row, Sequence>()
  #stopped = false

  constructor(host: RunHost, agents: Iterable<HostedAgent>) {
    this.#host = host
    for (const agent of agents) this.#lines.set(agent.name, { agent, slotsTaken: 0, resumes: [], starts: [], next: 0 })
  }

  get liveRuns(): Iterable<Run> {
    return this.#live.values()
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
    line.starts.push(row, source)
    this.#fill(line)
  }

  requestSlot(run: Run): void {
    const line = this.#lines.get(run.agent.name) as Line
    if (line.resumes.includes(run)) return
    line.resumes.push(run)
    this.#fill(line)
  }

  slotFreed(run: Run): void {
    const line = this.#lines.get(run.agent.name) as Line
    line.slotsTaken--
    this.#fill(line)
  }

  runOver(run: Run): void {
    if (this.#live.get(run.row) === run) this.#live.delete(run.row)
    const again = this.#again.get(run.row)
    if (again === undefined) return
    this.#again.delete(run.row)
    this.ready(run.row, again)
  }

  /** Starts and resumes nothing more. */
  stop(): void {
    this.#stopped = true
  }

  #lineOf(row: Row): Line | undefined {
    const { agents, deliveries } = this.#host.state
    return this.#lines.get((agents[deliveries.agent[row] as number] as AgentState).name)
  }

  #fill(line: Line): void {
    while (!this.#stopped && line.slotsTaken < line.agent.concurrency) {
      const resumed = line.resumes.shift()
      if (resumed !== undefined) {
        if (resumed.phase !== 'suspended') continue
        line.slotsTaken++
        resumed.resume()
      } else if (!this.#startNext(line)) return
    }
  }

  /** Starts the next delivery that may still start; false when the line is empty. */
  #startNext(line: Line): boolean {
    while (line.next < line.starts.length) {
      const row = line.starts[line.next] as Row
      const source = line.starts[line.next + 1] as Sequence
      line.next += 2
      if (this.#mayStart(row, source)) {
        line.slotsTaken++
        const run = new Run(this.#host, line.agent, row, source)
        this.#live.set(row, run)
        void run.start()
        if (line.next >= STARTED_KEPT) compact(line)
        return true
      }
    }
    line.starts = []
    line.next = 0
    return false
  }

  #mayStart(row: Row, source: Sequence): boolean {
    const { deliveries } = this.#host.state
    const status = deliveries.status[row]
    if (deliveries.source[row] !== source || this.#live.has(row)) return false
    const now = this.#host.clock.now()
    const deadline = deliveries.deadline[row] as number
    if (deadline !== 0 && now >= deadline) return false
    return status === STATUS.ready || (status === STATUS.backoff && now >= (deliveries.due[row] as number))
  }
}
