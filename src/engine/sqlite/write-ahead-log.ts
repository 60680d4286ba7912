/**
 * The size of SQLite's write-ahead log: a little larger than what is in it, so that a commit only writes over what is
 * there, and never without bound.
 *
 * Job: lengthen it ahead of the commits, take it back into the file when it is due. Not its job: what is written.
 *
 * L1  A sync of bytes that lie inside the file waits for the data alone; one that makes the file longer waits for the
 *     file system's own log too. Measured with three pages: 0.14 ms against 0.24 ms.
 * L2  Checkpoints are PASSIVE: they wait for nobody, and a reader that looks at an old page only puts them off.
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.ts'

const MIB = 1024 * 1024
/** It is lengthened by a step, which costs one commit about 4 ms, when less than `AHEAD_BYTES` is left. */
const STEP_BYTES = 2 * MIB
const AHEAD_BYTES = MIB / 2
/** A page that many batches change is taken back once. Larger gains little work, and everyone waits longer for one. */
const CHECKPOINT_BYTES = 8 * MIB
/** A page of the default size, with its header in the log. */
const PAGE_BYTES = 4096 + 24
/** What one commit writes by itself: a leaf of the table and of each index. In a batch they share pages. */
const PAGES_PER_COMMIT = 3

export class WriteAheadLog {
  readonly #path: string
  readonly #begin: SqliteStatement
  readonly #rollBack: SqliteStatement
  readonly #size: SqliteStatement
  readonly #checkpoint: SqliteStatement
  /** Never too low for long commits or short ones, often too high: before a checkpoint SQLite is asked. */
  #bytes = 0
  /** How far it was lengthened. Once it has been full, SQLite begins at its start again and it stays that long. */
  #preparedBytes = 0

  constructor(database: SqliteDatabase) {
    // As SQLite resolved it: the process may have changed its directory since, and the name may be a link.
    this.#path = `${(database.prepare('PRAGMA database_list').get() as { file: string }).file}-wal`
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#rollBack = database.prepare('ROLLBACK')
    this.#size = database.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.#checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  }

  /** A batch of `commits` with so many bytes has been written. */
  grew(commits: number, bytes: number): void {
    this.#bytes += bytes + commits * PAGES_PER_COMMIT * PAGE_BYTES
  }

  /** Between batches, and before the first. */
  maintain(): void {
    if (this.#bytes >= CHECKPOINT_BYTES) {
      this.#bytes = (this.#size.get() as { log: number }).log * PAGE_BYTES
      if (this.#bytes >= CHECKPOINT_BYTES) this.checkpoint()
    }
    if (this.#bytes + AHEAD_BYTES > this.#preparedBytes) this.#lengthen()
  }

  checkpoint(): void {
    this.#checkpoint.get()
    this.#bytes = 0
  }

  /**
   * Writes zeros behind what is in it. To SQLite they are no frames: a frame carries the salt of its header. SQLite holds
   * no lock on this file, so closing it drops none; and the lock of a transaction keeps a stranger's SQLite from writing
   * to it meanwhile. What goes wrong costs speed and nothing else.
   */
  #lengthen(): void {
    this.#preparedBytes += STEP_BYTES
    try {
      this.#begin.run()
      try {
        appendZeros(this.#path, this.#preparedBytes)
      } finally {
        this.#rollBack.run()
      }
    } catch {
      // It grows commit by commit then, as SQLite does by itself.
    }
  }
}

function appendZeros(path: string, upToBytes: number): void {
  const file = openSync(path, 'r+')
  try {
    const { size } = fstatSync(file)
    if (size < upToBytes) writeSync(file, Buffer.alloc(upToBytes - size), 0, upToBytes - size, size)
  } finally {
    closeSync(file)
  }
}
