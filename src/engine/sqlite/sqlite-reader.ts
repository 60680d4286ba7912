/** Reads a log file through a connection of its own. */
import type { LogRecord } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import { SpineError } from '../../kernel/errors.ts'
import { limits } from '../../kernel/limits.ts'
import type { ReadQuery, Snapshot } from '../engine.ts'
import { matchesQuery } from '../matches-query.ts'
import { corrupt, decodeRow, type CommitRow } from './commit-row.ts'
import type { SqliteDatabase, SqliteStatement, SqlValue } from './sqlite-driver.ts'
import { translated } from './sqlite-file.ts'

const ROWS_AT_ONCE_MAX = 512

interface Page {
  readonly at: Sequence
  readonly backwards: boolean
  readonly size: number
}

export class SqliteReader {
  readonly #database: SqliteDatabase
  readonly #path: string
  readonly #statements = new Map<string, SqliteStatement>()

  constructor(database: SqliteDatabase, path: string) {
    this.#database = database
    this.#path = path
  }

  read(query: ReadQuery): readonly LogRecord[] {
    return translated(this.#path, () => this.#atOnce(() => this.#collect(query)))
  }

  head(): Sequence {
    const { head } = this.#get('SELECT max(last) AS head FROM commits') as { head: number | null }
    return head ?? this.trimmed()
  }

  /** Sequence of the last record that was trimmed away. */
  trimmed(): Sequence {
    const row = this.#get("SELECT value FROM meta WHERE name = 'trimmed'") as { value: number }
    return row.value
  }

  /** @throws SPINE_TRIMMED when what follows `after` is not all there */
  requireRetained(after: Sequence): void {
    const trimmed = this.trimmed()
    if (after < trimmed) throw trimmedBelow(after, trimmed)
  }

  heads(): Map<string, Sequence> {
    const rows = this.#all('SELECT name, at FROM heads') as { name: string; at: number }[]
    return new Map(rows.map(({ name, at }) => [name, at]))
  }

  key(
    scope: string,
    name: string,
  ): { readonly print: string; readonly first: Sequence; readonly last: Sequence } | undefined {
    return this.#get('SELECT print, first, last FROM keys WHERE scope = ? AND name = ?', scope, name) as never
  }

  /** Ids of the newest commits, for recognising a repeated one after a reopen. */
  recentCommits(): readonly { readonly id: string; readonly first: Sequence; readonly last: Sequence }[] {
    return this.#all(
      'SELECT id, first, last FROM commits UNION ALL SELECT id, first, last FROM trimmed ORDER BY first DESC LIMIT ?',
      limits.commitIdWindow,
    ) as never
  }

  snapshot(name: string): Snapshot | undefined {
    const row = this.#get('SELECT at, state FROM snapshots WHERE name = ?', name) as
      | { at: number; state: Uint8Array | null }
      | undefined
    // node:sqlite of Node 22 binds an empty array as NULL.
    return row === undefined ? undefined : { at: row.at, state: new Uint8Array(row.state ?? []) }
  }

  /** Changes when any other connection has committed. */
  dataVersion(): number {
    return (this.#get('PRAGMA data_version') as { data_version: number }).data_version
  }

  close(): void {
    this.#database.close()
  }

  /** One look at the file: what another connection trims or appends meanwhile is not seen half. */
  #atOnce<Result>(look: () => Result): Result {
    this.#prepare('BEGIN').run()
    try {
      const result = look()
      this.#prepare('COMMIT').run()
      return result
    } catch (error) {
      this.#endQuietly()
      throw error
    }
  }

  /** After an error that must not be hidden by another. */
  #endQuietly(): void {
    try {
      this.#prepare('ROLLBACK').run()
    } catch {
      // SQLite has ended the transaction by itself.
    }
  }

  #collect(query: ReadQuery): readonly LogRecord[] {
    const { backwards = false, limit } = query
    const trimmed = this.trimmed()
    const after = query.after ?? (backwards ? Number.MAX_SAFE_INTEGER : trimmed)
    if (!backwards && after < trimmed) throw trimmedBelow(after, trimmed)
    const found: LogRecord[] = []
    /** The next sequence that has to be there; checked where every record is read. */
    let edge = backwards ? Math.min(after - 1, this.head()) : after + 1
    let at = after
    const size = rowsAtOnce(query)
    for (;;) {
      const rows = this.#rows(query, { at, backwards, size })
      if (isWhole(query)) edge = this.#requireDense(rows, edge, backwards)
      for (const row of rows) {
        const records = decodeRow(row, this.#path)
        for (const record of backwards ? records.reverse() : records) {
          const inRange = backwards ? record.sequence < after : record.sequence > after
          if (inRange && matchesQuery(record, query)) found.push(record)
          if (found.length === limit) return found
        }
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < size) {
        if (isWhole(query) && backwards && edge > trimmed) throw missing(this.#path, trimmed + 1, edge)
        return found
      }
      at = backwards ? last.first : last.last
    }
  }

  #rows(query: ReadQuery, { at, backwards, size }: Page): readonly CommitRow[] {
    const scope = query.request !== undefined ? 'request' : query.session !== undefined ? 'session' : undefined
    // Either way the commit that contains the position is wanted too, if some of its records lie beyond.
    const range = backwards ? 'first < ?' : 'first > ?'
    // A commit stands under its own session and request, and is mentioned under any further ones.
    const where =
      scope === undefined
        ? range
        : `first IN (SELECT first FROM commits WHERE ${scope} = ? AND ${range} UNION SELECT first FROM mentions WHERE kind = '${scope}' AND name = ? AND ${range})`
    const sql = `SELECT first, last, time, session, request, headers, data, hashes FROM commits WHERE ${where} ORDER BY first ${backwards ? 'DESC' : 'ASC'} LIMIT ?`
    const edge = backwards ? at : this.#rowStart(at)
    const name = scope === undefined ? undefined : (query[scope] as string)
    return this.#prepare(sql).all(...(name === undefined ? [edge] : [name, edge, name, edge]), size) as CommitRow[]
  }

  /** The commit that holds the record after `at` begins above this: reads go by the primary key, not by a scan. */
  #rowStart(at: number): number {
    const row = this.#prepare('SELECT first, last FROM commits WHERE first <= ? ORDER BY first DESC LIMIT 1').get(at) as
      | { first: number; last: number }
      | undefined
    return row !== undefined && row.last > at ? row.first - 1 : at
  }

  /** Each row begins where the one before it ended, the first one around `edge`. Returns the edge after the last. */
  #requireDense(rows: readonly CommitRow[], edge: number, backwards: boolean): number {
    let expected = edge
    for (const { first, last } of rows) {
      if (first > expected) throw missing(this.#path, expected, first - 1)
      if (last < expected) throw missing(this.#path, last + 1, expected)
      expected = backwards ? first - 1 : last + 1
    }
    return expected
  }

  /** A question of its own, outside of `#atOnce`: a disk that cannot be read is told in our words here too. */
  #get(sql: string, ...values: SqlValue[]): unknown {
    return translated(this.#path, () => this.#prepare(sql).get(...values))
  }

  #all(sql: string, ...values: SqlValue[]): unknown[] {
    return translated(this.#path, () => this.#prepare(sql).all(...values))
  }

  #prepare(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

/** Each row holds a record or more: who asks for one is not made to load hundreds, unless most may not match. */
function rowsAtOnce({ types, agent, limit }: ReadQuery): number {
  const isFiltered = types !== undefined || agent !== undefined
  return isFiltered ? ROWS_AT_ONCE_MAX : Math.min(limit, ROWS_AT_ONCE_MAX)
}

function isWhole(query: ReadQuery): boolean {
  return query.session === undefined && query.request === undefined
}

function missing(path: string, first: number, last: number): SpineError {
  return corrupt(path, `the records from ${first} to ${last} are missing`)
}

function trimmedBelow(after: number, trimmed: number): SpineError {
  return new SpineError('SPINE_TRIMMED', `Records up to ${trimmed} have been trimmed.`, {
    value: after,
    limit: trimmed + 1,
    fix: `Read after ${trimmed}.`,
  })
}
