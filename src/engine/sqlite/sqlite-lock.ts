/**
 * One owner per log: an open exclusive transaction on a sidecar file, `<db>.lock`. The kernel frees it when the process
 * dies, however it dies; nobody's liveness is ever judged by a pid. The sidecar is in WAL mode, so that whoever has to
 * wait can read who holds it.
 *
 * Real time: it waits for another process, which no clock of ours moves.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { SpineError } from '../../kernel/errors.ts'
import type { SqliteDatabase, SqliteDriver } from './sqlite-driver.ts'

const RETRY_MS = 50

export interface SqliteLock {
  release(): void
}

/** @throws SPINE_ENGINE_LOCKED with the holder when it is not free within `waitMs` */
export async function takeLock(driver: SqliteDriver, path: string, waitMs: number): Promise<SqliteLock> {
  const lockPath = `${path}.lock`
  const claim = `${process.pid}/${hostname()}/${randomUUID()}`
  let database: SqliteDatabase | undefined
  try {
    database = driver.open(lockPath, { readOnly: false })
    database.exec('PRAGMA busy_timeout = 0')
    for (let waited = 0; !tryTake(database, claim); waited += RETRY_MS) {
      if (waited >= waitMs) throw locked(path, waitMs, holderOf(database))
      await pause(RETRY_MS)
    }
  } catch (error) {
    database?.close()
    throw SpineError.is(error) ? error : broken(lockPath, error as Error)
  }
  const held = database
  return { release: () => void held.close() }
}

function broken(lockPath: string, cause: Error): SpineError {
  return new SpineError('SPINE_LOG_FAILED', `The lock ${lockPath} cannot be taken: ${cause.message}.`, {
    value: lockPath,
    cause,
    fix: 'Check that this process may write there; if the lock file itself is damaged, delete it: it holds only the name of the owner.',
  })
}

/**
 * Writes the holder, then takes the lock for good. Another process may come in between, hence the second look at the
 * row: whoever holds the open transaction and finds its own claim in the row is the owner.
 */
function tryTake(database: SqliteDatabase, claim: string): boolean {
  try {
    database.exec('PRAGMA journal_mode = WAL')
    database.exec('BEGIN EXCLUSIVE')
    database.exec(
      'CREATE TABLE IF NOT EXISTS holder (one INTEGER PRIMARY KEY CHECK (one = 1), claim TEXT, since TEXT, title TEXT)',
    )
    database
      .prepare("INSERT OR REPLACE INTO holder VALUES (1, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?)")
      .run(claim, process.title.slice(0, 100))
    database.exec('COMMIT')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    if (!isBusy(error)) throw error
    rollBack(database)
    return false
  }
  const row = database.prepare('SELECT claim FROM holder').get() as { claim: string } | undefined
  if (row?.claim === claim) return true
  rollBack(database)
  return false
}

function rollBack(database: SqliteDatabase): void {
  try {
    database.exec('ROLLBACK')
  } catch {
    // No transaction was open: it was refused at its beginning.
  }
}

function holderOf(database: SqliteDatabase): string {
  try {
    const row = database.prepare('SELECT claim, since, title FROM holder').get() as
      | { claim: string; since: string; title: string }
      | undefined
    if (row === undefined) return 'another process'
    const [pid, host] = row.claim.split('/')
    return `process ${pid} on ${host} ('${row.title}', since ${row.since})`
  } catch {
    return 'another process'
  }
}

function locked(path: string, waitMs: number, holder: string): SpineError {
  return new SpineError('SPINE_ENGINE_LOCKED', `${path} is open in ${holder}; waited ${waitMs} ms.`, {
    value: path,
    limit: holder,
    fix: 'Stop that process, or open the log there only; to look at it from here, use sqlite(path, { readOnly: true }).',
  })
}

export function isBusy(error: unknown): boolean {
  return /\b(?:busy|locked)\b/i.test(`${(error as { code?: string }).code ?? ''} ${(error as Error).message}`)
}
