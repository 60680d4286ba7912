/**
 * What waits for a slot of one agent: suspended runs that have something to do, and deliveries that may start.
 *
 * Job: keep it in order. Not its job: whether any of it may still start (`dispatcher.ts`).
 *
 * E1  The most urgent first; of one class those that go on before those that start, and each in the order in which it came.
 * E2  Of every `limits.oldestEveryStarts` starts one goes to the oldest, whatever its class.
 * E3  An entry may be out of date, also in its class: whoever takes it looks.
 */
import { NORMAL, PRIORITIES, type Urgency } from '../event/priority.ts'
import type { Row } from '../coordination/delivery-table.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import type { HostedAgent } from './hosted-agent.ts'
import { NOTHING, type Pool } from './pool.ts'
import type { Run } from './run.ts'

/** Entries that were started are cut off in blocks, so that a line that never empties does not grow for ever. */
const STARTED_KEPT = 4_096

/** Of one class. */
class Queue {
  /** Suspended runs that have something to do. */
  readonly resumes = new Set<Run>()
  /** Row and source of deliveries that may start, alternating: numbers, because there may be many. */
  #starts: number[] = []
  #next = 0

  get isEmpty(): boolean {
    return this.resumes.size === 0 && this.#next === this.#starts.length
  }

  push(row: Row, source: Sequence): void {
    this.#starts.push(row, source)
  }

  /** Before all others of the class: it had its turn, and had to make room. */
  pushFirst(row: Row, source: Sequence): void {
    if (this.#next >= 2) {
      this.#next -= 2
      this.#starts[this.#next] = row
      this.#starts[this.#next + 1] = source
    } else this.#starts.unshift(row, source)
  }

  get row(): Row {
    return this.#starts[this.#next] as Row
  }

  get source(): Sequence {
    return this.#starts[this.#next + 1] as Sequence
  }

  get hasStarts(): boolean {
    return this.#next < this.#starts.length
  }

  get firstResume(): Run | undefined {
    if (this.resumes.size === 0) return undefined
    const [run] = this.resumes as unknown as readonly [Run]
    return run
  }

  get oldestSource(): Sequence {
    const started = this.hasStarts ? this.source : Number.POSITIVE_INFINITY
    return Math.min(started, this.firstResume?.source ?? Number.POSITIVE_INFINITY)
  }

  dropStart(): void {
    this.#next += 2
    if (this.#next === this.#starts.length) {
      this.#starts = []
      this.#next = 0
    } else if (this.#next >= STARTED_KEPT) {
      this.#starts = this.#starts.slice(this.#next)
      this.#next = 0
    }
  }

  takeStarts(): readonly number[] {
    const starts = this.#starts.slice(this.#next)
    this.#starts = []
    this.#next = 0
    return starts
  }
}

export class Line {
  agent: HostedAgent
  readonly pool: Pool
  slotsTaken = 0
  /** Stopped for more urgent work, and still executing long after that. */
  zombies = 0
  /** Deliveries whose turn came while the agent was paused: row and source, alternating. */
  held: number[] = []
  /** The class as which its pool has it; kept by the pool. */
  listedAs: Urgency = NOTHING
  /** Most lines only ever have the normal one. */
  readonly #queues: (Queue | undefined)[] = PRIORITIES.map(() => undefined)
  readonly #normal = new Queue()
  #sinceOldest = 0

  constructor(agent: HostedAgent, pool: Pool) {
    this.agent = agent
    this.pool = pool
    this.#queues[NORMAL] = this.#normal
  }

  get isFull(): boolean {
    return this.slotsTaken >= this.agent.concurrency
  }

  get isEmpty(): boolean {
    return this.mostUrgent === NOTHING
  }

  get mostUrgent(): Urgency {
    for (let urgency = 0; urgency < PRIORITIES.length; urgency++) {
      if (this.#queues[urgency]?.isEmpty === false) return urgency
    }
    return NOTHING
  }

  get oldestSource(): Sequence {
    return this.queue(this.#oldestUrgency()).oldestSource
  }

  /** The class whose turn it is. `oldest`: whatever its class. */
  turn(oldest: boolean): Urgency {
    return oldest || this.#sinceOldest >= limits.oldestEveryStarts - 1 ? this.#oldestUrgency() : this.mostUrgent
  }

  started(urgency: Urgency): void {
    this.#sinceOldest = urgency === this.#oldestUrgency() ? 0 : this.#sinceOldest + 1
  }

  queue(urgency: Urgency): Queue {
    let queue = this.#queues[urgency]
    if (queue === undefined) {
      queue = new Queue()
      this.#queues[urgency] = queue
    }
    return queue
  }

  /** Of a class in which something waits. */
  headOf(urgency: Urgency): { readonly row: Row; readonly source: Sequence } {
    const queue = this.queue(urgency)
    return queue.firstResume ?? queue
  }

  get sourceOfHead(): Sequence {
    return this.headOf(this.mostUrgent).source
  }

  /** Wherever it stands. */
  removeResume(run: Run): void {
    for (const queue of this.#queues) queue?.resumes.delete(run)
  }

  /** Everything that waited to start, in the order of the classes. */
  takeStarts(): readonly number[] {
    return this.#queues.flatMap((queue) => queue?.takeStarts() ?? [])
  }

  #oldestUrgency(): Urgency {
    let oldest = this.mostUrgent
    if (oldest === NOTHING) return NORMAL
    for (let urgency = oldest + 1; urgency < PRIORITIES.length; urgency++) {
      const queue = this.#queues[urgency]
      if (queue?.isEmpty === false && queue.oldestSource < this.queue(oldest).oldestSource) oldest = urgency
    }
    return oldest
  }
}
