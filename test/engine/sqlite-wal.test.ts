/** The write-ahead log: lengthened ahead of the commits, taken back in time, and of no meaning to what is read. */
import { statSync, symlinkSync } from 'node:fs'
import { sqlite } from 'event-spine/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commit, dense, everything, LogFile, record } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

const MIB = 1024 * 1024
const walBytes = () => statSync(`${log.path}-wal`).size

describe('the write-ahead log', () => {
  it('is there before the first commits, which make it no longer', async () => {
    const engine = await log.open()
    await engine.append([commit('w:1')])
    const before = walBytes()
    expect(before).toBeGreaterThanOrEqual(2 * MIB)
    for (const index of dense(2, 20)) await engine.append([commit(`w:${index}`)])
    expect(walBytes()).toBe(before)
    // A reader of its own finds the commits before the zeros.
    const reader = sqlite(log.path, { readOnly: true })
    await reader.open()
    expect(await everything(reader)).toHaveLength(20)
    await reader.close()
  })

  it('is of the file that was opened, when that is named by a link', async () => {
    const other = new LogFile()
    await (await other.open()).close()
    symlinkSync(other.path, log.path)
    const linked = await log.open()
    await linked.append([commit('w:1')])
    expect(statSync(`${other.path}-wal`).size).toBeGreaterThanOrEqual(2 * MIB)
    await linked.close()
    await other.remove()
  })

  it('stays bounded, however much is written', async () => {
    const engine = await log.open()
    const text = 'x'.repeat(100_000)
    for (const round of dense(1, 12)) {
      await Promise.all(
        dense(1, 40).map((index) => engine.append([{ id: `w:${round}/${index}`, records: [record(text)] }])),
      )
    }
    expect(statSync(log.path).size).toBeGreaterThan(30 * MIB)
    expect(walBytes()).toBeLessThan(20 * MIB)
    expect(await engine.head()).toBe(480)
  })

  it('after a kill the zeros behind the last commit are no damage', async () => {
    const writer = log.start(`
      const engine = sqlite(path)
      await engine.open()
      for (let index = 1; index <= 50; index++) await engine.append([{ id: 'w:' + index, records: [record(index)] }])
      say('written')
      await new Promise(() => setInterval(() => {}, 1_000))
    `)
    await writer.said(1)
    await writer.kill()
    expect(walBytes()).toBeGreaterThanOrEqual(2 * MIB)
    const engine = await log.open()
    expect((await everything(engine)).map(({ data }) => data)).toEqual(dense(1, 50))
    expect(await engine.append([commit('w:51')])).toMatchObject([{ first: 51 }])
  })
})
