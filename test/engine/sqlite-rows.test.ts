/** What is in the file is what `read` gives, and can be checked without our code. */
import { createHash } from 'node:crypto'
import type { LogRecord, NewRecord } from 'event-spine'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dense, everything, LogFile, record } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

const SALT_BYTES = 16
const HASH_BYTES = 32

interface CommitRow {
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

const name = fc.oneof(fc.constantFrom('a', 'b'), fc.string({ maxLength: 8 }))
const header = fc.record(
  {
    time: fc.integer({ min: 0, max: 2 ** 52 }),
    type: fc.constantFrom('thing.happened', 'other.happened'),
    version: fc.integer({ min: 2, max: 9 }),
    session: name,
    request: name,
    key: name,
    cause: fc.nat(),
    hops: fc.nat(32),
    agent: name,
    deadline: fc.integer({ min: 0, max: 2 ** 52 }),
  },
  { requiredKeys: ['time', 'type', 'session', 'request', 'key', 'cause', 'hops'] },
)
/** An object: a text or a number alone is shown by the view as SQL's own. */
const data = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 })
const recordOf = fc.tuple(header, fc.option(data, { nil: undefined }))
const batches = fc.array(fc.array(fc.array(recordOf, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
})

type Drafts = readonly (readonly (readonly (readonly [Omit<NewRecord, 'data'>, object | undefined])[])[])[]

/** Appends batch by batch, reopening in the middle, and gives what `read` says and what the tables hold. */
async function written(drafts: Drafts): Promise<{ records: readonly LogRecord[]; rows: readonly CommitRow[] }> {
  await log.remove()
  log = new LogFile()
  let engine = await log.open()
  for (const [index, batch] of drafts.entries()) {
    if (index === 2) {
      await engine.close()
      engine = await log.open()
    }
    await engine.append(
      batch.map((records, place) => ({
        id: `w:${index}/${place}`,
        records: records.map(([one, value]) => (value === undefined ? one : record(value, one))),
      })),
    )
  }
  const records = await everything(engine)
  await engine.close()
  const rows = log.change((file) => file.prepare('SELECT * FROM commits ORDER BY first').all() as CommitRow[])
  return { records, rows }
}

describe('the tables of an SQLite log', () => {
  it('the view for people shows what read() gives', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (drafts) => {
        const { records } = await written(drafts as Drafts)
        const shown = log.change(
          (file) => file.prepare('SELECT * FROM records ORDER BY sequence').all() as { [column: string]: unknown }[],
        )
        expect(shown.map(({ data: json, ...row }) => ({ ...row, data: JSON.parse(String(json)) }))).toEqual(
          records.map(({ dataHash, ...rest }) => ({
            ...rest,
            data_hash: dataHash,
            agent: rest.agent ?? null,
            deadline: rest.deadline ?? null,
            due: rest.due ?? null,
            version: rest.version ?? 1,
          })),
        )
      }),
      { numRuns: 15 },
    )
  })

  it('every dataHash is SHA-256(salt ‖ JSON), with a salt of its own; without data there is neither', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (drafts) => {
        const { records, rows } = await written(drafts as Drafts)
        const hasData = drafts.flat(2).map(([, value]) => value !== undefined)
        const salts = new Set<string>()
        for (const row of rows) {
          for (const [index, item] of itemsOf(row.data).entries()) {
            const { dataHash } = records[row.first + index - 1] as LogRecord
            const salt = row.salts.subarray(index * SALT_BYTES, (index + 1) * SALT_BYTES)
            if (hasData[row.first + index - 1] === true) {
              expect(dataHash).toBe(createHash('sha256').update(salt).update(item).digest('hex'))
              salts.add(Buffer.from(salt).toString('hex'))
            } else {
              expect(Buffer.from(salt).toString('hex') + dataHash).toMatch(/^0+$/)
            }
          }
        }
        expect(salts.size).toBe(hasData.filter(Boolean).length)
      }),
      { numRuns: 15 },
    )
  })

  it('each link covers its batch and the link before it, also over a reopen', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (drafts) => {
        const { rows } = await written(drafts as Drafts)
        let before: Uint8Array = new Uint8Array(HASH_BYTES)
        let chain = createHash('sha256').update(before)
        for (const { first, last, id, time, session, request, headers, hashes, link } of rows) {
          chain
            .update(`${first} ${last} ${id} ${time} ${session.length} ${session}${request} ${headers}`)
            .update(hashes)
          if (link === null) continue
          expect(Buffer.from(link).toString('hex')).toBe(chain.digest('hex'))
          before = link
          chain = createHash('sha256').update(before)
        }
        expect(rows.at(-1)?.link).toHaveLength(HASH_BYTES)
      }),
      { numRuns: 15 },
    )
  })

  it('P1: synchronous reads FULL on every open, of new and of old files', async () => {
    for (const index of dense(1, 3)) {
      const engine = await log.open()
      const { level, evidence } = engine.durability()
      expect(level).toBe('power-loss')
      expect(evidence).toMatch(/^PRAGMA synchronous reads 2 \(FULL\), WAL, SQLite 3\.\d+\.\d+ of /)
      await engine.append([{ id: `w:${index}`, records: [record(1)] }])
      await engine.close()
    }
  })
})

/** The JSON texts of an array's items, as they were written: parsing and writing again must not change them. */
function itemsOf(list: string): readonly string[] {
  return (JSON.parse(list) as unknown[]).map((item) => JSON.stringify(item))
}
