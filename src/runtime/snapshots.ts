/**
 * Saves the folded state now and then, so that a restart folds a bounded number of records however long the log is.
 *
 * Job: when, and by whom. Little open work is encoded here, in a moment; much would hold the event loop for longer than
 * anything else does, so a thread folds the log on its own and encodes there (docs/decisions/0008).
 * Not its job: what a snapshot holds (`coordination/encode-state.ts`), or retention.
 *
 * B1  A snapshot that fails is tried again later and harms nothing: the log alone is enough.
 */
import { Worker } from 'node:worker_threads'
import { encodeState } from '../coordination/encode-state.ts'
import type { SpineState } from '../coordination/state.ts'
import type { Engine, ObserverSource } from '../engine/engine.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import { limits } from '../kernel/limits.ts'
import { KERNEL_SNAPSHOT } from './load-state.ts'

/** What the thread is told. */
export type SnapshotOrder = ObserverSource

export class Snapshots {
  readonly #engine: Engine
  readonly #clock: Clock
  #savedAt: Sequence = 0
  #thread: Worker | undefined
  #isSaving = false
  /** Since when much open work has been saved, or the process has run, absolute ms. */
  #threadAtMs: number
  #isStopped = false

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine
    this.#clock = clock
    this.#threadAtMs = clock.now()
  }

  /** What is on the log below is saved already. */
  startAt(savedAt: Sequence): void {
    this.#savedAt = savedAt
  }

  /** Called after every folded batch. */
  folded(state: SpineState): void {
    if (state.at - this.#savedAt < limits.snapshotEveryRecords || this.#isSaving || this.#isStopped) return
    const source = this.#engine.observer?.()
    if (source === undefined) return
    const isLittle = openWork(state) <= limits.snapshotInlineMax
    if (!isLittle && this.#clock.now() - this.#threadAtMs < limits.snapshotThreadEveryMs) return
    this.#isSaving = true
    if (isLittle) this.#save(state.at, encodeState(state))
    else this.#saveInThread(source)
  }

  stop(): void {
    this.#isStopped = true
    void this.#thread?.terminate()
  }

  #saveInThread(source: ObserverSource): void {
    const thread = new Worker(new URL('./snapshot-thread.js', import.meta.url), { workerData: source, execArgv: [] })
    this.#thread = thread
    this.#threadAtMs = this.#clock.now()
    thread.unref()
    thread.once('message', ({ at, state }: { readonly at: Sequence; readonly state: string }) => this.#save(at, state))
    // Without a listener an error of the thread would be one of the process (B1).
    thread.once('error', () => {})
    thread.once('exit', () => {
      this.#thread = undefined
      this.#isSaving = false
    })
  }

  #save(at: Sequence, state: string): void {
    this.#savedAt = at
    if (this.#isStopped) return
    const done = () => {
      if (this.#thread === undefined) this.#isSaving = false
    }
    this.#engine.writeSnapshot(KERNEL_SNAPSHOT, at, new TextEncoder().encode(state)).then(done, done)
  }
}

function openWork({ deliveries, deadLetters, agents }: SpineState): number {
  return deliveries.openCount + deadLetters.size + agents.length
}
