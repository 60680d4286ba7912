import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commit, dense, everything, LogFile, until } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

/** Opens, says so, and stays. */
const HOLDER = `
  const engine = sqlite(path)
  await engine.open()
  say('open')
  setInterval(() => {}, 1000)
`

/** Keeps 40 appends under way, of commits of 1 to 3 records, and says which are acknowledged: 'id first last'. */
const WRITER = `
  const engine = sqlite(path)
  await engine.open()
  let next = 1
  const append = async () => {
    for (;;) {
      const id = process.pid + ':' + next++
      const records = Array.from({ length: 1 + (next % 3) }, () => record({ id }))
      const [outcome] = await engine.append([{ id, records, moves: ['head'], key: { scope: 'x', name: id, print: 'p' } }])
      say(id + ' ' + outcome.first + ' ' + outcome.last)
    }
  }
  for (let index = 0; index < 40; index++) append()
`

describe('an SQLite log and other processes', () => {
  it('the error of a locked log names the holder and what to do', async () => {
    const holder = log.start(HOLDER)
    await holder.said(1)
    const error = await log.refusal({ lockWait: '120ms' })
    expect(error).toMatchObject({ code: 'SPINE_ENGINE_LOCKED', retryable: true, outcome: 'refused', value: log.path })
    expect((error as Error).message).toContain(`process ${holder.pid} on `)
    expect((error as { fix?: string }).fix).toContain('readOnly: true')
  })

  it('the lock is free as soon as its holder is dead: kill -9, and the next open does not wait', async () => {
    const holder = log.start(HOLDER)
    await holder.said(1)
    await holder.kill()
    const engine = await log.open({ lockWait: 0 })
    expect(await engine.append([commit('x:1')])).toMatchObject([{ status: 'appended', first: 1 }])
  })

  it('who waits is let in when the holder goes', async () => {
    const holder = log.start(HOLDER)
    await holder.said(1)
    const opening = log.open({ lockWait: '20s' })
    await new Promise((resolve) => setTimeout(resolve, 200))
    await holder.kill()
    expect(await (await opening).head()).toBe(0)
  })

  it('of several processes that open at once one becomes the owner', async () => {
    const contender = `
      const engine = sqlite(path, { lockWait: '100ms' })
      await engine.open().then(() => say('owner'), (error) => say(error.code))
      setInterval(() => {}, 1000)
    `
    const contenders = dense(1, 4).map(() => log.start(contender))
    for (const one of contenders) await one.said(1)
    expect(contenders.map(({ lines }) => lines[0]).sort()).toEqual([...Array(3).fill('SPINE_ENGINE_LOCKED'), 'owner'])
  })

  it('peer bug 19, G1 G2 G3 G5 G8: kill -9 in the middle of appends, again and again: what was acknowledged is there, dense', async () => {
    const acknowledged: string[] = []
    for (let round = 0; round < 3; round++) {
      const writer = log.start(WRITER)
      await writer.said(200 * (round + 1))
      await writer.kill()
      acknowledged.push(...writer.lines)
    }
    const engine = await log.open()
    const records = await everything(engine)
    expect(records.map(({ sequence }) => sequence)).toEqual(dense(1, records.length))
    const idAt = new Map(records.map(({ sequence, data }) => [sequence, (data as { id: string }).id]))
    const [, , newest] = parse(acknowledged.at(-1))
    expect(records.length).toBeGreaterThanOrEqual(newest)
    for (const line of acknowledged) {
      const [id, first, last] = parse(line)
      for (const sequence of dense(first, last)) expect(idAt.get(sequence), line).toBe(id)
    }
    // The last commit that made it, acknowledged or not, is known by its id, by its key and by its head.
    const id = idAt.get(records.length) as string
    const key = { scope: 'x', name: id, print: 'p' }
    const guards = [{ head: 'head', notAfter: records.length - 1 }]
    expect(
      await engine.append([commit(id), { ...commit('x:1'), key }, { ...commit('x:2'), guards }, commit('x:3')]),
    ).toMatchObject([
      { status: 'duplicate', last: records.length },
      { status: 'duplicate', last: records.length },
      { status: 'conflict', at: records.length },
      { status: 'appended', first: records.length + 1 },
    ])
  })

  it('read-only sees live what another process writes, through its death and that of its successor', async () => {
    const first = log.start(WRITER)
    await first.said(1)
    const observer = await log.open({ readOnly: true })
    const seen: number[] = []
    const fromWithin: number[] = []
    observer.tail(0, (records) => seen.push(...records.map(({ sequence }) => sequence)))
    observer.tail(10, (records) => fromWithin.push(...records.map(({ sequence }) => sequence)))
    await first.said(200)
    await first.kill()
    const second = log.start(WRITER)
    await second.said(200)
    await second.kill()
    const head = await observer.head()
    await until(() => seen.at(-1) === head && fromWithin.at(-1) === head, `the tail is at ${head}`)
    expect(seen).toEqual(dense(1, head))
    expect(fromWithin).toEqual(dense(11, head))
    const [, , newest] = parse(second.lines.at(-1))
    expect(head).toBeGreaterThanOrEqual(newest)
  })

  it('damage that a read-only tail comes upon does not kill its process', async () => {
    const owner = await log.open()
    await owner.append([commit('w:1')])
    await owner.close()
    const observer = log.start(`
      const engine = sqlite(path, { readOnly: true })
      await engine.open()
      engine.tail(0, (records) => say('seen ' + records.length))
      setTimeout(async () => {
        say('alive ' + (await engine.read({ limit: 1 }).catch((error) => error.code)))
        process.exit(0)
      }, 600)
    `)
    await observer.said(1)
    log.change((database) => database.exec('DROP VIEW records; DROP TABLE commits'))
    await observer.ended
    expect(observer.lines).toEqual(['seen 1', 'alive SPINE_LOG_CORRUPT'])
  })

  it('G7: a disk that takes no more, for real: the process lives, what was acknowledged stays', async () => {
    // The kernel refuses to let any file of this process grow beyond a few MB; Node ignores the signal that comes with it.
    const script = `
      const engine = sqlite(path)
      await engine.open()
      for (let n = 1, failed = false; !failed; n++) {
        await engine.append([{ id: 'w:' + n, records: [record('x'.repeat(50_000)), record(n)] }]).then(
          ([outcome]) => say('acknowledged ' + outcome.last),
          (error) => {
            failed = true
            say('failed ' + error.code)
          },
        )
      }
      await engine.append([{ id: 'late', records: [record(0)] }]).catch((error) => say('again ' + error.code))
      await engine.close().then(() => say('closed'))
    `
    const writer = log.start(script, '/bin/sh', '-c', 'ulimit -f 4000; exec "$@"', 'sh')
    await writer.ended
    expect(writer.lines.slice(-3)).toEqual([
      expect.stringMatching(/^failed SPINE_LOG_(?:FULL|FAILED)$/),
      expect.stringMatching(/^again SPINE_LOG_(?:FULL|FAILED)$/),
      'closed',
    ])
    const acknowledged = writer.lines.filter((line) => line.startsWith('acknowledged'))
    expect(acknowledged.length).toBeGreaterThan(5)
    const last = Number(acknowledged.at(-1)?.split(' ')[1])
    const engine = await log.open()
    const records = await everything(engine)
    expect(records.length).toBeGreaterThanOrEqual(last)
    expect(records.map(({ sequence }) => sequence)).toEqual(dense(1, records.length))
    expect(records.length % 2).toBe(0)
    expect(await engine.append([commit('x:1')])).toMatchObject([{ status: 'appended', first: records.length + 1 }])
  })
})

function parse(line: string | undefined): readonly [id: string, first: number, last: number] {
  const [id, first, last] = (line ?? '').split(' ')
  return [id as string, Number(first), Number(last)]
}
