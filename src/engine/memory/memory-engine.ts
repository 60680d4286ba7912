/**
 * The reference engine: read this one first. Everything in arrays and maps, nothing on a disk.
 *
 * Job: the contract of `engine/engine.ts`, as plainly as it can be said. Not its job: surviving the process.
 */
import { type LogRecord, sequenced } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import { SpineError } from '../../kernel/errors.ts'
import type { AppendOutcome, Commit, Durability, Engine, ReadQuery, Snapshot, Tail } from '../engine.ts'
import { matchesQuery } from '../matches-query.ts'
import { TailFeed } from '../tail-feed.ts'

interface Place {
  readonly first: Sequence
  readonly last: Sequence
}

export class MemoryEngine implements Engine {
  readonly name = 'memory'
  readonly shared = false
  readonly #records: LogRecord[] = []
  /** Records trimmed away: the sequence of `#records[0]` is one more. */
  #trimmed = 0
  readonly #heads = new Map<string, Sequence>()
  readonly #commits = new Map<string, Place>()
  readonly #keys = new Map<string, { readonly print: string; readonly place: Place }>()
  readonly #snapshots = new Map<string, Snapshot>()
  readonly #feed = new TailFeed((query) => this.read(query))
  #isOpen = false

  durability(): Durability {
    return { level: 'none', evidence: 'kept in the memory of this process only' }
  }

  async open(): Promise<void> {
    if (this.#isOpen) {
      throw new SpineError('SPINE_ENGINE_LOCKED', 'This memory log is open already.', {
        fix: 'Close the spine that uses it first.',
      })
    }
    this.#isOpen = true
    this.#feed.start(this.#last())
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#feed.stopAll()
  }

  async append(commits: readonly Commit[]): Promise<readonly AppendOutcome[]> {
    this.#requireOpen()
    const before = this.#last()
    const outcomes = commits.map((commit) => this.#appendOne(commit))
    const appended = this.#records.slice(before - this.#trimmed)
    // A listener runs on its own turn, never inside the stack of whoever appends.
    await Promise.resolve()
    this.#feed.feed(appended)
    return outcomes
  }

  async read(query: ReadQuery): Promise<readonly LogRecord[]> {
    this.#requireOpen()
    const { backwards = false, limit } = query
    const after = backwards
      ? Math.min(query.after ?? Number.POSITIVE_INFINITY, this.#last() + 1)
      : (query.after ?? this.#trimmed)
    this.#requireRetained(after, backwards)
    const found: LogRecord[] = []
    const step = backwards ? -1 : 1
    for (let at = after + step; at > this.#trimmed && at <= this.#last() && found.length < limit; at += step) {
      const record = this.#records[at - this.#trimmed - 1] as LogRecord
      if (matchesQuery(record, query)) found.push(asGiven(record))
    }
    return found
  }

  tail(after: Sequence, listener: (records: readonly LogRecord[]) => void): Tail {
    this.#requireOpen()
    this.#requireRetained(after, false)
    return this.#feed.follow(after, listener)
  }

  async head(): Promise<Sequence> {
    this.#requireOpen()
    return this.#last()
  }

  async readSnapshot(name: string): Promise<Snapshot | undefined> {
    this.#requireOpen()
    const known = this.#snapshots.get(name)
    return known === undefined ? undefined : { at: known.at, state: known.state.slice() }
  }

  async writeSnapshot(name: string, at: Sequence, state: Uint8Array): Promise<void> {
    this.#requireOpen()
    const known = this.#snapshots.get(name)
    if (known === undefined || known.at <= at) this.#snapshots.set(name, { at, state: state.slice() })
  }

  async trim(before: Sequence): Promise<void> {
    this.#requireOpen()
    let cut = this.#trimmed
    for (const { last } of this.#commits.values()) if (last < before && last > cut) cut = last
    this.#records.splice(0, cut - this.#trimmed)
    this.#trimmed = cut
  }

  #appendOne(commit: Commit): AppendOutcome {
    const known = this.#commits.get(commit.id)
    if (known !== undefined) return { status: 'duplicate', ...known }
    const key = commit.key && JSON.stringify([commit.key.scope, commit.key.name])
    const used = key && this.#keys.get(key)
    if (used) {
      return used.print === commit.key?.print
        ? { status: 'duplicate', ...used.place }
        : { status: 'key-reused', first: used.place.first }
    }
    const moved = commit.guards?.find(({ head, notAfter }) => (this.#heads.get(head) ?? 0) > notAfter)
    if (moved !== undefined)
      return { status: 'conflict', head: moved.head, at: this.#heads.get(moved.head) as Sequence }
    const place = { first: this.#last() + 1, last: this.#last() + commit.records.length }
    for (const record of commit.records) this.#records.push(Object.freeze(sequenced(record, this.#last() + 1)))
    for (const head of commit.moves ?? []) this.#heads.set(head, place.last)
    this.#commits.set(commit.id, place)
    if (key) this.#keys.set(key, { print: commit.key?.print as string, place })
    return { status: 'appended', ...place }
  }

  #last(): Sequence {
    return this.#trimmed + this.#records.length
  }

  #requireRetained(after: Sequence, backwards: boolean): void {
    if (backwards || after >= this.#trimmed) return
    throw new SpineError('SPINE_TRIMMED', `Records up to ${this.#trimmed} have been trimmed.`, {
      value: after,
      limit: this.#trimmed + 1,
      fix: `Read after ${this.#trimmed}.`,
    })
  }

  #requireOpen(): void {
    if (!this.#isOpen)
      throw new SpineError('SPINE_CLOSED', 'This memory log is not open.', {
        fix: 'Open it, or use the spine before closing it.',
      })
  }
}

/** Readers see the fields that a record has, and none that it has not. */
function asGiven(record: LogRecord): LogRecord {
  const given = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.freeze(Object.fromEntries(given)) as unknown as LogRecord
}
