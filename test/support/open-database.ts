import { createRequire } from 'node:module'

/** As much of either SQLite driver as a test needs to look into a file, or to damage it. */
export interface Database {
  exec(sql: string): unknown
  prepare(sql: string): { all(): unknown[] }
  close(): unknown
}

/** Opens a file with the driver that this Node has: the one built in, or better-sqlite3. */
export function openDatabase(path: string): Database {
  const builtIn = process.getBuiltinModule('node:sqlite') as unknown as
    | { DatabaseSync: new (path: string) => Database }
    | undefined
  if (builtIn !== undefined) return new builtIn.DatabaseSync(path)
  const BetterSqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Database
  return new BetterSqlite(path)
}
