/**
 * The writer thread: takes the lock, opens the file, and turns whatever the ring holds when the last sync ends into the
 * next batch, without asking the main thread in between.
 *
 * Not its job: order, guards, keys: the main thread has decided them before a commit gets here.
 *
 * W1  It never returns to its event loop before it closes: with nothing to do it sleeps on the ring, and whoever posts
 *     it a message wakes it.
 * W2  A message is answered after every commit that was published before it was posted.
 * W3  After a failed write it writes nothing more.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { limits } from '../../kernel/limits.ts'
import type { SpineError } from '../../kernel/errors.ts'
import { BatchWriter } from './batch-writer.ts'
import { CommitRing } from './commit-ring.ts'
import { loadDriver, type SqliteDatabase } from './sqlite-driver.ts'
import { asSpineError, openForWriting, synchronousOf } from './sqlite-file.ts'
import { takeLock } from './sqlite-lock.ts'
import type { ErrorParts, FromWriter, ToWriter, WriterOptions } from './writer-protocol.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

const port = parentPort as NonNullable<typeof parentPort>
const options = workerData as WriterOptions
const say = (message: FromWriter) => port.postMessage(message)

try {
  await run()
} catch (error) {
  say({ kind: 'refused', error: partsOf(error) })
  port.close()
}

async function run(): Promise<void> {
  const driver = await loadDriver()
  const lock = await takeLock(driver, options.path, options.lockWaitMs)
  let database: SqliteDatabase
  let log: WriteAheadLog
  let writer: BatchWriter
  try {
    database = openForWriting(driver, options.path, options.maxBytes)
    log = new WriteAheadLog(database)
    writer = new BatchWriter(database, log)
  } catch (error) {
    lock.release()
    throw error
  }
  const ring = CommitRing.over(options.ring)
  let failure: unknown

  const write = () => {
    try {
      const commits = writer.write(ring)
      if (ring.confirm(commits)) say({ kind: 'durable' })
      log.maintain()
    } catch (error) {
      fail(error)
    }
  }

  /** What `look` found, one batch after another. */
  const drain = () => {
    while (ring.hasNext()) {
      if (failure === undefined) write()
      else {
        ring.take()
        ring.release()
      }
    }
  }

  /** Nothing is acknowledged after a failed write: everything behind it would stand on sequences that do not exist. */
  const fail = (error: unknown) => {
    failure = error
    say({ kind: 'failed', error: partsOf(error) })
  }

  const answer = (call: number, work: () => void) => {
    try {
      if (failure !== undefined) throw failure
      work()
      say({ kind: 'answer', call })
    } catch (error) {
      say({ kind: 'answer', call, error: partsOf(error) })
      // A sync that failed once tells nothing when it succeeds the next time, whatever it was for.
      if (failure === undefined) fail(error)
    }
  }

  say({ kind: 'ready', synchronous: synchronousOf(database), sqlite: driver.version, driver: driver.name })
  log.maintain()
  let message: ToWriter | undefined
  for (;;) {
    // The message first, then the look: so the look finds what was published before the message was posted.
    message ??= nextMessage()
    if (ring.look()) drain()
    if (message === undefined) {
      ring.sleep(() => {
        message = nextMessage()
        return message !== undefined
      })
      continue
    }
    if (message.kind === 'flush') answer(message.call, () => {})
    else if (message.kind === 'trim') answer(message.call, trimmer(database, message.before))
    else if (message.kind === 'snapshot') answer(message.call, snapshotter(database, message))
    else break
    message = undefined
  }
  if (failure === undefined) log.checkpoint()
  database.close()
  lock.release()
  say({ kind: 'closed' })
  port.close()
}

function nextMessage(): ToWriter | undefined {
  return (receiveMessageOnPort(port) as { message: ToWriter } | undefined)?.message
}

function trimmer(database: SqliteDatabase, before: number): () => void {
  return () => {
    database.exec('BEGIN IMMEDIATE')
    const { cut } = database.prepare('SELECT max(last) AS cut FROM commits WHERE last < ?').get(before) as {
      cut: number | null
    }
    if (cut !== null) {
      // The chain goes on from the last link, also when nothing is left that carries one.
      database
        .prepare(
          "INSERT OR REPLACE INTO meta SELECT 'link', link FROM commits WHERE link IS NOT NULL ORDER BY first DESC LIMIT 1",
        )
        .run()
      // Their ids are still recognised for a while: a commit may be repeated after it was trimmed.
      database
        .prepare('INSERT INTO trimmed SELECT first, last, id FROM commits WHERE last <= ? ORDER BY first DESC LIMIT ?')
        .run(cut, limits.commitIdWindow)
      database
        .prepare('DELETE FROM trimmed WHERE first NOT IN (SELECT first FROM trimmed ORDER BY first DESC LIMIT ?)')
        .run(limits.commitIdWindow)
      database.prepare('DELETE FROM commits WHERE last <= ?').run(cut)
      database.prepare('DELETE FROM mentions WHERE first <= ?').run(cut)
      database.prepare("UPDATE meta SET value = ? WHERE name = 'trimmed'").run(cut)
    }
    database.exec('COMMIT')
  }
}

function snapshotter(
  database: SqliteDatabase,
  { name, at, state }: { name: string; at: number; state: Uint8Array },
): () => void {
  return () => {
    const put = database.prepare(
      'INSERT INTO snapshots VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at, state = excluded.state WHERE excluded.at >= at',
    )
    put.run(name, at, state)
  }
}

function partsOf(error: unknown): ErrorParts {
  const { code, message, value, limit, fix, outcome } = asSpineError(options.path, error) as SpineError
  const known = { code, message: fix === undefined ? message : message.slice(0, -fix.length - 1), value, limit, fix }
  return { ...known, outcome: (error as { outcome?: 'unknown' }).outcome ?? outcome }
}
