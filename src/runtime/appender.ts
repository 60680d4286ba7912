/**
 * The way to the log: commits of one turn of the event loop go to the engine together, in the order they were made.
 *
 * P1  A promise of `append` resolves after this process's fold has passed the commit.
 * P2  Once the log has failed, nothing more is tried: every later append rejects with the same error.
 * P3  When the log is busy, whoever publishes is told; what runs write waits, in order, and is never given up.
 */
import type { AppendOutcome, Commit, Engine } from '../engine/engine.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { LogFold } from './log-fold.ts'

export type CommitDraft = Omit<Commit, 'id'>

/** Called once: with what became of the commit, or with why nobody knows. */
export type Settled = (outcome: AppendOutcome | undefined, error?: unknown) => void

interface Waiting {
  readonly commit: Commit
  readonly settled: Settled
  /** Whoever asked is told when the log is busy; the work of runs waits instead. */
  readonly isRefusable: boolean
}

export class Appender {
  readonly #engine: Engine
  readonly #fold: LogFold
  readonly #writer: string
  readonly #onFailed: (error: unknown) => void
  /** Asked once for every batch that goes out anyway. */
  readonly #alongside: () => CommitDraft | undefined
  readonly #underWay = new Set<readonly Waiting[]>()
  #counter = 0
  #turn: Waiting[] = []
  #failure: unknown
  /** The log was busy: the turn waits for the event loop to turn, and what is asked for meanwhile waits behind it. */
  #isPostponed = false

  constructor(
    engine: Engine,
    fold: LogFold,
    writer: string,
    onFailed: (error: unknown) => void,
    alongside: () => CommitDraft | undefined,
  ) {
    this.#engine = engine
    this.#fold = fold
    this.#writer = writer
    this.#onFailed = onFailed
    this.#alongside = alongside
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#turn.length === 0 && this.#underWay.size === 0
  }

  /** @throws SPINE_COMMIT_TOO_LARGE at once; what the engine throws later. */
  append(draft: CommitDraft, isRefusable = false): Promise<AppendOutcome> {
    return new Promise((resolve, reject) => {
      this.post(draft, (outcome, error) => (outcome === undefined ? reject(error) : resolve(outcome)), isRefusable)
    })
  }

  /** `append` without a promise, for what is written most. Never throws. */
  post(draft: CommitDraft, settled: Settled, isRefusable = false): void {
    const refusal = this.#failure ?? tooLarge(draft)
    if (refusal !== undefined) {
      settled(undefined, refusal)
      return
    }
    const commit: Commit = { ...draft, id: this.#nextId() }
    this.#turn.push({ commit, settled, isRefusable })
    if (this.#turn.length === 1 && !this.#isPostponed) queueMicrotask(() => void this.#flush())
  }

  #nextId(): string {
    return `${this.#writer}:${++this.#counter}`
  }

  /** From here on every append rejects with `error`. */
  fail(error: unknown): void {
    this.#failure ??= error
  }

  /** What is on its way rejects too, whatever becomes of it. */
  abandon(error: unknown): void {
    this.fail(error)
    for (const turn of [...this.#underWay, this.#turn]) for (const { settled } of turn) settled(undefined, error)
    this.#underWay.clear()
    this.#turn = []
  }

  async #flush(): Promise<void> {
    const turn = this.#turn
    if (turn.length === 0) return
    this.#turn = []
    const commits = turn.map((waiting) => waiting.commit)
    const alongside = this.#alongside()
    if (alongside !== undefined) commits.push({ ...alongside, id: this.#nextId() })
    this.#underWay.add(turn)
    let outcomes: readonly AppendOutcome[]
    try {
      outcomes = await this.#engine.append(commits)
    } catch (error) {
      this.#refused(turn, error)
      return
    }
    // Whoever abandoned it has told everyone.
    if (!this.#underWay.delete(turn)) return
    for (let index = 0; index < turn.length; index++) {
      const { settled } = turn[index] as Waiting
      const outcome = outcomes[index] as AppendOutcome
      const passing = 'last' in outcome ? this.#fold.passed(outcome.last) : undefined
      if (passing === undefined) settled(outcome)
      else
        void passing.then(
          () => settled(outcome),
          (error: unknown) => settled(undefined, error),
        )
    }
  }

  #postpone(turn: readonly Waiting[], error: SpineError): void {
    const waiting = turn.filter(({ isRefusable }) => !isRefusable)
    this.#turn = [...waiting, ...this.#turn]
    if (!this.#isPostponed) {
      this.#isPostponed = true
      setImmediate(() => {
        this.#isPostponed = false
        void this.#flush()
      })
    }
    for (const { settled, isRefusable } of turn) if (isRefusable) settled(undefined, error)
  }

  #refused(turn: readonly Waiting[], error: unknown): void {
    if (!this.#underWay.delete(turn)) return
    if (SpineError.is(error, 'SPINE_LOG_BUSY')) {
      this.#postpone(turn, error)
      return
    }
    if (this.#failure === undefined) {
      this.#failure = error
      this.#onFailed(error)
    }
    for (const { settled } of turn) settled(undefined, error)
  }
}

/** Characters, not bytes: every payload in it was measured in bytes already; this bounds their sum. 200 for a header. */
function tooLarge(draft: CommitDraft): SpineError | undefined {
  let characters = 0
  for (const record of draft.records) characters += 200 + (record.data?.json.length ?? 0)
  if (characters <= limits.commitBytesMax) return undefined
  return new SpineError(
    'SPINE_COMMIT_TOO_LARGE',
    `A commit of ${draft.records.length} records has ${characters} bytes or more.`,
    {
      value: characters,
      limit: limits.commitBytesMax,
      fix: 'Emit less at once, or put large content in a store of its own and pass references.',
    },
  )
}
