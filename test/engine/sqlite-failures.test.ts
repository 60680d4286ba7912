/** What goes wrong with a file has a code and a way out, and leaves the file as it is: every code an engine can raise. */
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Engine, type ErrorCode, SpineError } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commit, dense, everything, LogFile, record } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

/** A log of 100 commits of two records, closed. */
async function written(): Promise<void> {
  const engine = await log.open()
  await engine.append(dense(1, 100).map((index) => commit(`w:${index}`, `value ${index}`, 2)))
  await engine.close()
}

/** The code, and what it is about. */
function expectError(error: unknown, code: ErrorCode): void {
  expect(error).toMatchObject({ code })
  expect(SpineError.is(error, code)).toBe(true)
  expect((error as SpineError).message).toContain(log.path)
}

/** E2: the way out, as a part of its own and in the message. */
function expectWayOut(error: unknown): void {
  const { fix, message, code } = error as SpineError
  expect(fix, code).toEqual(expect.stringMatching(/\w/))
  expect(message).toContain(fix)
}

const REFUSALS: readonly (readonly [what: string, code: ErrorCode, damage: () => void | Promise<void>])[] = [
  ['garbage', 'SPINE_LOG_CORRUPT', () => writeFileSync(log.path, Buffer.alloc(8_192, 'not a log'))],
  [
    "someone else's database",
    'SPINE_LOG_CORRUPT',
    () => log.change((file) => file.exec('CREATE TABLE recipes (name TEXT)')),
  ],
  [
    "someone else's database in WAL mode",
    'SPINE_LOG_CORRUPT',
    () => log.change((file) => file.exec('PRAGMA journal_mode = WAL; CREATE TABLE recipes (name TEXT)')),
  ],
  ['a directory', 'SPINE_LOG_FAILED', () => mkdirSync(log.path)],
  [
    'a newer format',
    'SPINE_LOG_NEWER',
    async () => {
      await written()
      log.change((file) => file.exec("UPDATE meta SET value = 2 WHERE name = 'format'"))
    },
  ],
  [
    'a log without a format',
    'SPINE_LOG_CORRUPT',
    async () => {
      await written()
      log.change((file) => file.exec("DELETE FROM meta WHERE name = 'format'"))
    },
  ],
  [
    'a log of which a table is gone',
    'SPINE_LOG_CORRUPT',
    async () => {
      await written()
      log.change((file) => file.exec('DROP TABLE keys'))
    },
  ],
]

describe('opening', () => {
  it.each(REFUSALS)('%s is %s, and not a byte of it changes', async (_what, code, damage) => {
    await damage()
    const bytes = () => (code === 'SPINE_LOG_FAILED' ? undefined : readFileSync(log.path).toString('base64'))
    const before = bytes()
    expectError(await log.refusal(), code)
    // The lock was let go: the second attempt is refused for the same reason.
    expectError(await log.refusal(), code)
    expect(bytes()).toBe(before)
    expect(existsSync(`${log.path}-wal`)).toBe(false)
  })

  it('every refusal has a way out', async () => {
    for (const [, , damage] of REFUSALS) {
      await log.remove()
      log = new LogFile()
      await damage()
      expectWayOut(await log.refusal())
    }
  })

  it.each(REFUSALS.filter(([what]) => what !== 'a log of which a table is gone'))(
    'read-only: %s is %s',
    async (_what, code, damage) => {
      await damage()
      const error = await log.refusal({ readOnly: true })
      expectError(error, code)
      expectWayOut(error)
    },
  )

  it('read-only: a file that is not there is SPINE_LOG_FAILED, and none is made', async () => {
    expectError(await log.refusal({ readOnly: true }), 'SPINE_LOG_FAILED')
    expect(existsSync(log.path)).toBe(false)
  })

  it.each([0, 100, 4_096, 20_000])(
    'a file cut to %d bytes is an error or an empty log, never less than the log',
    async (size) => {
      await written()
      truncateSync(log.path, size)
      const error = await log
        .open()
        .then(
          async (engine) => ((await engine.head()) === 0 && size === 0 ? 'empty' : everything(engine)),
          (caught: unknown) => caught,
        )
        .catch((caught: unknown) => caught)
      if (size === 0) expect(error).toBe('empty')
      else expectError(error, 'SPINE_LOG_CORRUPT')
    },
  )

  it('a lock file that is damaged is named: it is not the log that has to be restored', async () => {
    await written()
    writeFileSync(`${log.path}.lock`, Buffer.alloc(8_192, 'not a lock'))
    const error = await log.refusal()
    expect(error).toBeInstanceOf(Error)
    expect((error as Error).message).toContain(`${log.path}.lock`)
  })

  it('options that cannot be: SPINE_OPTION_INVALID, SPINE_DURATION_INVALID', () => {
    for (const path of ['', ':memory:'])
      expect(() => sqlite(path)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    for (const maxBytes of [10, Number.NaN, 1e6 + 0.5])
      expect(() => sqlite(log.path, { maxBytes })).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
    expect(() => sqlite(log.path, { lockWait: 'soon' as '1s' })).toThrow(
      expect.objectContaining({ code: 'SPINE_DURATION_INVALID' }),
    )
    expect(existsSync(log.path)).toBe(false)
  })

  it('makes the directories on the way', async () => {
    const engine = sqlite(join(log.directory, 'one', 'two', 'log.db'))
    await engine.open()
    await engine.close()
    expect(existsSync(join(log.directory, 'one', 'two', 'log.db'))).toBe(true)
  })
})

describe('reading a damaged log', () => {
  it.each([
    ['a row that is cut off', "UPDATE commits SET data = '[' WHERE first = 101"],
    ['a row whose header is no list', `UPDATE commits SET headers = '{"type":"x"}' WHERE first = 101`],
    ['a row that holds too little', "UPDATE commits SET data = '[1]' WHERE first = 101"],
    ['a row without hashes', "UPDATE commits SET hashes = x'00' WHERE first = 101"],
    ['a row that is gone', 'DELETE FROM commits WHERE first = 101'],
    ['a row that reaches into the next', 'UPDATE commits SET last = 103 WHERE first = 101'],
  ])('%s is SPINE_LOG_CORRUPT, forwards and backwards', async (_what, damage) => {
    await written()
    log.change((file) => file.exec(damage))
    const engine = await log.open()
    expectError(await everything(engine).catch((error: unknown) => error), 'SPINE_LOG_CORRUPT')
    const backwards = engine.read({ limit: 1_000, backwards: true })
    expectError(await backwards.catch((error: unknown) => error), 'SPINE_LOG_CORRUPT')
  })

  it.each([
    ['the first', 'DELETE FROM commits WHERE first = 1'],
    // A page of rows is 512: the gap lies between two pages.
    ['one between two pages', 'DELETE FROM commits WHERE first = 88'],
  ])('backwards too a row that is gone is missed: %s', async (_what, damage) => {
    const writer = await log.open()
    await writer.append(dense(1, 600).map((index) => commit(`w:${index}`)))
    await writer.close()
    log.change((file) => file.exec(damage))
    const engine = await log.open()
    const backwards = engine.read({ limit: 1_000, backwards: true })
    expectError(await backwards.catch((error: unknown) => error), 'SPINE_LOG_CORRUPT')
  })
})

describe('G7: after a failed write', () => {
  const big = (id: string) => ({ id, records: [record('x'.repeat(20_000)), record(id)] })

  it('a full log is SPINE_LOG_FULL with the way out, for the append that failed and for all behind it', async () => {
    const engine = await log.open({ maxBytes: 256 * 1024 })
    const seen: number[] = []
    engine.tail(0, (records) => seen.push(...records.map(({ sequence }) => sequence)))
    await engine.append([big('w:1')])
    await engine.append([big('w:2')])
    const appends = await Promise.allSettled(dense(1, 40).map((index) => engine.append([big(`w:${index}`)])))
    const passed = appends.filter(({ status }) => status === 'fulfilled').length
    expect(passed).toBeLessThan(40)
    expect(appends.map(({ status }) => status)).toEqual([
      ...Array(passed).fill('fulfilled'),
      ...Array(40 - passed).fill('rejected'),
    ])
    for (const append of appends.slice(passed)) {
      expectError((append as PromiseRejectedResult).reason, 'SPINE_LOG_FULL')
      expect((append as PromiseRejectedResult).reason).toMatchObject({ outcome: 'refused', retryable: false })
    }
    // A small one would fit, but it would stand on sequences that do not exist.
    for (let round = 0; round < 3; round++)
      expectError(await engine.append([commit('late')]).catch((error: unknown) => error), 'SPINE_LOG_FULL')
    expect(seen).toEqual(dense(1, passed * 2))
    expect(await engine.head()).toBe(passed * 2)
    expect(await everything(engine)).toHaveLength(passed * 2)
    await engine.close()

    const larger = await log.open({ maxBytes: 4 * 1024 * 1024 })
    expect(await everything(larger)).toHaveLength(passed * 2)
    expect(await larger.append([big(`w:${passed}`), big(`w:${passed + 1}`)])).toMatchObject([
      { status: 'duplicate', last: passed * 2 },
      { status: 'appended', first: passed * 2 + 1 },
    ])
  })

  it('the error has a way out', async () => {
    const engine = await log.open({ maxBytes: 64 * 1024 })
    expectWayOut(await engine.append(dense(1, 9).map((index) => big(`w:${index}`))).catch((error: unknown) => error))
  })

  it('neither a snapshot nor a trim is acknowledged', async () => {
    const engine = await log.open({ maxBytes: 256 * 1024 })
    await engine.append([commit('w:1')])
    await expect(engine.append(dense(2, 40).map((index) => big(`w:${index}`)))).rejects.toMatchObject({
      code: 'SPINE_LOG_FULL',
    })
    await expect(engine.writeSnapshot('kernel', 1, Uint8Array.of(1))).rejects.toMatchObject({ code: 'SPINE_LOG_FULL' })
    await expect(engine.trim(2)).rejects.toMatchObject({ code: 'SPINE_LOG_FULL' })
  })

  it('a write that SQLite refuses is SPINE_LOG_FAILED, for all behind it too, until the log is opened again', async () => {
    await written()
    const trigger =
      "CREATE TRIGGER refuse BEFORE INSERT ON commits WHEN NEW.first > 203 BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
    log.change((file) => file.exec(trigger))
    const engine = await log.open()
    expect(await engine.append([commit('x:1', 1, 2)])).toMatchObject([{ status: 'appended', first: 201 }])
    // One turn, one batch: SQLite takes x:2 and refuses x:3. Neither may be in the file afterwards.
    const failing = [engine.append([commit('x:2')]), engine.append([commit('x:3')])]
    for (const result of await Promise.allSettled(failing))
      expectError((result as PromiseRejectedResult).reason, 'SPINE_LOG_FAILED')
    expectError(await engine.append([commit('x:1')]).catch((error: unknown) => error), 'SPINE_LOG_FAILED')
    await engine.close()
    log.change((file) => file.exec('DROP TRIGGER refuse'))
    const again = await log.open()
    expect(await again.head()).toBe(202)
    expect(await again.append([commit('x:2')])).toMatchObject([{ status: 'appended', first: 203 }])
  })

  it.each([
    ['trim', 'BEFORE DELETE ON commits', (engine: Engine) => engine.trim(50)],
    ['snapshot', 'BEFORE INSERT ON snapshots', (engine: Engine) => engine.writeSnapshot('kernel', 1, Uint8Array.of(1))],
  ] as const)(
    'a %s that fails is a failed write too: nothing behind it is acknowledged',
    async (_what, when, write) => {
      await written()
      log.change((file) => file.exec(`CREATE TRIGGER refuse ${when} BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`))
      const engine = await log.open()
      for (const attempt of [
        () => write(engine),
        () => engine.append([commit('x:1')]),
        () => engine.append([commit('x:2')]),
      ])
        expectError(await attempt().catch((error: unknown) => error), 'SPINE_LOG_FAILED')
      await engine.close()
      log.change((file) => file.exec('DROP TRIGGER refuse'))
      const again = await log.open()
      expect(await again.head()).toBe(200)
      expect(await again.append([commit('x:1')])).toMatchObject([{ status: 'appended', first: 201 }])
    },
  )

  it('a look at the file that fails in the middle of an append is told as what it is, and its outcome as unknown', async () => {
    await written()
    log.change((file) => file.exec('ALTER TABLE keys RENAME COLUMN print TO other'))
    const engine = await log.open()
    const keyed = { ...commit('x:2'), key: { scope: 'thing', name: 'a', print: 'p' } }
    const refused = await engine.append([keyed]).catch((error: unknown) => error)
    expectError(refused, 'SPINE_LOG_CORRUPT')
    expect(refused).toMatchObject({ outcome: 'refused' })
    // x:1 is decided, and on its way to the writer, when the key of x:2 is looked up.
    const unknown = await engine.append([commit('x:1'), keyed]).catch((error: unknown) => error)
    expectError(unknown, 'SPINE_LOG_CORRUPT')
    expect(unknown).toMatchObject({ outcome: 'unknown' })
    await engine.close()
    const again = await log.open()
    expect(await again.append([commit('x:1')])).toMatchObject([{ status: 'duplicate', first: 201 }])
  })

  it('a trim that fails is told, and the log goes on', async () => {
    await written()
    log.change((file) =>
      file.exec("CREATE TRIGGER refuse BEFORE DELETE ON commits BEGIN SELECT RAISE(ABORT, 'no'); END"),
    )
    const engine = await log.open()
    expectError(await engine.trim(50).catch((error: unknown) => error), 'SPINE_LOG_FAILED')
    expect(await everything(engine)).toHaveLength(200)
    // Nothing of it was acknowledged or written: either the engine is failed (G7) or whole, and a reopen heals it.
    await engine.close()
    const again = await log.open()
    expect(await again.append([commit('x:1')])).toMatchObject([{ status: 'appended', first: 201 }])
  })
})
