/**
 * The state of the spine in this process: folds the log from the start, then everything that the engine's tail brings.
 *
 * Job: keep `state` at the head of the log, and tell those who asked when it has passed a sequence.
 * Not its job: acting on what changed (`runtime.ts` does, through `onFolded`).
 *
 * W1  Records are folded once, in order; `onFolded` runs after a whole batch, never inside the fold.
 */
import { evolve } from '../coordination/evolve.ts'
import { initialState, type Mark, type SpineState } from '../coordination/state.ts'
import type { Engine, Tail } from '../engine/engine.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import { foldLog } from './fold-log.ts'
import { loadState } from './load-state.ts'

export interface FoldListener {
  /** Every record, in order, after it has been folded. */
  onRecord(record: LogRecord): void
  /** Once per batch. */
  onFolded(marks: readonly Mark[]): void
  /** The log holds what this version cannot fold; nothing more will be folded. */
  onBroken(error: unknown): void
}

export class LogFold {
  #state: SpineState = initialState()
  readonly #engine: Engine
  readonly #listener: FoldListener
  #tail: Tail | undefined
  #waiters: {
    readonly sequence: Sequence
    readonly resolve: () => void
    readonly reject: (error: SpineError) => void
  }[] = []

  constructor(engine: Engine, listener: FoldListener) {
    this.#engine = engine
    this.#listener = listener
  }

  get state(): SpineState {
    return this.#state
  }

  /** Folds what is on the log, from the last snapshot on, then follows it. Resolves with where it began. */
  async start(): Promise<Sequence> {
    this.#state = await loadState(this.#engine)
    const from = this.#state.at
    await foldLog(this.#engine, this.#state, (record) => this.#listener.onRecord(record))
    this.#tail = this.#engine.tail(this.state.at, (records) => this.#receive(records))
    return from
  }

  /** Nothing more is folded. Who waits is told that it will not be. */
  stop(): void {
    this.#tail?.stop()
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters)
      reject(new SpineError('SPINE_CLOSED', 'The log is folded no further here.', { outcome: 'unknown' }))
  }

  /** Resolves when the fold has passed a sequence: read your writes. */
  passed(sequence: Sequence): Promise<void> | undefined {
    if (this.state.at >= sequence) return undefined
    return new Promise((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }))
  }

  #receive(records: readonly LogRecord[]): void {
    try {
      for (const record of records) this.#fold(record)
    } catch (error) {
      this.stop()
      this.#listener.onBroken(error)
      return
    }
    const { marks } = this.state
    if (marks !== undefined) this.state.marks = []
    this.#listener.onFolded(marks ?? [])
    if (this.#waiters.length > 0) this.#wake()
  }

  #fold(record: LogRecord): void {
    // A tail that repeats itself is no reason to stop; one that leaves something out is, and `evolve` sees it.
    if (record.sequence <= this.state.at) return
    evolve(this.state, record)
    this.#listener.onRecord(record)
  }

  #wake(): void {
    const due = this.#waiters.filter((waiter) => waiter.sequence <= this.state.at)
    this.#waiters = this.#waiters.filter((waiter) => waiter.sequence > this.state.at)
    for (const waiter of due) waiter.resolve()
  }
}
