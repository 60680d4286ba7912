import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeState, type Engine, evolve, initialState, type LogRecord } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { Observer } from '../support/observer.ts'

const WORKER = fileURLToPath(new URL('./office-worker.mjs', import.meta.url))
/** Points that one undisturbed run passes: 3 conversations of 3 + 2 × 3 + 4. */
const POINTS = 39

describe('SIGKILL at every point of a run', () => {
  const directories: string[] = []
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
  })
  const place = () => {
    const directory = mkdtempSync(join(tmpdir(), 'event-spine-crash-'))
    directories.push(directory)
    return { path: join(directory, 'spine.db'), ledger: join(directory, 'ledger') }
  }

  it('an undisturbed run passes as many points as the test believes', async () => {
    const { path, ledger } = place()
    expect(await work(path, ledger, POINTS + 1)).toEqual({ signal: null, output: 'done' })
    const again = place()
    expect((await work(again.path, again.ledger, POINTS)).signal).toBe('SIGKILL')
  })

  it.each(Array.from({ length: POINTS }, (_, index) => index + 1))(
    'killed at point %i and started again, nothing is lost and nothing done twice',
    async (point) => {
      const { path, ledger } = place()
      expect((await work(path, ledger, point)).signal).toBe('SIGKILL')
      expect(await work(path, ledger, 0)).toEqual({ signal: null, output: 'done' })
      const attempts = linesOf(ledger)
      const byService = new Map<string, Set<string>>()
      for (const { service, key } of attempts) byService.set(service, (byService.get(service) ?? new Set()).add(key))
      expect([...byService].map(([service, keys]) => [service, keys.size])).toEqual([
        ['one!and!', 1],
        ['two!and!', 1],
        ['three!and!', 1],
      ])
      // A second attempt is told that there may have been a first.
      const seen = new Set<string>()
      for (const { key, maybeDone } of attempts) {
        if (seen.has(key)) expect(maybeDone).toBe(true)
        seen.add(key)
      }
      const records = await recordsOf(path)
      expect(records.filter(({ type }) => type === 'appointment.booked')).toHaveLength(3)
      expect(records.filter(({ type }) => type === 'inquiry.received')).toHaveLength(3)
      const steps = records
        .filter(({ type }) => type === 'spine.step.recorded')
        .map(({ cause, agent, data }) => `${cause}/${agent}/${(data as { command: string }).command}`)
      expect(new Set(steps).size).toBe(steps.length)
      await expectNothingOpen(path, records)
    },
  )
})

async function expectNothingOpen(path: string, records: readonly LogRecord[]): Promise<void> {
  const observer = new Observer()
  try {
    const seen = await observer.stateOf({ path })
    const state = initialState()
    for (const record of records) evolve(state, record)
    expect(seen).toBe(encodeState(state))
    expect(JSON.parse(seen)).toMatchObject({ deliveries: [], requests: [], deadLetters: [] })
  } finally {
    observer.stop()
  }
}

async function work(path: string, ledger: string, dieAt: number): Promise<{ signal: string | null; output: string }> {
  const child = spawn(process.execPath, [WORKER, path, ledger, String(dieAt)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const signal = await new Promise<string | null>((resolve) => child.once('close', (_code, by) => resolve(by)))
  return { signal, output }
}

function linesOf(ledger: string): readonly { key: string; maybeDone: boolean; service: string }[] {
  if (!existsSync(ledger)) return []
  return readFileSync(ledger, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

async function recordsOf(path: string): Promise<readonly LogRecord[]> {
  const engine: Engine = sqlite(path, { readOnly: true })
  await engine.open()
  try {
    return await engine.read({ limit: 1000 })
  } finally {
    await engine.close()
  }
}
