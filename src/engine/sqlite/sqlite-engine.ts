/**
 * The default engine: one SQLite file, owned by one process, written by a thread of its own.
 *
 * Job: decide each commit on the main thread in final order (guards, keys, ids, sequence), hand its row to the writer,
 * and acknowledge what the writer has made durable.
 * Not its job: the file (`batch-writer.ts`, `sqlite-reader.ts`), the lock (`sqlite-lock.ts`).
 *
 * M1  The lock makes this process the only writer, so the main thread may decide against its own memory, commits that
 *     are not durable yet included.
 * M2  An outcome that rests on a commit which is not durable yet waits for it.
 * M3  A failed batch fails all behind it, and every append until the engine is opened again.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { type LogRecord, sequenced } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import { BoundedMap } from '../../kernel/bounded-map.ts'
import { SpineError } from '../../kernel/errors.ts'
import { limits } from '../../kernel/limits.ts'
import type { AppendOutcome, Commit, Durability, Engine, IdempotencyKey, ReadQuery, Snapshot, Tail } from '../engine.ts'
import { TailFeed } from '../tail-feed.ts'
import { encodeCommit } from './commit-row.ts'
import { loadDriver } from './sqlite-driver.ts'
import { openForReading, translated } from './sqlite-file.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { WriterThread } from './writer-thread.ts'

export interface SqliteEngineOptions {
  readonly path: string
  readonly maxBytes: number | undefined
  readonly lockWaitMs: number
}

interface Place {
  readonly first: Sequence
  readonly last: Sequence
}

interface Acknowledgement {
  readonly at: Sequence
  readonly resolve: () => void
  readonly reject: (error: SpineError) => void
}

export class SqliteEngine implements Engine {
  readonly name: string
  readonly shared = false
  readonly #options: SqliteEngineOptions
  readonly #feed = new TailFeed((query) => this.read(query))
  #writer: WriterThread | undefined
  #reader: SqliteReader | undefined
  #closing: Promise<void> | undefined
  #evidence = ''
  #failure: SpineError | undefined
  #heads = new Map<string, Sequence>()
  /** Keys of commits that are not durable yet; the others are in the file. */
  readonly #pendingKeys = new Map<string, Place & { readonly print: string }>()
  readonly #recentIds = new BoundedMap<string, Place>(limits.commitIdWindow)
  #idsLoaded = false
  /** The last sequence given out, and the last one on the disk. */
  #last: Sequence = 0
  #durable: Sequence = 0
  #pending: LogRecord[] = []
  #waiting: Acknowledgement[] = []

  constructor(options: SqliteEngineOptions) {
    this.#options = options
    this.name = `sqlite ${options.path}`
  }

  durability(): Durability {
    return {
      level: 'power-loss',
      evidence: this.#evidence || 'not open yet; synchronous=FULL is set and read back when it is',
    }
  }

  async open(): Promise<void> {
    if (this.#writer !== undefined) {
      throw new SpineError('SPINE_ENGINE_LOCKED', `${this.#options.path} is open already, in this very engine.`, {
        fix: 'Close the spine that uses it first.',
      })
    }
    const { path, maxBytes, lockWaitMs } = this.#options
    translated(path, () => mkdirSync(dirname(path), { recursive: true }))
    const { writer, ready } = await WriterThread.start(
      { path, maxBytes, lockWaitMs },
      { onDurable: (last) => this.#acknowledge(last), onFailed: (error) => this.#fail(error) },
    )
    try {
      if (ready.synchronous !== 2)
        throw new SpineError('SPINE_LOG_FAILED', `${path}: synchronous reads ${ready.synchronous}, not 2 (FULL).`)
      this.#reader = new SqliteReader(openForReading(await loadDriver(), path), path)
      this.#begin(this.#reader)
    } catch (error) {
      this.#reader?.close()
      this.#reader = undefined
      await writer.close()
      throw error
    }
    this.#evidence = `PRAGMA synchronous reads 2 (FULL), WAL, SQLite ${ready.sqlite} of ${ready.driver}`
    this.#writer = writer
  }

  #begin(reader: SqliteReader): void {
    this.#failure = undefined
    this.#heads = reader.heads()
    this.#last = this.#durable = reader.head()
    this.#pending = []
    this.#pendingKeys.clear()
    this.#recentIds.clear()
    this.#idsLoaded = false
    this.#feed.start(this.#durable)
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown().finally(() => {
      this.#closing = undefined
    })
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    const { writer, reader } = { writer: this.#writer, reader: this.#reader }
    this.#writer = undefined
    // The writer's connection has to be the last to close: only then does SQLite take the WAL back into the file.
    await writer?.call({ kind: 'flush' }).catch(() => undefined)
    this.#feed.stopAll()
    this.#reader = undefined
    reader?.close()
    await writer?.close()
  }

  async append(commits: readonly Commit[]): Promise<readonly AppendOutcome[]> {
    const writer = this.#requireSound()
    const outcomes = commits.map((commit) => this.#decide(commit, writer))
    const at = Math.max(0, ...outcomes.map(restsOn))
    if (at > this.#durable) await new Promise<void>((resolve, reject) => this.#waiting.push({ at, resolve, reject }))
    return outcomes
  }

  async read(query: ReadQuery): Promise<readonly LogRecord[]> {
    return this.#requireReader().read(query)
  }

  tail(after: Sequence, listener: (records: readonly LogRecord[]) => void): Tail {
    this.#requireReader().requireRetained(after)
    return this.#feed.follow(after, listener)
  }

  async head(): Promise<Sequence> {
    this.#requireReader()
    return this.#durable
  }

  async readSnapshot(name: string): Promise<Snapshot | undefined> {
    return this.#requireReader().snapshot(name)
  }

  async writeSnapshot(name: string, at: Sequence, state: Uint8Array): Promise<void> {
    await this.#requireSound().call({ kind: 'snapshot', name, at, state })
  }

  async trim(before: Sequence): Promise<void> {
    await this.#requireSound().call({ kind: 'trim', before })
  }

  #decide(commit: Commit, writer: WriterThread): AppendOutcome {
    const repeated = this.#repeated(commit.id)
    if (repeated !== undefined) return { status: 'duplicate', ...repeated }
    for (const { head, notAfter } of commit.guards ?? []) {
      const at = this.#heads.get(head)
      if (at !== undefined && at > notAfter) return { status: 'conflict', head, at }
    }
    if (commit.key !== undefined) {
      const used = this.#usedKey(commit.key)
      if (used !== undefined) {
        const { print, first, last } = used
        return print === commit.key.print ? { status: 'duplicate', first, last } : { status: 'key-reused', first }
      }
    }
    return this.#accept(commit, writer)
  }

  #accept(commit: Commit, writer: WriterThread): AppendOutcome {
    const row = encodeCommit(commit, this.#last + 1)
    const place = { first: row.first, last: row.last }
    for (const record of commit.records) {
      this.#pending.push(sequenced(record, ++this.#last))
    }
    for (const head of row.moves) this.#heads.set(head, row.last)
    if (commit.key !== undefined) this.#pendingKeys.set(keyText(commit.key), { ...place, print: commit.key.print })
    this.#recentIds.set(commit.id, place)
    writer.write(row)
    return { status: 'appended', ...place }
  }

  #repeated(id: string): Place | undefined {
    if (!this.#idsLoaded) {
      this.#idsLoaded = true
      for (const { id: known, first, last } of [...this.#requireReader().recentCommits()].reverse())
        this.#recentIds.set(known, { first, last })
    }
    return this.#recentIds.get(id)
  }

  #usedKey(key: IdempotencyKey): (Place & { readonly print: string }) | undefined {
    return this.#pendingKeys.get(keyText(key)) ?? this.#requireReader().key(key.scope, key.name)
  }

  #acknowledge(last: Sequence): void {
    const count = last - this.#durable
    const records = this.#pending.slice(0, count)
    this.#pending = this.#pending.slice(count)
    this.#durable = last
    for (const [key, place] of this.#pendingKeys) {
      if (place.last > last) break
      this.#pendingKeys.delete(key)
    }
    this.#feed.feed(records)
    let done = 0
    while (done < this.#waiting.length && (this.#waiting[done] as Acknowledgement).at <= last)
      (this.#waiting[done++] as Acknowledgement).resolve()
    if (done > 0) this.#waiting = this.#waiting.slice(done)
  }

  #fail(error: SpineError): void {
    this.#failure ??= error
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(error)
  }

  /** G7: after a failed write nothing is acknowledged, of whatever kind. */
  #requireSound(): WriterThread {
    const writer = this.#requireWriter()
    if (this.#failure !== undefined) throw this.#failure
    return writer
  }

  #requireWriter(): WriterThread {
    if (this.#writer === undefined) throw closed(this.#options.path)
    return this.#writer
  }

  #requireReader(): SqliteReader {
    if (this.#reader === undefined) throw closed(this.#options.path)
    return this.#reader
  }
}

/** The sequence that has to be durable before an outcome may be told. */
function restsOn(outcome: AppendOutcome): Sequence {
  if (outcome.status === 'conflict') return outcome.at
  return outcome.status === 'key-reused' ? outcome.first : outcome.last
}

function keyText({ scope, name }: IdempotencyKey): string {
  return JSON.stringify([scope, name])
}

export function closed(path: string): SpineError {
  return new SpineError('SPINE_CLOSED', `${path} is not open.`, { fix: 'Open it, or use the spine before closing it.' })
}
