/** The way to the writer thread: commits of any size and number pass it in order; when it is too narrow, or ends, that is told. */
import { Worker } from 'node:worker_threads'
import { type Engine, SpineError } from 'event-spine'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { commit, dense, everything, LogFile, record } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

const MIB = 1024 * 1024
/** One text for all: what waits is counted, not copied. */
const LARGE = record('x'.repeat(900_000))

describe('the way to the writer', () => {
  it('commits of many sizes come out in order, also when they have to wait for room', async () => {
    const engine = await log.open()
    const seen: number[] = []
    engine.tail(0, (records) => seen.push(...records.map(({ sequence }) => sequence)))
    const texts = dense(1, 300).map((index) => String.fromCharCode(97 + (index % 26)).repeat((index * 7_919) % 120_000))
    const resolved: number[] = []
    await Promise.all(
      texts.map(async (text, index) => {
        await engine.append([{ id: `w:${index}`, records: [record(text), record(index)] }])
        resolved.push(index)
      }),
    )
    expect(resolved).toEqual(texts.map((_, index) => index))
    expect(seen).toEqual(dense(1, 600))
    const data = (await everything(engine)).map((one) => one.data)
    expect(data).toEqual(texts.flatMap((text, index) => [text, index]))
  })

  it('T1: a trim and a snapshot wait for the commits before them, also when those wait for room', async () => {
    const engine = await log.open()
    const appends = dense(1, 20).map((index) => engine.append([{ id: `w:${index}`, records: [LARGE] }]))
    const order: string[] = []
    const trimmed = engine.trim(21).then(() => order.push('trimmed'))
    const saved = engine.writeSnapshot('kernel', 20, Uint8Array.of(1)).then(() => order.push('saved'))
    const late = engine.append([commit('late')])
    await Promise.all([...appends, trimmed, saved, late])
    expect(order).toEqual(['trimmed', 'saved'])
    expect(await engine.read({ after: 20, limit: 10 })).toHaveLength(1)
    await expect(engine.read({ after: 19, limit: 1 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED' })
  })

  it('closing waits for what waits for room', async () => {
    const engine = await log.open()
    const appends = Promise.all(dense(1, 30).map((index) => engine.append([{ id: `w:${index}`, records: [LARGE] }])))
    await engine.close()
    expect(await appends).toHaveLength(30)
    expect(await (await log.open()).head()).toBe(30)
  })

  it('a commit of 2.9 MB passes, one that can never pass is SPINE_COMMIT_TOO_LARGE, and nothing of its append is written', async () => {
    const engine = await log.open()
    const euros = (count: number) => ({ id: `e:${count}`, records: [record('€'.repeat(count))] })
    await engine.append([euros(970_000)])
    const error = await engine.append([commit('before'), euros(1_500_000)]).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'SPINE_COMMIT_TOO_LARGE', outcome: 'refused', limit: 4 * MIB })
    expect((error as Error).message).toContain('Append less in one commit')
    expect(await engine.append([commit('before')])).toMatchObject([{ status: 'appended', first: 2 }])
  })

  it('M4: more than the limit waits: SPINE_LOG_BUSY, refused, and what waits is written all the same', async () => {
    const engine = await log.open()
    const many = (prefix: string, count: number) =>
      dense(1, count).map((index) => ({ id: `${prefix}:${index}`, records: [LARGE] }))
    const waiting = engine.append(many('w', 20))
    const error = await engine.append(many('x', 280)).catch((caught: unknown) => caught)
    expect(SpineError.is(error, 'SPINE_LOG_BUSY')).toBe(true)
    expect(error).toMatchObject({ outcome: 'refused', retryable: true, limit: 256 * MIB })
    expect((error as SpineError).fix).toMatch(/Wait for earlier appends/)
    expect(await waiting).toHaveLength(20)
    expect(await engine.append([commit('x:1')])).toMatchObject([{ status: 'appended', first: 21 }])
  })

  it('A3: a batch of thousands lets timers run while it is acknowledged', async () => {
    const engine = await log.open()
    await engine.append([commit('warm')])
    let tells = 0
    let most = 0
    const turn = () => {
      most = Math.max(most, tells)
      tells = 0
      next = setImmediate(turn)
    }
    // A listener that takes its time: without slices it would be called a hundred times in a row.
    engine.tail(1, () => {
      tells++
      const until = performance.now() + 0.5
      while (performance.now() < until);
    })
    let next = setImmediate(turn)
    await Promise.all(dense(1, 4_000).map((index) => engine.append([commit(`w:${index}`)])))
    clearImmediate(next)
    expect(Math.max(most, tells)).toBeLessThanOrEqual(6)
  })
})

describe('when the writer thread ends', () => {
  /** Opens the log and gives the thread that writes it. */
  async function opened(): Promise<{ engine: Engine; thread: Worker }> {
    const posts = vi.spyOn(Worker.prototype, 'postMessage')
    const engine = await log.open()
    await engine.writeSnapshot('kernel', 0, Uint8Array.of(1))
    const thread = posts.mock.contexts.at(-1) as Worker
    posts.mockRestore()
    return { engine, thread }
  }

  it('T3: whatever waits is SPINE_LOG_FAILED with an unknown outcome, and so is everything later', async () => {
    const { engine, thread } = await opened()
    await engine.append([commit('w:1')])
    const waiting = [
      ...dense(2, 40).map((index) => engine.append([{ id: `w:${index}`, records: [LARGE] }])),
      engine.trim(2),
      engine.writeSnapshot('kernel', 1, Uint8Array.of(1)),
    ]
    const ended = thread.terminate()
    const results = await Promise.allSettled(waiting)
    await ended
    const rejected = results.filter(({ status }) => status === 'rejected')
    // A few may have become durable before the thread ended; those behind them cannot have.
    expect(results.slice(-rejected.length).every(({ status }) => status === 'rejected')).toBe(true)
    expect(rejected.length).toBeGreaterThan(2)
    for (const { reason } of rejected as PromiseRejectedResult[])
      expect(reason).toMatchObject({ code: 'SPINE_LOG_FAILED', outcome: 'unknown' })
    await expect(engine.append([commit('late')])).rejects.toMatchObject({ code: 'SPINE_LOG_FAILED' })
    await expect(engine.trim(2)).rejects.toMatchObject({ code: 'SPINE_LOG_FAILED' })
    await engine.close()
  })

  it('the log can be opened again, with everything that was acknowledged', async () => {
    const { engine, thread } = await opened()
    await Promise.all(dense(1, 50).map((index) => engine.append([commit(`w:${index}`)])))
    await thread.terminate()
    await engine.close()
    await engine.open()
    expect(await engine.append([commit('w:50'), commit('w:51')])).toMatchObject([
      { status: 'duplicate', last: 50 },
      { status: 'appended', first: 51 },
    ])
  })
})
