/**
 * One small interface over the two SQLite drivers, and the ladder that chooses: `node:sqlite` where it is new enough,
 * else `better-sqlite3`. Both threads of an engine use the same one: two SQLite libraries in one process would drop
 * each other's locks (sqlite.org/howtocorrupt.html §2.2).
 */
import { createRequire } from 'node:module'
import { SpineError } from '../../kernel/errors.ts'

export type SqlValue = null | number | string | Uint8Array

export interface SqliteStatement {
  run(...values: SqlValue[]): unknown
  get(...values: SqlValue[]): unknown
  all(...values: SqlValue[]): unknown[]
}

export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
}

export interface SqliteDriver {
  readonly name: 'node:sqlite' | 'better-sqlite3'
  readonly version: string
  open(path: string, options: { readonly readOnly: boolean }): SqliteDatabase
}

/** 3.51.3 is the first release without the bug that can lose commits when the WAL is reset (since 3.7.0). */
export const SQLITE_VERSION_MIN = '3.51.3'

/** How a driver is found; a test brings its own. */
export interface Probe {
  readonly name: SqliteDriver['name']
  load(): Promise<Omit<SqliteDriver, 'name' | 'version'>>
}

const PROBES: readonly Probe[] = [
  { name: 'node:sqlite', load: loadNodeSqlite },
  { name: 'better-sqlite3', load: loadBetterSqlite },
]

/** The first driver of the ladder that loads and is new enough. @throws SPINE_NO_SQLITE with what was found */
export async function loadDriver(probes: readonly Probe[] = PROBES): Promise<SqliteDriver> {
  const found: string[] = []
  let binaryMissing = false
  for (const probe of probes) {
    try {
      const driver = await probe.load()
      const version = versionOf(driver.open(':memory:', { readOnly: false }))
      if (isAtLeast(version, SQLITE_VERSION_MIN)) return { ...driver, name: probe.name, version }
      found.push(`${probe.name} with SQLite ${version}`)
    } catch (error) {
      const reason = reasonOf(error)
      if (reason === NO_BINARY) binaryMissing = true
      found.push(`${probe.name}: ${reason}`)
    }
  }
  throw new SpineError(
    'SPINE_NO_SQLITE',
    `No SQLite of version ${SQLITE_VERSION_MIN} or later was found on Node ${process.version} (${found.join('; ')}).`,
    {
      value: found,
      limit: SQLITE_VERSION_MIN,
      fix: `Run '${binaryMissing ? REBUILD : INSTALL}' with its install script allowed, or use Node 22.22 or later, which has SQLite built in.`,
    },
  )
}

const INSTALL = 'npm install better-sqlite3@12'
/** npm finds a package that is there to be up to date, whether its install script ever ran or not. */
const REBUILD = 'npm rebuild better-sqlite3 --ignore-scripts=false'
const NOT_INSTALLED = 'not installed'
const NO_BINARY = `installed without a binary for Node ${process.version}`

/** One line for a person: what a loader says goes on with paths and stacks, and may begin with half a sentence. */
function reasonOf(error: unknown): string {
  const { code, message } = error as Error & { code?: string }
  if (code === 'MODULE_NOT_FOUND' && message.includes("'better-sqlite3/")) return NOT_INSTALLED
  // Never compiled, as by 'npm install --ignore-scripts'; or compiled for another Node.
  if (message.startsWith('Could not locate the bindings file') || code === 'ERR_DLOPEN_FAILED') return NO_BINARY
  return message.split('\n')[0] ?? ''
}

function versionOf(database: SqliteDatabase): string {
  const { version } = database.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  database.close()
  return version
}

export function isAtLeast(version: string, least: string): boolean {
  const left = version.split('.').map(Number)
  const right = least.split('.').map(Number)
  for (let index = 0; index < right.length; index++) {
    const difference = (left[index] ?? 0) - (right[index] as number)
    if (difference !== 0) return difference > 0
  }
  return true
}

interface NodeSqlite {
  readonly DatabaseSync: new (path: string, options: object) => SqliteDatabase
}

async function loadNodeSqlite(): Promise<Omit<SqliteDriver, 'name' | 'version'>> {
  const builtIn = quietly(() => process.getBuiltinModule('node:sqlite')) as unknown as NodeSqlite | undefined
  if (builtIn === undefined) throw new Error(`not in Node ${process.version}`)
  const { DatabaseSync } = builtIn
  return { open: (path, { readOnly }) => new DatabaseSync(path, { readOnly }) }
}

/** Node 22 announces that `node:sqlite` is experimental; that is our risk to take, and no news for users. */
function quietly<Result>(load: () => Result): Result {
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (!String(warning).includes('SQLite is an experimental feature'))
      Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning
  try {
    return load()
  } finally {
    process.emitWarning = emitWarning
  }
}

async function loadBetterSqlite(): Promise<Omit<SqliteDriver, 'name' | 'version'>> {
  const require = createRequire(import.meta.url)
  const { version } = require('better-sqlite3/package.json') as { version: string }
  // 13 installs on Node 20, and crashes the process when a database is opened.
  if (Number.parseInt(version, 10) >= 13 && Number.parseInt(process.versions.node, 10) < 22) {
    throw new Error(`version ${version} needs Node 22`)
  }
  const Database = require('better-sqlite3') as new (path: string, options: object) => SqliteDatabase
  return { open: (path, { readOnly }) => new Database(path, { readonly: readOnly }) }
}
