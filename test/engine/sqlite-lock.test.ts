import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogRecord } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterEach, describe, expect, it } from 'vitest'

const directory = mkdtempSync(join(tmpdir(), 'event-spine-lock-'))
const path = join(directory, 'log.db')
let child: ChildProcess | undefined

afterEach(() => {
  child?.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

/** A process that owns the log and appends one commit after another, saying what was acknowledged. */
const OWNER = `
  import { sqlite } from 'event-spine/sqlite'
  const engine = sqlite(process.argv[1])
  await engine.open()
  for (let n = 1; ; n++) {
    const records = [1, 2].map((part) => ({ time: 0, type: 'thing.happened', session: 's', request: 'r', key: 's', cause: 0, hops: 0, data: { json: String(n), value: n } }))
    const [outcome] = await engine.append([{ id: 'w:' + n, records }])
    process.stdout.write(outcome.last + '\\n')
  }
`

/** Resolves with the acknowledged positions once there are so many. */
function startOwner(count: number): Promise<number[]> {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child = owner
  const acknowledged: number[] = []
  return new Promise((resolve, reject) => {
    owner.once('exit', () => reject(new Error('the owner ended')))
    owner.stdout.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n')) if (line !== '') acknowledged.push(Number(line))
      if (acknowledged.length >= count) resolve(acknowledged)
    })
  })
}

async function killed(owner: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => owner.once('exit', resolve))
  owner.kill('SIGKILL')
  await gone
}

describe('the lock of an SQLite log', () => {
  it('names the process that holds it, frees at once on kill -9, and every acknowledged commit is there', async () => {
    const acknowledged = await startOwner(50)
    const owner = child as ChildProcess
    const locked = sqlite(path, { lockWait: '150ms' })
    const error = await locked.open().catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'SPINE_ENGINE_LOCKED', retryable: true })
    expect((error as Error).message).toContain(`process ${owner.pid} on `)
    expect((error as Error).message).toContain('readOnly: true')

    const observer = sqlite(path, { readOnly: true })
    await observer.open()
    const seen: number[] = []
    observer.tail(0, (records: readonly LogRecord[]) => seen.push(...records.map(({ sequence }) => sequence)))
    const before = await observer.head()
    while ((seen.at(-1) ?? 0) <= before) await new Promise((resolve) => setTimeout(resolve, 10))
    await observer.close()
    expect(seen).toEqual(seen.map((_, index) => index + 1))

    await killed(owner)
    const next = sqlite(path, { lockWait: '2s' })
    const began = performance.now()
    await next.open()
    expect(performance.now() - began).toBeLessThan(1_900)
    const last = acknowledged.at(-1) as number
    const head = await next.head()
    expect(head).toBeGreaterThanOrEqual(last)
    expect(head % 2).toBe(0)
    const [outcome] = await next.append([
      {
        id: 'x:1',
        records: [{ time: 0, type: 'thing.happened', session: 's', request: 'r', key: 's', cause: 0, hops: 0 }],
      },
    ])
    expect(outcome).toMatchObject({ status: 'appended', first: head + 1 })
    await next.close()
  })
})
