/**
 * An engine that only reads: for observers, tools and other processes. It takes no lock and writes nothing.
 *
 * Real time: it polls a file that another process writes.
 */
import { existsSync } from 'node:fs'
import type { LogRecord } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import { SpineError } from '../../kernel/errors.ts'
import type { Durability, Engine, ReadQuery, Snapshot, Tail } from '../engine.ts'
import { TailFeed } from '../tail-feed.ts'
import { loadDriver } from './sqlite-driver.ts'
import { closed } from './sqlite-engine.ts'
import { openForReading } from './sqlite-file.ts'
import { SqliteReader } from './sqlite-reader.ts'

/** How often the file is asked whether another process has committed: one pragma, no page is read. */
const POLL_MS = 50

export class SqliteObserver implements Engine {
  readonly name: string
  readonly shared = false
  readonly #path: string
  readonly #feed = new TailFeed((query) => this.read(query))
  #reader: SqliteReader | undefined
  #poll: NodeJS.Timeout | undefined

  constructor(path: string) {
    this.#path = path
    this.name = `sqlite ${path} (read-only)`
  }

  durability(): Durability {
    return { level: 'power-loss', evidence: 'read-only: what is read here was made durable by the owner' }
  }

  async open(): Promise<void> {
    if (this.#reader !== undefined) {
      throw new SpineError('SPINE_ENGINE_LOCKED', `${this.#path} is open already, in this very engine.`, {
        fix: 'Close it first, or make another engine.',
      })
    }
    if (!existsSync(this.#path)) {
      throw new SpineError('SPINE_LOG_FAILED', `There is no log at ${this.#path}.`, {
        value: this.#path,
        fix: 'Check the path; the owner creates the file.',
      })
    }
    this.#reader = new SqliteReader(openForReading(await loadDriver(), this.#path), this.#path)
    this.#feed.start(this.#reader.head())
  }

  async close(): Promise<void> {
    clearInterval(this.#poll)
    this.#poll = undefined
    this.#feed.stopAll()
    this.#reader?.close()
    this.#reader = undefined
  }

  async append(): Promise<never> {
    throw this.#readOnly()
  }

  async read(query: ReadQuery): Promise<readonly LogRecord[]> {
    return this.#requireReader().read(query)
  }

  tail(after: Sequence, listener: (records: readonly LogRecord[]) => void): Tail {
    const reader = this.#requireReader()
    reader.requireRetained(after)
    this.#poll ??= this.#watch(reader)
    return this.#feed.follow(after, listener)
  }

  async head(): Promise<Sequence> {
    return this.#requireReader().head()
  }

  async readSnapshot(name: string): Promise<Snapshot | undefined> {
    return this.#requireReader().snapshot(name)
  }

  async writeSnapshot(): Promise<never> {
    throw this.#readOnly()
  }

  async trim(): Promise<never> {
    throw this.#readOnly()
  }

  #watch(reader: SqliteReader): NodeJS.Timeout {
    let version = -1
    const poll = setInterval(() => {
      try {
        const now = reader.dataVersion()
        if (now === version) return
        version = now
        this.#feed.moveTo(reader.head())
      } catch {
        // The file was damaged or taken away: whoever reads is told. A tail falls silent, and the process lives.
        clearInterval(poll)
      }
    }, POLL_MS)
    poll.unref()
    return poll
  }

  #requireReader(): SqliteReader {
    if (this.#reader === undefined) throw closed(this.#path)
    return this.#reader
  }

  #readOnly(): SpineError {
    return new SpineError('SPINE_READ_ONLY', `${this.#path} was opened read-only.`, {
      value: this.#path,
      fix: 'Open it without readOnly, in the process that owns it.',
    })
  }
}

/** For a thread that was told by `Engine.observer` where the log is. */
export function openObserver(options: unknown): Engine {
  return new SqliteObserver((options as { readonly path: string }).path)
}
