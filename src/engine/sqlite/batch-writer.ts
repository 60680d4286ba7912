/**
 * Writes batches of commits: one transaction each, one row a commit, hashed and linked.
 *
 * K1  After a batch returned, it is on the disk (synchronous FULL); after it threw, none of it is in the file, unless the
 *     error says that its outcome is unknown.
 * K2  The link of a batch stands on its last row, so where a batch ends is known before that row is written.
 */
import { createHash, type Hash, hash, randomFillSync } from 'node:crypto'
import { type CommitFrame, dataBytes, decodeFrame, type FrameMemory } from './commit-frame.ts'
import type { CommitRing } from './commit-ring.ts'
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.ts'
import type { WriteAheadLog } from './write-ahead-log.ts'

const SALT_BYTES = 16
const HASH_BYTES = 32
/** A batch holds at most so many bytes, so that one sync never delays those behind it for long. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024

export class BatchWriter {
  readonly #database: SqliteDatabase
  readonly #log: WriteAheadLog
  readonly #begin: SqliteStatement
  readonly #commit: SqliteStatement
  readonly #insert: SqliteStatement
  readonly #putHead: SqliteStatement
  readonly #putKey: SqliteStatement
  readonly #putMention: SqliteStatement
  /** The frame in hand, copied out of the ring: not every driver takes shared memory, and hashing writes into it. */
  #frame = createMemory(64 * 1024)
  #salts = Buffer.alloc(SALT_BYTES * 1_024)
  #saltsUsed = this.#salts.length
  #hashes = Buffer.alloc(HASH_BYTES * 64)
  #link: Uint8Array

  constructor(database: SqliteDatabase, log: WriteAheadLog) {
    this.#database = database
    this.#log = log
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#insert = database.prepare('INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    this.#putHead = database.prepare('INSERT OR REPLACE INTO heads VALUES (?, ?)')
    this.#putKey = database.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?)')
    this.#putMention = database.prepare('INSERT OR IGNORE INTO mentions VALUES (?, ?, ?)')
    this.#link = lastLink(database)
  }

  /** Takes what the ring's last `look` found, at least one frame, at most the bound. Returns how many commits it was. */
  write(ring: CommitRing): number {
    const before = this.#link
    let commits = 0
    try {
      this.#begin.run()
      commits = this.#insertAll(ring)
      // They are SQLite's now. While it syncs, the main thread may fill their room again.
      ring.release()
    } catch (error) {
      this.#link = before
      this.#rollBack()
      throw error
    }
    try {
      this.#commit.run()
    } catch (error) {
      this.#link = before
      this.#rollBack()
      throw Object.assign(error as Error, { outcome: 'unknown' })
    }
    return commits
  }

  #insertAll(ring: CommitRing): number {
    const chain = createHash('sha256').update(this.#link)
    let commits = 0
    let batchBytes = 0
    let isLast = false
    do {
      const offset = ring.take()
      const bytes = ring.frameBytes(offset)
      if (bytes > this.#frame.bytes.length) this.#frame = createMemory(2 * bytes)
      ring.bytes.copy(this.#frame.bytes, 0, offset, offset + bytes)
      batchBytes += bytes
      commits++
      isLast = !ring.hasNext() || batchBytes >= BATCH_BYTES_MAX
      this.#insertRow(decodeFrame(this.#frame), chain, isLast)
    } while (!isLast)
    this.#log.grew(commits, batchBytes)
    return commits
  }

  #insertRow(frame: CommitFrame, chain: Hash, isLast: boolean): void {
    const { first, last, id, time, session, request, headers, data, extras } = frame
    // Before the hashes: they overwrite it.
    chain.update(frame.link)
    const { salts, hashes } = this.#hash(frame)
    chain.update(hashes)
    if (isLast) this.#link = chain.digest()
    this.#insert.run(first, last, id, time, session, request, headers, data, salts, hashes, isLast ? this.#link : null)
    if (extras === undefined) return
    const { moves, key, mentions } = extras
    for (const head of moves) this.#putHead.run(head, last)
    if (key !== null) this.#putKey.run(key.scope, key.name, key.print, first, last)
    for (const [kind, name] of mentions) this.#putMention.run(kind, name, first)
  }

  /** Each salt is laid over the bytes before its data, which were hashed before: so the two lie in one piece. */
  #hash({ first, last, dataAt }: CommitFrame): { salts: Uint8Array; hashes: Uint8Array } {
    const { bytes } = this.#frame
    const count = last - first + 1
    const salts = this.#takeSalts(count)
    if (HASH_BYTES * count > this.#hashes.length) this.#hashes = Buffer.alloc(HASH_BYTES * count)
    const hashes = this.#hashes.subarray(0, HASH_BYTES * count)
    let at = dataAt + 1
    for (let index = 0; index < count; index++) {
      const length = dataBytes(this.#frame, index)
      const salt = index * SALT_BYTES
      if (length < 0) {
        salts.fill(0, salt, salt + SALT_BYTES)
        hashes.fill(0, index * HASH_BYTES, (index + 1) * HASH_BYTES)
        at += 'null,'.length
        continue
      }
      salts.copy(bytes, at - SALT_BYTES, salt, salt + SALT_BYTES)
      hashes.set(hash('sha256', bytes.subarray(at - SALT_BYTES, at + length), 'buffer'), index * HASH_BYTES)
      at += length + 1
    }
    return { salts, hashes }
  }

  #takeSalts(count: number): Buffer {
    const bytes = SALT_BYTES * count
    if (this.#saltsUsed + bytes > this.#salts.length) {
      if (bytes > this.#salts.length) this.#salts = Buffer.alloc(bytes)
      randomFillSync(this.#salts)
      this.#saltsUsed = 0
    }
    this.#saltsUsed += bytes
    return this.#salts.subarray(this.#saltsUsed - bytes, this.#saltsUsed)
  }

  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
  }
}

function createMemory(bytes: number): FrameMemory {
  const memory = new ArrayBuffer((bytes + 7) & -8)
  return { bytes: Buffer.from(memory), integers: new Int32Array(memory), doubles: new Float64Array(memory) }
}

/** The link of the newest batch; of the newest that was trimmed when none is left; zeros for a new log. */
function lastLink(database: SqliteDatabase): Uint8Array {
  const kept = database
    .prepare('SELECT link FROM commits WHERE link IS NOT NULL ORDER BY first DESC LIMIT 1')
    .get() as Link
  const trimmed = database.prepare("SELECT value AS link FROM meta WHERE name = 'link'").get() as Link
  return kept?.link ?? trimmed?.link ?? new Uint8Array(HASH_BYTES)
}

type Link = { readonly link: Uint8Array } | undefined
