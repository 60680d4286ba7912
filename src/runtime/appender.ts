/**
 * The way to the log: commits of one turn of the event loop go to the engine together, in the order they were made.
 *
 * P1  A promise of `append` resolves after this process's fold has passed the commit.
 * P2  Once the log has failed, nothing more is tried: every later append rejects with the same error.
 */
import type { AppendOutcome, Commit, Engine } from '../engine/engine.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { LogFold } from './log-fold.ts'

export type CommitDraft = Omit<Commit, 'id'>

interface Waiting {
  readonly commit: Commit
  readonly resolve: (outcome: AppendOutcome) => void
  readonly reject: (error: unknown) => void
}

export class Appender {
  readonly #engine: Engine
  readonly #fold: LogFold
  readonly #writer: string
  readonly #onFailed: (error: unknown) => void
  #counter = 0
  #turn: Waiting[] = []
  #failure: unknown

  constructor(engine: Engine, fold: LogFold, writer: string, onFailed: (error: unknown) => void) {
    this.#engine = engine
    this.#fold = fold
    this.#writer = writer
    this.#onFailed = onFailed
  }

  /** @throws SPINE_COMMIT_TOO_LARGE at once; what the engine throws later. */
  append(draft: CommitDraft): Promise<AppendOutcome> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    requireCommitSize(draft)
    const commit: Commit = { ...draft, id: `${this.#writer}:${++this.#counter}` }
    return new Promise((resolve, reject) => {
      this.#turn.push({ commit, resolve, reject })
      if (this.#turn.length === 1) queueMicrotask(() => this.#flush())
    })
  }

  /** From here on every append rejects with `error`. */
  fail(error: unknown): void {
    this.#failure ??= error
  }

  async #flush(): Promise<void> {
    const turn = this.#turn
    this.#turn = []
    try {
      const outcomes = await this.#engine.append(turn.map((waiting) => waiting.commit))
      for (const [index, { resolve }] of turn.entries()) {
        const outcome = outcomes[index] as AppendOutcome
        const passing = 'last' in outcome ? this.#fold.passed(outcome.last) : undefined
        if (passing === undefined) resolve(outcome)
        else void passing.then(() => resolve(outcome))
      }
    } catch (error) {
      if (this.#failure === undefined) {
        this.#failure = error
        this.#onFailed(error)
      }
      for (const { reject } of turn) reject(error)
    }
  }
}

/** Characters, not bytes: every payload in it was measured in bytes already; this bounds their sum. 200 for a header. */
function requireCommitSize(draft: CommitDraft): void {
  let characters = 0
  for (const record of draft.records) characters += 200 + (record.data?.json.length ?? 0)
  if (characters <= limits.commitBytesMax) return
  throw new SpineError(
    'SPINE_COMMIT_TOO_LARGE',
    `A commit of ${draft.records.length} records has ${characters} bytes or more.`,
    {
      value: characters,
      limit: limits.commitBytesMax,
      fix: 'Emit less at once, or put large content in a store of its own and pass references.',
    },
  )
}
