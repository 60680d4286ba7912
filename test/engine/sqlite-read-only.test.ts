import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commit, dense, LogFile, until } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

describe('an SQLite log that is opened read-only', () => {
  it('reads what is there while the owner is gone, and leaves the log as it was', async () => {
    const owner = await log.open()
    await owner.append([commit('w:1'), commit('w:2')])
    await owner.writeSnapshot('kernel', 2, Uint8Array.of(1, 2))
    await owner.close()
    const before = readFileSync(log.path)
    const observer = await log.open({ readOnly: true })
    expect(await observer.head()).toBe(2)
    expect(await observer.read({ limit: 9 })).toHaveLength(2)
    expect(await observer.readSnapshot('kernel')).toEqual({ at: 2, state: Uint8Array.of(1, 2) })
    await observer.close()
    expect(readFileSync(log.path).equals(before)).toBe(true)
    // SQLite makes an empty WAL for a reader, which a reader may not delete: the next owner does.
    const next = await log.open()
    await next.close()
    expect(readdirSync(log.directory).filter((name) => !name.includes('.lock'))).toEqual(['log.db'])
  })

  it('follows the owner beside it, from any position, through a trim and a reopen of the owner', async () => {
    const owner = await log.open()
    await owner.append(dense(1, 20).map((index) => commit(`w:${index}`)))
    const observer = await log.open({ readOnly: true })
    const seen: number[] = []
    const later: number[] = []
    observer.tail(0, (records) => seen.push(...records.map(({ sequence }) => sequence)))
    observer.tail(25, (records) => later.push(...records.map(({ sequence }) => sequence)))
    await until(() => seen.length === 20, 'it caught up')
    await owner.trim(10)
    await owner.append(dense(21, 40).map((index) => commit(`w:${index}`)))
    await owner.close()
    const next = await log.open()
    await next.append(dense(41, 45).map((index) => commit(`w:${index}`)))
    await until(() => seen.length === 45 && later.length === 20, 'both are at the head')
    expect(seen).toEqual(dense(1, 45))
    expect(later).toEqual(dense(26, 45))
    await expect(observer.read({ after: 0, limit: 1 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED', limit: 10 })
  })

  it('a stopped tail is given nothing, and no timer keeps the process alive', async () => {
    const owner = await log.open()
    await owner.append([commit('w:1')])
    await owner.close()
    const process = log.start(`
      const engine = sqlite(path, { readOnly: true })
      await engine.open()
      const tail = engine.tail(0, (records) => { say('seen ' + records.length); tail.stop() })
    `)
    expect(await process.ended).toBe(0)
    expect(process.lines).toEqual(['seen 1'])
  })

  it('writes nothing: SPINE_READ_ONLY, with the way out', async () => {
    const owner = await log.open()
    await owner.close()
    const observer = await log.open({ readOnly: true })
    const refused = { code: 'SPINE_READ_ONLY', fix: expect.stringMatching(/\w/) }
    await expect(observer.append([commit('w:1')])).rejects.toMatchObject(refused)
    await expect(observer.writeSnapshot('kernel', 1, Uint8Array.of())).rejects.toMatchObject(refused)
    await expect(observer.trim(1)).rejects.toMatchObject(refused)
    expect(observer.durability().evidence).toContain('read-only')
  })

  it('is closed before open and after close: SPINE_CLOSED; works after a reopen; closing twice is fine', async () => {
    const owner = await log.open()
    await owner.append([commit('w:1')])
    const observer = await log.open({ readOnly: true })
    await observer.close()
    await observer.close()
    const closed = { code: 'SPINE_CLOSED' }
    await expect(observer.head()).rejects.toMatchObject(closed)
    await expect(observer.read({ limit: 1 })).rejects.toMatchObject(closed)
    await expect(observer.readSnapshot('kernel')).rejects.toMatchObject(closed)
    expect(() => observer.tail(0, () => {})).toThrow(expect.objectContaining(closed))
    await observer.open()
    expect(await observer.head()).toBe(1)
  })

  it('refuses to be opened twice, as any engine does', async () => {
    const owner = await log.open()
    await owner.close()
    const observer = await log.open({ readOnly: true })
    await expect(observer.open()).rejects.toMatchObject({ code: 'SPINE_ENGINE_LOCKED' })
  })
})
