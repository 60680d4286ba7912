/** Opening the file of a log: is it ours, is it whole, is it of a version that we understand, does it sync. */
import { SpineError } from '../../kernel/errors.ts'
import { corrupt } from './commit-row.ts'
import type { SqliteDatabase, SqliteDriver } from './sqlite-driver.ts'
import { APPLICATION_ID, FORMAT, SCHEMA, TABLES } from './sqlite-schema.ts'

/** How long a statement waits for another connection: readers and the writer never hold each other up for longer. */
const BUSY_MS = 5_000
/** 64 MB: the WAL file is cut back to this after a checkpoint. */
const WAL_BYTES_MAX = 64 * 1024 * 1024

/** For the writer. Creates the tables in an empty file; `maxBytes` bounds the file. */
export function openForWriting(driver: SqliteDriver, path: string, maxBytes: number | undefined): SqliteDatabase {
  return translated(path, () => {
    const database = driver.open(path, { readOnly: false })
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
      const fresh = isEmpty(database)
      if (!fresh) requireOurs(database, path)
      database.exec('PRAGMA journal_mode = WAL')
      // better-sqlite3 is built with NORMAL for WAL files that exist already: it has to be set on every open.
      database.exec('PRAGMA synchronous = FULL')
      database.exec('PRAGMA mmap_size = 0')
      database.exec('PRAGMA wal_autocheckpoint = 0')
      database.exec(`PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`)
      if (maxBytes !== undefined) {
        const { page_size: pageBytes } = database.prepare('PRAGMA page_size').get() as { page_size: number }
        database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`)
      }
      if (fresh) create(database)
      return database
    } catch (error) {
      database.close()
      throw error
    }
  })
}

export function openForReading(driver: SqliteDriver, path: string): SqliteDatabase {
  return translated(path, () => {
    const database = driver.open(path, { readOnly: true })
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
      database.exec('PRAGMA mmap_size = 0')
      requireOurs(database, path)
      return database
    } catch (error) {
      database.close()
      throw error
    }
  })
}

/** The value of `PRAGMA synchronous` as SQLite reports it: 2 is FULL. */
export function synchronousOf(database: SqliteDatabase): number {
  return (database.prepare('PRAGMA synchronous').get() as { synchronous: number }).synchronous
}

function isEmpty(database: SqliteDatabase): boolean {
  return (database.prepare('SELECT count(*) AS count FROM sqlite_master').get() as { count: number }).count === 0
}

function requireOurs(database: SqliteDatabase, path: string): void {
  const { application_id: mark } = database.prepare('PRAGMA application_id').get() as { application_id: number }
  if (mark !== APPLICATION_ID) throw corrupt(path, 'this is an SQLite database, but not an Event Spine log')
  const { count } = database
    .prepare(
      `SELECT count(*) AS count FROM sqlite_master WHERE name IN (${TABLES.map((name) => `'${name}'`).join(', ')})`,
    )
    .get() as { count: number }
  if (count !== TABLES.length) throw corrupt(path, 'a table of the log is missing')
  const row = database.prepare("SELECT value FROM meta WHERE name = 'format'").get() as { value: number } | undefined
  if (row === undefined) throw corrupt(path, 'the log has no format version')
  if (row.value > FORMAT) {
    throw new SpineError(
      'SPINE_LOG_NEWER',
      `${path} has format ${row.value}; this version of Event Spine reads ${FORMAT}.`,
      {
        value: row.value,
        limit: FORMAT,
        fix: 'Upgrade event-spine to the version that wrote it.',
      },
    )
  }
}

function create(database: SqliteDatabase): void {
  database.exec('BEGIN IMMEDIATE')
  database.exec(SCHEMA)
  const put = database.prepare('INSERT INTO meta (name, value) VALUES (?, ?)')
  put.run('format', FORMAT)
  database.exec("INSERT INTO meta VALUES ('created', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))")
  put.run('trimmed', 0)
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
  database.exec('COMMIT')
}

/** Driver errors become ours here, once. */
export function translated<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw asSpineError(path, error)
  }
}

export function asSpineError(path: string, error: unknown): unknown {
  if (SpineError.is(error)) return error
  const { message } = error as Error
  const text = `${(error as { code?: string }).code ?? ''} ${message}`
  if (/not a database|malformed|CORRUPT|NOTADB|no such (?:table|column)/i.test(text))
    return corrupt(path, `the file is damaged or not a log (${message})`, error)
  if (/disk is full|SQLITE_FULL|ENOSPC/i.test(text)) {
    return new SpineError('SPINE_LOG_FULL', `${path} cannot grow: ${message}.`, {
      value: path,
      cause: error,
      fix: 'Free space, or raise maxBytes; then open the log again. Nothing that was acknowledged is lost.',
    })
  }
  if (/unable to open|CANTOPEN|ENOENT|EACCES|readonly/i.test(text)) {
    return new SpineError('SPINE_LOG_FAILED', `${path} cannot be opened: ${message}.`, {
      value: path,
      cause: error,
      fix: 'Check that the path exists and that this process may write there.',
    })
  }
  return new SpineError('SPINE_LOG_FAILED', `${path}: ${message}.`, {
    value: path,
    cause: error,
    outcome: 'unknown',
    fix: 'Look at the disk, then open the log again.',
  })
}
