/**
 * The engine contract: where the log lives. `engine/conformance` is this file as tests; an engine that passes it can
 * carry a spine.
 *
 * Job: give commits one order, make them durable, hand them back. Heads are the whole of fencing.
 * Not its job: knowing what a head, a key or a record means. It validates nothing: callers pass exact arguments.
 *
 * G1  A commit is all there or not at all, and its records have neighbouring sequences.
 * G2  Sequences are dense from 1: no gap, no reuse, in the order in which appends were called.
 * G3  `append` resolves only when its outcomes are durable at the level that `durability()` names.
 * G4  A commit whose key was used before, or whose guard does not hold, writes nothing. The key is looked at first: a
 *     repetition is recognised also when what it depends on has moved since.
 * G5  A commit id that was appended before returns the first outcome as `duplicate`, within `limits.commitIdWindow`.
 * G6  Every tail sees every durable record once, in order, without a gap, its own process's commits included, and sees
 *     them before the `append` that wrote them resolves.
 * G7  After a failed write the engine acknowledges nothing more until it is closed and opened again.
 * G8  Idempotency keys are kept for the life of the log, also past trimming.
 */
import type { LogRecord, NewRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'

export interface Engine {
  /** For people: `memory`, `sqlite ./spine.db`. */
  readonly name: string
  /** Whether several processes may write at once. */
  readonly shared: boolean
  durability(): Durability
  /** @throws SPINE_ENGINE_LOCKED, SPINE_LOG_NEWER, SPINE_LOG_CORRUPT, SPINE_NO_SQLITE */
  open(): Promise<void>
  /** Waits for appends under way, then releases everything. Closing twice is fine. */
  close(): Promise<void>
  /**
   * Atomic commit by commit, in array order. After SPINE_LOG_BUSY and SPINE_COMMIT_TOO_LARGE nothing of it is written, and
   * others go on. @throws these, SPINE_LOG_FULL, SPINE_LOG_FAILED, SPINE_CLOSED, SPINE_READ_ONLY
   */
  append(commits: readonly Commit[]): Promise<readonly AppendOutcome[]>
  /** At most `limit` records in sequence order (or the reverse). @throws SPINE_TRIMMED, SPINE_LOG_CORRUPT */
  read(query: ReadQuery): Promise<readonly LogRecord[]>
  /** Calls `listener` with every record above `after`, batch by batch. A listener must not throw. */
  tail(after: Sequence, listener: (records: readonly LogRecord[]) => void): Tail
  /** The highest durable sequence, 0 for an empty log. */
  head(): Promise<Sequence>
  readSnapshot(name: string): Promise<Snapshot | undefined>
  /** Replaces the snapshot of that name, unless the stored one is of a later sequence. */
  writeSnapshot(name: string, at: Sequence, state: Uint8Array): Promise<void>
  /** How another thread of this process opens the same log to read it; absent where that makes no sense. */
  observer?(): ObserverSource
  /** Forgets whole commits whose records all lie below `before`. Keys and heads stay. */
  trim(before: Sequence): Promise<void>
}

export interface ObserverSource {
  /** URL of a module that exports `openObserver(options): Engine`. */
  readonly module: string
  /** Given to it; survives a structured clone. */
  readonly options: unknown
}

export interface Durability {
  readonly level: 'none' | 'process-crash' | 'power-loss'
  /** How the engine knows: `PRAGMA synchronous reads 2 (FULL)`. */
  readonly evidence: string
}

export interface Commit {
  /** Writer and counter, `w7f3:42`: unique for the life of the log. */
  readonly id: string
  /** A guarded head that has moved past `notAfter` is a conflict: nothing is written. */
  readonly guards?: readonly Guard[]
  /** Heads that are set to the last sequence of this commit. */
  readonly moves?: readonly string[]
  readonly key?: IdempotencyKey
  /** At least one. */
  readonly records: readonly NewRecord[]
}

export interface Guard {
  readonly head: string
  readonly notAfter: Sequence
}

export interface IdempotencyKey {
  readonly scope: string
  readonly name: string
  /** Fingerprint of what the key stands for; the same key with another print is `key-reused`. */
  readonly print: string
}

export type AppendOutcome =
  | { readonly status: 'appended' | 'duplicate'; readonly first: Sequence; readonly last: Sequence }
  | { readonly status: 'conflict'; readonly head: string; readonly at: Sequence }
  | { readonly status: 'key-reused'; readonly first: Sequence }

/** All given conditions must hold. */
export interface ReadQuery {
  /** Exclusive: records above it, or below it when `backwards`. Backwards from the end: leave it out. */
  readonly after?: Sequence
  /** 1 to `limits.readRecordsMax`. */
  readonly limit: number
  readonly session?: string
  readonly request?: string
  readonly types?: readonly string[]
  readonly agent?: string
  readonly backwards?: boolean
}

export interface Tail {
  /** No call of the listener after this returns. */
  stop(): void
}

export interface Snapshot {
  readonly at: Sequence
  readonly state: Uint8Array
}
