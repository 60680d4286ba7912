/**
 * The default engine: one SQLite file, owned by one process, written by a thread of its own.
 *
 * Job: decide each commit on the main thread in final order (guards, keys, ids, sequence), and hand it to the writer.
 * Not its job: the way to the writer (`writer-thread.ts`), telling what is durable (`acknowledgements.ts`), the file
 * (`batch-writer.ts`, `sqlite-reader.ts`), the lock (`sqlite-lock.ts`).
 *
 * M1  The lock makes this process the only writer, so the main thread may decide against its own memory, commits that
 *     are not durable yet included.
 * M2  An outcome that rests on a commit which is not durable yet waits for it.
 * M3  A failed batch fails all behind it, and every append until the engine is opened again.
 * M4  What waits to be written is bounded; an append beyond the bound is refused before any of it is decided.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { LogRecord } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import { BoundedMap } from '../../kernel/bounded-map.ts'
import { SpineError } from '../../kernel/errors.ts'
import { limits } from '../../kernel/limits.ts'
import type {
  AppendOutcome,
  Commit,
  Durability,
  Engine,
  ObserverSource,
  IdempotencyKey,
  ReadQuery,
  Snapshot,
  Tail,
} from '../engine.ts'
import { TailFeed } from '../tail-feed.ts'
import { Acknowledgements, waitingBytes } from './acknowledgements.ts'
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
  /** The last sequence given out. */
  #last: Sequence = 0
  #acknowledgements = new Acknowledgements(0, () => {})

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
      {
        onDurable: (commits) => this.#acknowledgements.durable(commits),
        onFailed: (error) => {
          this.#failure ??= error
          this.#acknowledgements.fail(error)
        },
      },
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
    this.#last = reader.head()
    this.#acknowledgements = new Acknowledgements(this.#last, (records) => this.#tell(records))
    this.#pendingKeys.clear()
    this.#recentIds.clear()
    this.#idsLoaded = false
    this.#feed.start(this.#last)
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
    this.#acknowledgements.finish()
    this.#feed.stopAll()
    this.#reader = undefined
    reader?.close()
    await writer?.close()
  }

  append(commits: readonly Commit[]): Promise<readonly AppendOutcome[]> {
    try {
      const writer = this.#requireSound()
      this.#requireRoom(commits, writer)
      const outcomes = this.#decideAll(commits, writer)
      let at = 0
      for (const outcome of outcomes) at = Math.max(at, restsOn(outcome))
      return at > this.#acknowledgements.told ? this.#acknowledgements.wait(at, outcomes) : Promise.resolve(outcomes)
    } catch (error) {
      return Promise.reject(error as Error)
    }
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
    return this.#acknowledgements.told
  }

  async readSnapshot(name: string): Promise<Snapshot | undefined> {
    return this.#requireReader().snapshot(name)
  }

  async writeSnapshot(name: string, at: Sequence, state: Uint8Array): Promise<void> {
    await this.#requireSound().call({ kind: 'snapshot', name, at, state })
  }

  observer(): ObserverSource {
    return { module: new URL('./sqlite-observer.js', import.meta.url).href, options: { path: this.#options.path } }
  }

  async trim(before: Sequence): Promise<void> {
    await this.#requireSound().call({ kind: 'trim', before })
  }

  /** A look at the file may fail in the middle: the commits before it are on their way then, and nobody was told. */
  #decideAll(commits: readonly Commit[], writer: WriterThread): readonly AppendOutcome[] {
    const before = this.#last
    try {
      return commits.map((commit) => this.#decide(commit, writer))
    } catch (error) {
      throw this.#last === before ? error : Object.assign(error as Error, { outcome: 'unknown' })
    }
  }

  #decide(commit: Commit, writer: WriterThread): AppendOutcome {
    const repeated = this.#repeated(commit.id)
    if (repeated !== undefined) return { status: 'duplicate', ...repeated }
    if (commit.key !== undefined) {
      const used = this.#usedKey(commit.key)
      if (used !== undefined) {
        const { print, first, last } = used
        return print === commit.key.print ? { status: 'duplicate', first, last } : { status: 'key-reused', first }
      }
    }
    for (const { head, notAfter } of commit.guards ?? []) {
      const at = this.#heads.get(head)
      if (at !== undefined && at > notAfter) return { status: 'conflict', head, at }
    }
    return this.#accept(commit, writer)
  }

  #accept(commit: Commit, writer: WriterThread): AppendOutcome {
    const first = this.#last + 1
    writer.write(commit, first)
    this.#acknowledgements.accept(commit)
    const last = this.#last + commit.records.length
    this.#last = last
    for (const head of commit.moves ?? []) this.#heads.set(head, last)
    if (commit.key !== undefined) this.#pendingKeys.set(keyText(commit.key), { first, last, print: commit.key.print })
    this.#recentIds.set(commit.id, { first, last })
    return { status: 'appended', first, last }
  }

  /** M4. Before anything is decided, so that a refused append leaves nothing behind. */
  #requireRoom(commits: readonly Commit[], writer: WriterThread): void {
    let bytes = this.#acknowledgements.waitingBytes
    for (const commit of commits) {
      bytes += waitingBytes(commit)
      if (!writer.canCarry(commit)) throw commitTooLarge(this.#options.path, commit)
    }
    if (bytes <= limits.appendBytesMax) return
    throw new SpineError('SPINE_LOG_BUSY', `${this.#options.path}: more than ${limits.appendBytesMax} bytes wait.`, {
      value: bytes,
      limit: limits.appendBytesMax,
      fix: 'Wait for earlier appends before the next, and append less at once.',
    })
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

  #tell(records: readonly LogRecord[]): void {
    const { told } = this.#acknowledgements
    for (const [key, { last }] of this.#pendingKeys) {
      if (last > told) break
      this.#pendingKeys.delete(key)
    }
    this.#feed.feed(records)
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

function commitTooLarge(path: string, { id, records }: Commit): SpineError {
  const message = `${path}: the commit ${id} of ${records.length} records does not fit into the ring.`
  return new SpineError('SPINE_COMMIT_TOO_LARGE', message, {
    value: id,
    limit: limits.ringBytes / 2,
    fix: `Append less in one commit: ${limits.commitBytesMax} bytes always fit.`,
  })
}

function keyText({ scope, name }: IdempotencyKey): string {
  return JSON.stringify([scope, name])
}

export function closed(path: string): SpineError {
  return new SpineError('SPINE_CLOSED', `${path} is not open.`, { fix: 'Open it, or use the spine before closing it.' })
}
