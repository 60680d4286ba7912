/**
 * A log in memory that several simulated processes share, each through an engine of its own that can fail.
 *
 * Job: what a disk and a network may do: a commit that is not durable yet and is lost with its process, one that is durable
 * and whose acknowledgement is lost, tails that come late or twice. Not its job: deciding when (`SimulatedEngine.plan`).
 *
 * O1  What an engine acknowledged is in the log, whatever happens to the engine afterwards.
 * O2  What had not become durable when its engine died never appears.
 * O3  An engine that was killed neither writes, nor reads, nor tells anything.
 */
import type { AppendOutcome, Commit, Durability, Engine, ReadQuery, Snapshot, Tail } from '../engine/engine.ts'
import { MemoryEngine } from '../engine/memory/memory-engine.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'

/**
 * What becomes of one append.
 *
 * - `none`: it becomes durable and is acknowledged.
 * - `lose`: the process dies before anything that is on its way has become durable.
 * - `keep`: it becomes durable, and the process dies before it hears of it.
 */
export type AppendFault = 'none' | 'lose' | 'keep'

export interface EnginePlan {
  /** Asked once for each call of `append`, counted from 1. Default: no faults. */
  readonly faultAt?: (append: number) => AppendFault
  /** Calls `sync` when the commits that are on their way become durable. Default: in the next turn of the event loop. */
  readonly whenToSync?: (sync: () => void) => void
  /** Calls `deliver` when a tail of this engine is given its next batch; in order. Default: at once. */
  readonly whenToDeliver?: (deliver: () => void) => void
  /** Whether this batch is given to a tail a second time. Default: never. */
  readonly repeats?: () => boolean
  /** Told of every commit of this engine that became durable, whether anyone hears of it or not. */
  readonly onDurable?: (outcome: AppendOutcome) => void
  /** Called when a fault has killed the engine; the process must not outlive it. */
  readonly onKilled?: () => void
}

interface Pending {
  readonly commits: readonly Commit[]
  readonly resolve: (outcomes: readonly AppendOutcome[]) => void
  readonly reject: (error: unknown) => void
}

/** One log. It outlives every engine that was opened on it. */
export class SimulatedLog {
  readonly store = new MemoryEngine()
  #opened: Promise<void> | undefined

  engine(plan: EnginePlan = {}): SimulatedEngine {
    return new SimulatedEngine(this, plan)
  }

  open(): Promise<void> {
    this.#opened ??= this.store.open()
    return this.#opened
  }
}

/** One process's way to the log. */
export class SimulatedEngine implements Engine {
  readonly name = 'simulated'
  /** Two may be open at once: that is how a stale owner is made. Fencing has to hold all the same. */
  readonly shared = false
  readonly #log: SimulatedLog
  readonly #plan: EnginePlan
  readonly #tails = new Set<DelayedTail>()
  #pending: Pending[] = []
  #appends = 0
  #isSyncDue = false
  #isDead = false

  constructor(log: SimulatedLog, plan: EnginePlan) {
    this.#log = log
    this.#plan = plan
  }

  /** How often `append` was called. */
  get appends(): number {
    return this.#appends
  }

  durability(): Durability {
    return { level: 'none', evidence: 'simulated in the memory of this process' }
  }

  open(): Promise<void> {
    return this.#log.open()
  }

  async close(): Promise<void> {
    while (this.#pending.length > 0 && !this.#isDead) await nextTurn()
    this.kill()
  }

  /** The process is gone: what is on its way is lost, and nothing more is heard. */
  kill(): void {
    this.#isDead = true
    this.#pending = []
    for (const tail of this.#tails) tail.stop()
  }

  append(commits: readonly Commit[]): Promise<readonly AppendOutcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#isDead) return
      this.#appends++
      const fault = this.#plan.faultAt?.(this.#appends) ?? 'none'
      if (fault === 'lose') {
        this.#die()
        return
      }
      this.#pending.push({ commits, resolve, reject })
      if (fault === 'keep') void this.#sync(true)
      else this.#scheduleSync()
    })
  }

  async read(query: ReadQuery): Promise<readonly LogRecord[]> {
    const found = await this.#log.store.read(query)
    return this.#isDead ? never() : found
  }

  tail(after: Sequence, listener: (records: readonly LogRecord[]) => void): Tail {
    const tail = new DelayedTail(after, listener, this.#plan)
    this.#tails.add(tail)
    const source = this.#log.store.tail(after, (records) => tail.receive(records))
    return {
      stop: () => {
        source.stop()
        tail.stop()
        this.#tails.delete(tail)
      },
    }
  }

  async head(): Promise<Sequence> {
    const head = await this.#log.store.head()
    return this.#isDead ? never() : head
  }

  readSnapshot(name: string): Promise<Snapshot | undefined> {
    return this.#log.store.readSnapshot(name)
  }

  writeSnapshot(name: string, at: Sequence, state: Uint8Array): Promise<void> {
    return this.#log.store.writeSnapshot(name, at, state)
  }

  trim(before: Sequence): Promise<void> {
    return this.#log.store.trim(before)
  }

  #scheduleSync(): void {
    if (this.#isSyncDue) return
    this.#isSyncDue = true
    const sync = () => {
      this.#isSyncDue = false
      void this.#sync(false)
    }
    if (this.#plan.whenToSync === undefined) setImmediate(sync)
    else this.#plan.whenToSync(sync)
  }

  async #sync(dies: boolean): Promise<void> {
    if (this.#isDead) return
    const batch = this.#pending
    this.#pending = []
    const appended = this.#log.store.append(batch.flatMap(({ commits }) => commits))
    if (dies) this.#die()
    try {
      const outcomes = await appended
      for (const outcome of outcomes) this.#plan.onDurable?.(outcome)
      if (this.#isDead) return
      const last = outcomes.reduce(
        (highest, outcome) => ('last' in outcome ? Math.max(highest, outcome.last) : highest),
        0,
      )
      await Promise.all([...this.#tails].map((tail) => tail.passed(last)))
      if (this.#isDead) return
      let at = 0
      for (const { commits, resolve } of batch) {
        resolve(outcomes.slice(at, at + commits.length))
        at += commits.length
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  #die(): void {
    this.kill()
    this.#plan.onKilled?.()
  }
}

/** Holds back what the store's tail brings, and may bring it twice. */
class DelayedTail {
  readonly #listener: (records: readonly LogRecord[]) => void
  readonly #plan: EnginePlan
  readonly #queue: (readonly LogRecord[])[] = []
  #waiters: { readonly sequence: Sequence; readonly resolve: () => void }[] = []
  #at: Sequence
  #isDelivering = false
  #isStopped = false

  constructor(after: Sequence, listener: (records: readonly LogRecord[]) => void, plan: EnginePlan) {
    this.#at = after
    this.#listener = listener
    this.#plan = plan
  }

  receive(records: readonly LogRecord[]): void {
    if (this.#isStopped) return
    this.#queue.push(records)
    this.#deliverNext()
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Resolves when the listener has been given everything up to `sequence`. */
  passed(sequence: Sequence): Promise<void> | undefined {
    if (this.#at >= sequence || this.#isStopped) return undefined
    return new Promise((resolve) => this.#waiters.push({ sequence, resolve }))
  }

  #deliverNext(): void {
    if (this.#isDelivering || this.#queue.length === 0 || this.#isStopped) return
    const { whenToDeliver } = this.#plan
    if (whenToDeliver === undefined) {
      this.#deliver()
      return
    }
    this.#isDelivering = true
    whenToDeliver(() => {
      this.#isDelivering = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const records = this.#queue.shift()
    if (records === undefined || this.#isStopped) return
    this.#listener(records)
    if (this.#plan.repeats?.() === true) this.#listener(records)
    this.#at = records.at(-1)?.sequence ?? this.#at
    const due = this.#waiters.filter(({ sequence }) => sequence <= this.#at)
    this.#waiters = this.#waiters.filter(({ sequence }) => sequence > this.#at)
    for (const { resolve } of due) resolve()
    this.#deliverNext()
  }
}

function never(): Promise<never> {
  return new Promise(() => {})
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
