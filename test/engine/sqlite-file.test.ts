import { createHash } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NewRecord } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { type Database, openDatabase } from '../support/open-database.ts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'event-spine-file-'))
  path = join(directory, 'log.db')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function record(value: string, header: Partial<NewRecord> = {}): NewRecord {
  return {
    time: 1,
    type: 'thing.happened',
    session: 's',
    request: 'r',
    key: 's',
    cause: 0,
    hops: 0,
    ...header,
    data: { json: JSON.stringify({ value }), value: { value } },
  }
}

async function write(commits: number): Promise<void> {
  const engine = sqlite(path)
  await engine.open()
  for (let index = 0; index < commits; index++)
    await engine.append([
      { id: `w:${index}`, records: [record(`v${index}`), record(`w${index}`, { session: 't', agent: 'a' })] },
    ])
  await engine.close()
}

/** Looks into the file the way a person would; nobody else has it open. */
async function withDatabase<Result>(look: (database: Database) => Result): Promise<Result> {
  const database = openDatabase(path)
  try {
    return look(database)
  } finally {
    database.close()
  }
}

const opening = (options = {}) => {
  const engine = sqlite(path, options)
  return engine.open().then(() => engine.close())
}

describe('an SQLite file', () => {
  it('P1: synchronous is FULL on every open, the second one included', async () => {
    await write(1)
    const engine = sqlite(path)
    await engine.open()
    expect(engine.durability()).toMatchObject({
      level: 'power-loss',
      evidence: expect.stringContaining('PRAGMA synchronous reads 2 (FULL)'),
    })
    await engine.close()
  })

  it('the view for people shows what read() gives, and each hash covers its salt and data', async () => {
    await write(3)
    const engine = sqlite(path, { readOnly: true })
    await engine.open()
    const records = await engine.read({ limit: 100 })
    await engine.close()
    const rows = await withDatabase(
      (database) => database.prepare('SELECT * FROM records ORDER BY sequence').all() as { [name: string]: unknown }[],
    )
    expect(
      rows.map((row) => [
        row['sequence'],
        row['type'],
        row['session'],
        row['key'],
        row['agent'],
        JSON.parse(row['data'] as string),
        row['data_hash'],
      ]),
    ).toEqual(
      records.map(({ sequence, type, session, key, agent, data, dataHash }) => [
        sequence,
        type,
        session,
        key,
        agent ?? null,
        data,
        dataHash,
      ]),
    )
    const commits = await withDatabase(
      (database) =>
        database.prepare('SELECT first, data, salts, hashes, link FROM commits').all() as {
          first: number
          data: string
          salts: Uint8Array
          hashes: Uint8Array
          link: Uint8Array | null
        }[],
    )
    for (const { data, salts, hashes } of commits) {
      for (const [index, item] of (JSON.parse(data) as unknown[]).entries()) {
        const hash = createHash('sha256')
          .update(salts.subarray(index * 16, index * 16 + 16))
          .update(JSON.stringify(item))
          .digest()
        expect(Buffer.from(hashes.subarray(index * 32, index * 32 + 32)).equals(hash)).toBe(true)
      }
    }
    expect(commits.at(-1)?.link).toHaveLength(32)
  })

  it('a file that is no database is SPINE_LOG_CORRUPT and stays as it was', async () => {
    const garbage = Buffer.alloc(8_192, 'not a log')
    writeFileSync(path, garbage)
    await expect(opening()).rejects.toMatchObject({
      code: 'SPINE_LOG_CORRUPT',
      message: expect.stringContaining('Restore'),
    })
    expect(readFileSync(path).equals(garbage)).toBe(true)
  })

  it("someone else's database is SPINE_LOG_CORRUPT and not a byte of it changes", async () => {
    await withDatabase((database) => database.exec('CREATE TABLE recipes (name TEXT)'))
    const before = readFileSync(path)
    await expect(opening()).rejects.toMatchObject({
      code: 'SPINE_LOG_CORRUPT',
      message: expect.stringContaining('not an Event Spine log'),
    })
    await expect(opening({ readOnly: true })).rejects.toMatchObject({ code: 'SPINE_LOG_CORRUPT' })
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  it('a newer format is SPINE_LOG_NEWER', async () => {
    await write(1)
    await withDatabase((database) => database.exec("UPDATE meta SET value = 2 WHERE name = 'format'"))
    await expect(opening()).rejects.toMatchObject({
      code: 'SPINE_LOG_NEWER',
      message: expect.stringContaining('Upgrade'),
    })
  })

  it.each([
    ['a row that is cut off', "UPDATE commits SET data = '[' WHERE first = 3"],
    ['a row that holds too little', "UPDATE commits SET headers = '[]' WHERE first = 3"],
    ['a row that is gone', 'DELETE FROM commits WHERE first = 3'],
  ])('%s is SPINE_LOG_CORRUPT when it is read', async (_what, damage) => {
    await write(3)
    await withDatabase((database) => database.exec(damage))
    const engine = sqlite(path)
    await engine.open()
    await expect(engine.read({ limit: 100 })).rejects.toMatchObject({ code: 'SPINE_LOG_CORRUPT', value: path })
    await engine.close()
  })

  it('a clean close leaves one file: nothing has to be copied along with it', async () => {
    await write(3)
    expect(readdirSync(directory).filter((name) => !name.includes('.lock'))).toEqual(['log.db'])
  })

  it('the WAL is bounded while the log grows far beyond it', async () => {
    const engine = sqlite(path)
    await engine.open()
    let largest = 0
    for (let round = 0; round < 60; round++) {
      const commits = Array.from({ length: 200 }, (_, index) => ({
        id: `w:${round}:${index}`,
        records: [record('x'.repeat(5_000), { session: `s${(round * 7919 + index * 104_729) % 10_007}` })],
      }))
      await engine.append(commits)
      largest = Math.max(largest, statSync(`${path}-wal`).size)
    }
    await engine.close()
    expect(statSync(path).size).toBeGreaterThan(60_000_000)
    expect(largest).toBeLessThan(40_000_000)
  })

  it('the chain of links goes on where it stood, also when every commit was trimmed', async () => {
    const links = () =>
      withDatabase(
        (database) =>
          database.prepare('SELECT id, link FROM commits ORDER BY first').all() as {
            id: string
            link: Uint8Array | null
          }[],
      )
    const linkAfterTrim = async () => {
      await write(2)
      const engine = sqlite(path)
      await engine.open()
      await engine.trim(100)
      await engine.close()
      const again = sqlite(path)
      await again.open()
      await again.append([
        {
          id: 'next:1',
          records: [{ time: 5, type: 'thing.happened', session: 's', request: 'r', key: 's', cause: 0, hops: 0 }],
        },
      ])
      await again.close()
      return (await links()).at(-1)?.link as Uint8Array
    }
    const zeros = createHash('sha256').update(new Uint8Array(32))
    const trimmedLink = Buffer.from(await linkAfterTrim())
    const row = (
      await withDatabase(
        (database) =>
          database.prepare('SELECT first, last, id, time, session, request, headers, hashes FROM commits').all() as {
            [name: string]: unknown
          }[],
      )
    )[0]
    const text = `${row?.['first']} ${row?.['last']} ${row?.['id']} ${row?.['time']} ${String(row?.['session']).length} ${row?.['session']}${row?.['request']} ${row?.['headers']}`
    expect(
      trimmedLink.equals(
        zeros
          .update(text)
          .update(row?.['hashes'] as Uint8Array)
          .digest(),
      ),
    ).toBe(false)
    const kept = (
      await withDatabase(
        (database) => database.prepare("SELECT value FROM meta WHERE name = 'link'").all() as { value: Uint8Array }[],
      )
    )[0]?.value as Uint8Array
    const chained = createHash('sha256')
      .update(kept)
      .update(text)
      .update(row?.['hashes'] as Uint8Array)
      .digest()
    expect(trimmedLink.equals(chained)).toBe(true)
  })

  it('a truncated file is SPINE_LOG_CORRUPT, not a crash', async () => {
    await write(200)
    truncateSync(path, 20_000)
    const engine = sqlite(path)
    const error = await engine
      .open()
      .then(() => engine.read({ limit: 1_000 }))
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'SPINE_LOG_CORRUPT' })
    await engine.close()
  })

  it('G7 a full disk: SPINE_LOG_FULL, nothing half-written, the process lives, and a reopened log goes on densely', async () => {
    const engine = sqlite(path, { maxBytes: 256 * 1024 })
    await engine.open()
    const acknowledged: number[] = []
    let failure: unknown
    for (let index = 0; failure === undefined; index++) {
      await engine.append([{ id: `w:${index}`, records: [record('x'.repeat(20_000)), record('y')] }]).then(
        ([outcome]) => acknowledged.push((outcome as { last: number }).last),
        (error: unknown) => {
          failure = error
        },
      )
    }
    expect(failure).toMatchObject({ code: 'SPINE_LOG_FULL', outcome: 'refused' })
    await expect(engine.append([{ id: 'w:late', records: [record('z')] }])).rejects.toMatchObject({
      code: 'SPINE_LOG_FULL',
    })
    await engine.close()
    const again = sqlite(path)
    await again.open()
    expect(await again.head()).toBe(acknowledged.at(-1))
    expect(await again.read({ limit: 1_000 })).toHaveLength(acknowledged.at(-1) as number)
    expect(await again.append([{ id: 'x:1', records: [record('after')] }])).toMatchObject([
      { status: 'appended', first: (acknowledged.at(-1) as number) + 1 },
    ])
    await again.close()
  })

  it('read-only: appends are SPINE_READ_ONLY, a missing file is named', async () => {
    await expect(opening({ readOnly: true })).rejects.toMatchObject({ code: 'SPINE_LOG_FAILED', value: path })
    await write(1)
    const engine = sqlite(path, { readOnly: true })
    await engine.open()
    await expect(engine.append([])).rejects.toMatchObject({ code: 'SPINE_READ_ONLY' })
    await expect(engine.trim(1)).rejects.toMatchObject({ code: 'SPINE_READ_ONLY' })
    await engine.close()
  })

  it('a path that cannot be: a directory, a forbidden place, :memory:, too small a bound', async () => {
    const taken = join(directory, 'taken')
    mkdirSync(taken)
    await expect(sqlite(taken).open()).rejects.toMatchObject({ code: 'SPINE_LOG_FAILED' })
    writeFileSync(path, '')
    await expect(sqlite(join(path, 'log.db')).open()).rejects.toMatchObject({ code: 'SPINE_LOG_FAILED' })
    expect(() => sqlite(':memory:')).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    expect(() => sqlite(path, { maxBytes: 10 })).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
  })
})
