/**
 * Commits that were accepted and are not acknowledged yet: when the writer says how many are durable, the tails are fed
 * and the appends that wait are resolved, in order.
 *
 * Job: the order of telling, and its pace. Not its job: what an outcome rests on (`sqlite-engine.ts`).
 *
 * Real time: a slice of telling is measured, so that a batch of thousands never holds the event loop for long.
 *
 * A1  An append is resolved after the tails have been given every record up to the one that it rests on.
 * A2  Commits are told whole, in the order they were accepted, none before it is durable.
 * A3  After `SLICE_MS` of telling, and of what the told did at once, timers and I/O have their turn.
 * A4  After `fail`, what was durable before is still told; everything else is rejected, once.
 */
import { type LogRecord, sequenced } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import type { SpineError } from '../../kernel/errors.ts'
import type { AppendOutcome, Commit } from '../engine.ts'
import { Fifo } from './fifo.ts'

const SLICE_MS = 1
/** Between two looks at the clock. */
const COMMITS_PER_LOOK = 32
/** Beside its data a record takes about this much memory until it is told. */
const BYTES_PER_RECORD = 500

/** What was accepted with one commit, for the bound on all that waits. */
export function waitingBytes(commit: Commit): number {
  let bytes = 0
  for (const { data } of commit.records) bytes += BYTES_PER_RECORD + (data === undefined ? 0 : data.json.length)
  return bytes
}

interface Waiting {
  readonly at: Sequence
  readonly outcomes: readonly AppendOutcome[]
  readonly resolve: (outcomes: readonly AppendOutcome[]) => void
  readonly reject: (error: SpineError) => void
}

export interface Pace {
  nowMs(): number
  /** Calls back after timers and I/O had their turn. */
  yield(next: () => void): void
  /** Calls back after what has just been resolved has gone on. */
  afterReactions(next: () => void): void
}

const REAL_PACE: Pace = {
  nowMs: () => performance.now(),
  yield: (next) => setImmediate(next),
  afterReactions: (next) => queueMicrotask(next),
}

export class Acknowledgements {
  readonly #tell: (records: readonly LogRecord[]) => void
  readonly #pace: Pace
  readonly #commits = new Fifo<Commit>()
  readonly #waiting = new Fifo<Waiting>()
  #told: Sequence
  /** Counts of commits since the start, which wrap at 2^32. */
  #toldCommits = 0
  #durableCommits = 0
  #waitingBytes = 0
  #failure: SpineError | undefined
  #isTelling = false
  #sliceEndsAtMs = 0
  readonly #goOn = () => this.#tellSlice()
  readonly #beginSlice = () => {
    this.#sliceEndsAtMs = this.#pace.nowMs() + SLICE_MS
    this.#tellSlice()
  }

  constructor(after: Sequence, tell: (records: readonly LogRecord[]) => void, pace = REAL_PACE) {
    this.#told = after
    this.#tell = tell
    this.#pace = pace
  }

  /** The last sequence that was told. */
  get told(): Sequence {
    return this.#told
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  accept(commit: Commit): void {
    this.#commits.push(commit)
    this.#waitingBytes += waitingBytes(commit)
  }

  /** Resolves with the outcomes when everything up to `at` was told. */
  wait(at: Sequence, outcomes: readonly AppendOutcome[]): Promise<readonly AppendOutcome[]> {
    return new Promise((resolve, reject) => this.#waiting.push({ at, outcomes, resolve, reject }))
  }

  /** So many commits are durable since the start. */
  durable(commits: number): void {
    this.#durableCommits = commits
    this.#start()
  }

  fail(error: SpineError): void {
    this.#failure ??= error
    this.#start()
  }

  /** Tells everything that is durable before it returns. */
  finish(): void {
    while (this.#isBehind()) this.#tellSome()
    this.#rejectRest()
  }

  #start(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    this.#beginSlice()
  }

  #tellSlice(): void {
    if (this.#isBehind()) {
      this.#tellSome()
      if (this.#isBehind() && this.#pace.nowMs() >= this.#sliceEndsAtMs) this.#pace.yield(this.#beginSlice)
      else if (this.#isBehind()) this.#pace.afterReactions(this.#goOn)
    }
    if (this.#isBehind()) return
    this.#isTelling = false
    this.#rejectRest()
  }

  #isBehind(): boolean {
    return this.#toldCommits !== this.#durableCommits
  }

  #tellSome(): void {
    const count = Math.min((this.#durableCommits - this.#toldCommits) | 0, COMMITS_PER_LOOK)
    const records: LogRecord[] = []
    let sequence = this.#told
    for (let index = 0; index < count; index++) {
      const commit = this.#commits.shift() as Commit
      this.#waitingBytes -= waitingBytes(commit)
      for (const record of commit.records) records.push(sequenced(record, ++sequence))
    }
    this.#toldCommits = (this.#toldCommits + count) | 0
    this.#told = sequence
    this.#tell(records)
    for (let waiting = this.#waiting.peek(); waiting !== undefined; waiting = this.#waiting.peek()) {
      if (waiting.at > sequence) break
      this.#waiting.shift()
      waiting.resolve(waiting.outcomes)
    }
  }

  #rejectRest(): void {
    if (this.#failure === undefined) return
    this.#commits.drain()
    this.#waitingBytes = 0
    for (const { reject } of this.#waiting.drain()) reject(this.#failure)
  }
}
