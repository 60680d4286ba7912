/**
 * A log that `numbered-worker.mjs` writes, and what has to be true of it whatever happened to that process.
 *
 * N1  Every publish that was acknowledged is on the log at its sequence, once, from that moment on.
 * N2  Sequences are dense, rows are whole, and the chain of hashes holds.
 * N3  In the end every delivery has ended, and no effect happened under two keys.
 * N4  A publish that was refused is not on the log; nothing is acknowledged behind an error of the log.
 * N5  Every error is a SpineError with a way out, and none of them is left unhandled.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeState, type Engine, evolve, initialState, type LogRecord } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { expect } from 'vitest'
import { openDatabase } from '../support/open-database.ts'
import { type Calls, type Disturbed, type Fault, runUnderStrace } from './strace.ts'

const WORKER = fileURLToPath(new URL('./numbered-worker.mjs', import.meta.url))

export interface Load {
  readonly events: number
  readonly fillerBytes: number
}

/** What the worker wrote down. */
export interface Told {
  readonly kind: 'opened' | 'acknowledged' | 'failed' | 'late' | 'refused' | 'unclosed' | 'ended'
  readonly number?: number
  readonly sequence?: number
  readonly duplicate?: boolean
  readonly isSpineError?: boolean
  readonly code?: string
  readonly outcome?: 'refused' | 'unknown'
  readonly fix?: string
  readonly text?: string
  readonly end?: string
}

type FileOf = 'log' | 'database' | 'lock'

export class NumberedLog {
  readonly #directory = realpathSync(mkdtempSync(join(tmpdir(), 'event-spine-numbered-')))
  readonly #path = join(this.#directory, 'log.db')
  readonly #load: Load
  #copies = 0

  constructor(load: Load) {
    this.#load = load
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** The files of the log itself, the database without its WAL, or the files of the lock. */
  files(of: FileOf): readonly string[] {
    if (of === 'database') return [this.#path]
    const base = of === 'lock' ? `${this.#path}.lock` : this.#path
    return [base, `${base}-wal`, `${base}-journal`]
  }

  async disturb(watched: Calls | Fault, reopens = 0): Promise<Disturbed> {
    return await runUnderStrace(join(this.#directory, 'trace'), watched, this.#args(reopens))
  }

  /** Runs to its end with nothing in its way. */
  async finish(): Promise<void> {
    const child = spawn(process.execPath, this.#args(0), { stdio: ['ignore', 'inherit', 'inherit'] })
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect(code).toBe(0)
    expect(this.told().at(-1), JSON.stringify(this.told().slice(-3))).toMatchObject({ kind: 'ended', end: 'done' })
  }

  #args(reopens: number): readonly string[] {
    const { told, ledger } = this.#notes()
    return [WORKER, JSON.stringify({ path: this.#path, told, ledger, reopens, ...this.#load })]
  }

  #notes() {
    return { told: join(this.#directory, 'told'), ledger: join(this.#directory, 'ledger') }
  }

  told(): readonly Told[] {
    return linesOf<Told>(this.#notes().told)
  }

  /**
   * N1 and N2 right after a death, before anyone repeats anything. It looks at a copy: opening the log would mend what
   * the next life has to mend.
   */
  async expectAcknowledged(): Promise<void> {
    const copy = join(this.#directory, `copy-${++this.#copies}`)
    mkdirSync(copy)
    for (const file of ['log.db', 'log.db-wal', 'log.db-journal'])
      if (existsSync(join(this.#directory, file))) copyFileSync(join(this.#directory, file), join(copy, file))
    if (!existsSync(join(copy, 'log.db'))) {
      expect(acknowledgedOf(this.told())).toEqual([])
      return
    }
    const records = await recordsOf(sqlite(join(copy, 'log.db')))
    expectPublished(records, this.told())
    expectWholeRows(join(copy, 'log.db'), records)
    rmSync(copy, { recursive: true })
  }

  /** N1 to N4, after the last life. */
  async expectWhole(): Promise<void> {
    const records = await recordsOf(sqlite(this.#path, { readOnly: true }))
    expectPublished(records, this.told())
    expectWholeRows(this.#path, records)
    const published = records.filter(({ type }) => type === 'number.published').map(numberOf)
    const counted = records.filter(({ type }) => type === 'number.counted').map(numberOf)
    expect(published.sort(ascending)).toEqual(this.#numbers())
    expect(counted.sort(ascending)).toEqual(this.#numbers())
    expectOneKeyEach(linesOf(this.#notes().ledger), this.#numbers())
    expectRefusalsKept(this.told())
    const state = initialState()
    for (const record of records) evolve(state, record)
    expect(JSON.parse(encodeState(state))).toMatchObject({ deliveries: [], requests: [], deadLetters: [] })
  }

  #numbers(): readonly number[] {
    return Array.from({ length: this.#load.events }, (_, index) => index + 1)
  }
}

/** N5, of a run that was not killed. */
export function expectToldOfErrors({ code, stderr }: Disturbed, told: readonly Told[]): void {
  expect(code, stderr).toBe(0)
  expect(told.at(-1)?.kind).toBe('ended')
  const errors = told.filter(({ isSpineError }) => isSpineError !== undefined)
  for (const error of errors) {
    expect(error).toMatchObject({ isSpineError: true, code: expect.stringMatching(/^SPINE_/), fix: expect.any(String) })
    expect(error.outcome).toMatch(/^(?:refused|unknown)$/)
  }
}

function acknowledgedOf(told: readonly Told[]): readonly Told[] {
  return told.filter(({ kind }) => kind === 'acknowledged')
}

/** N1; also that a number stands there once, whoever was told of it. */
function expectPublished(records: readonly LogRecord[], told: readonly Told[]): void {
  expect(records.map(({ sequence }) => sequence)).toEqual(records.map((_, index) => index + 1))
  const numbers = records.filter(({ type }) => type === 'number.published').map(numberOf)
  expect(new Set(numbers).size).toBe(numbers.length)
  const known = new Set<number>()
  for (const { number, sequence, duplicate } of acknowledgedOf(told)) {
    const record = records[(sequence as number) - 1]
    expect(record, `${number} was acknowledged at ${sequence}; the log ends at ${records.length}`).toMatchObject({
      type: 'number.published',
      data: { number },
    })
    // Acknowledged once, it is a duplicate ever after.
    if (known.has(number as number)) expect(duplicate).toBe(true)
    known.add(number as number)
  }
}

/** N2: SQLite finds nothing wrong, and every link covers its batch and the link before it. */
function expectWholeRows(path: string, records: readonly LogRecord[]): void {
  const database = openDatabase(path)
  try {
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    const rows = database.prepare('SELECT * FROM commits ORDER BY first').all() as Row[]
    expect(rows.at(-1)?.last ?? 0).toBe(records.length)
    let chain = createHash('sha256').update(new Uint8Array(32))
    for (const { first, last, id, time, session, request, headers, salts, data, hashes, link } of rows) {
      for (const [index, item] of (JSON.parse(data) as unknown[]).entries()) {
        const salt = salts.subarray(index * 16, index * 16 + 16)
        const hash = createHash('sha256').update(salt).update(JSON.stringify(item)).digest('hex')
        expect(Buffer.from(hashes.subarray(index * 32, index * 32 + 32)).toString('hex')).toBe(hash)
      }
      chain.update(`${first} ${last} ${id} ${time} ${session.length} ${session}${request} ${headers}`).update(hashes)
      if (link === null) continue
      expect(Buffer.from(link).toString('hex')).toBe(chain.digest('hex'))
      chain = createHash('sha256').update(link)
    }
    // A batch is there with its end or not at all.
    if (rows.length > 0) expect(rows.at(-1)?.link).toHaveLength(32)
  } finally {
    database.close()
  }
}

interface Row {
  readonly first: number
  readonly last: number
  readonly id: string
  readonly time: number
  readonly session: string
  readonly request: string
  readonly headers: string
  readonly data: string
  readonly salts: Uint8Array
  readonly hashes: Uint8Array
  readonly link: Uint8Array | null
}

/** N3: each was done, perhaps more than once, but always under the same key. */
function expectOneKeyEach(
  lines: readonly { readonly number: number; readonly key: string }[],
  numbers: readonly number[],
): void {
  const meanings = new Map(lines.map(({ number, key }) => [key, number]))
  expect([...meanings.values()].sort(ascending)).toEqual(numbers)
  for (const { number, key } of lines) expect(meanings.get(key)).toBe(number)
}

/** N4. Only for what was never in doubt: an attempt before may have got there with nobody told. */
function expectRefusalsKept(told: readonly Told[]): void {
  expect(told.filter(({ kind }) => kind === 'late')).toEqual([])
  const inDoubt = new Set<number>()
  const refused = new Set<number>()
  for (const { kind, number = 0, outcome, duplicate } of told) {
    if (kind === 'failed') (outcome === 'refused' ? refused : inDoubt).add(number)
    if (kind !== 'acknowledged' || !refused.has(number) || inDoubt.has(number)) continue
    expect(duplicate, `${number} was refused, and was there all the same`).toBe(false)
    refused.delete(number)
  }
}

async function recordsOf(engine: Engine): Promise<readonly LogRecord[]> {
  await engine.open()
  try {
    const records: LogRecord[] = []
    const head = await engine.head()
    while (records.length < head) records.push(...(await engine.read({ after: records.length, limit: 1000 })))
    return records
  } finally {
    await engine.close()
  }
}

/** Without a line that was torn when its writer died. */
function linesOf<Line>(path: string): readonly Line[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}

function numberOf({ data }: LogRecord): number {
  return (data as { readonly number: number }).number
}

function ascending(left: number, right: number): number {
  return left - right
}
