/**
 * Writes batches of commits: one transaction each, one row a commit, hashed and linked.
 *
 * K1  After a batch returned, it is on the disk (synchronous FULL); after it threw, none of it is in the file, unless the
 *     error says that its outcome is unknown.
 * K2  The WAL is checkpointed between batches, never inside one.
 */
import { createHash, randomFillSync } from 'node:crypto'
import type { CommitRow } from './commit-row.ts'
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.ts'

const SALT_BYTES = 16
const HASH_BYTES = 32
/** The WAL is taken back into the file when it has grown by about this much: the bound on its size. */
const CHECKPOINT_BYTES = 16 * 1024 * 1024
/** A commit writes more pages than its own bytes: the leaf of each index, at 4,096 bytes a page. */
const INDEX_BYTES_PER_ROW = 2 * 4096

export class BatchWriter {
  readonly #database: SqliteDatabase
  readonly #insert: SqliteStatement
  readonly #putHead: SqliteStatement
  readonly #putKey: SqliteStatement
  readonly #putMention: SqliteStatement
  readonly #salts = new Uint8Array(SALT_BYTES * 512)
  #saltsUsed = this.#salts.length
  #link: Uint8Array
  #bytesSinceCheckpoint = 0

  constructor(database: SqliteDatabase) {
    this.#database = database
    this.#insert = database.prepare('INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    this.#putHead = database.prepare('INSERT OR REPLACE INTO heads VALUES (?, ?)')
    this.#putKey = database.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?)')
    this.#putMention = database.prepare('INSERT OR IGNORE INTO mentions VALUES (?, ?, ?)')
    this.#link = lastLink(database)
  }

  write(batch: readonly CommitRow[]): void {
    this.#database.exec('BEGIN IMMEDIATE')
    const before = this.#link
    try {
      const chain = createHash('sha256').update(this.#link)
      const lastRow = batch.length - 1
      for (const [index, row] of batch.entries()) this.#insertRow(row, chain, index === lastRow)
    } catch (error) {
      this.#link = before
      this.#rollBack()
      throw error
    }
    try {
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#link = before
      this.#rollBack()
      throw Object.assign(error as Error, { outcome: 'unknown' })
    }
  }

  /** PASSIVE: it waits for nobody. */
  checkpointIfDue(force = false): void {
    if (!force && this.#bytesSinceCheckpoint < CHECKPOINT_BYTES) return
    this.#bytesSinceCheckpoint = 0
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  }

  #insertRow(row: CommitRow, chain: ReturnType<typeof createHash>, isLast: boolean): void {
    const { salts, hashes } = this.#hash(row.data)
    const { first, last, id, time, session, request, headers } = row
    chain.update(`${first} ${last} ${id} ${time} ${session.length} ${session}${request} ${headers}`).update(hashes)
    if (isLast) this.#link = chain.digest()
    const data = `[${row.data.map((json) => json ?? 'null').join(',')}]`
    this.#insert.run(first, last, id, time, session, request, headers, data, salts, hashes, isLast ? this.#link : null)
    for (const head of row.moves) this.#putHead.run(head, last)
    if (row.key !== undefined) this.#putKey.run(row.key.scope, row.key.name, row.key.print, first, last)
    for (const [kind, name] of row.mentions) this.#putMention.run(kind, name, first)
    this.#bytesSinceCheckpoint += row.bytes + INDEX_BYTES_PER_ROW
  }

  #hash(data: readonly (string | null)[]): { salts: Uint8Array; hashes: Uint8Array } {
    const salts = new Uint8Array(SALT_BYTES * data.length)
    const hashes = new Uint8Array(HASH_BYTES * data.length)
    for (const [index, json] of data.entries()) {
      if (json === null) continue
      const salt = this.#nextSalt()
      salts.set(salt, index * SALT_BYTES)
      hashes.set(createHash('sha256').update(salt).update(json).digest(), index * HASH_BYTES)
    }
    return { salts, hashes }
  }

  #nextSalt(): Uint8Array {
    if (this.#saltsUsed === this.#salts.length) {
      randomFillSync(this.#salts)
      this.#saltsUsed = 0
    }
    this.#saltsUsed += SALT_BYTES
    return this.#salts.subarray(this.#saltsUsed - SALT_BYTES, this.#saltsUsed)
  }

  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
  }
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
