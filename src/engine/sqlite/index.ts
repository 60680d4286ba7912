import { durationMs, type Duration } from '../../kernel/duration.ts'
import { SpineError } from '../../kernel/errors.ts'
import type { Engine } from '../engine.ts'
import { SqliteEngine } from './sqlite-engine.ts'
import { SqliteObserver } from './sqlite-observer.ts'

export interface SqliteOptions {
  /** Only look: no lock, no writing; the owner may be another process. Default false. */
  readonly readOnly?: boolean
  /** The file may grow to this many bytes; beyond it appends fail with SPINE_LOG_FULL. Default: until the disk is full. */
  readonly maxBytes?: number
  /** How long to wait for another process to let go of the log. Default `'5s'`. */
  readonly lockWait?: Duration
}

/**
 * A log in an SQLite file: durable through power loss (every acknowledged commit is synced), owned by one process.
 *
 * Needs Node 22.22+ (SQLite built in) or the package `better-sqlite3` 12. The directory is created. Local disks only.
 *
 * @throws on open: SPINE_ENGINE_LOCKED, SPINE_LOG_NEWER, SPINE_LOG_CORRUPT, SPINE_LOG_FAILED, SPINE_NO_SQLITE
 * @example const spine = await createSpine({ engine: sqlite('./spine.db'), agents })
 */
export function sqlite(path: string, options: SqliteOptions = {}): Engine {
  if (typeof path !== 'string' || path === '' || path === ':memory:') {
    throw new SpineError('SPINE_OPTION_INVALID', `sqlite: ${JSON.stringify(path)} is not the path of a file.`, {
      value: path,
      fix: "Name a file; for a log in memory use memory() of 'event-spine/memory'.",
    })
  }
  const { maxBytes } = options
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes >= 64 * 1024)) {
    throw new SpineError('SPINE_OPTION_INVALID', `sqlite: maxBytes is ${maxBytes}.`, {
      value: maxBytes,
      limit: 64 * 1024,
      fix: 'Use a whole number of at least 65,536.',
    })
  }
  if (options.readOnly === true) return new SqliteObserver(path)
  return new SqliteEngine({ path, maxBytes, lockWaitMs: durationMs(options.lockWait ?? '5s', 'sqlite: lockWait') })
}
