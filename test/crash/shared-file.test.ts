import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterAll, expect, it } from 'vitest'
import { z } from 'zod'

const WORKER = fileURLToPath(new URL('shared-file-worker.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'spine-shared-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(file: string, name: string, turns: number, runs: number) {
  const child = spawn(process.execPath, [WORKER, file, name, String(turns), String(runs)])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise<{ code: number | null; lines: readonly string[]; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, lines: stdout.split('\n').filter(Boolean), stderr }))
  })
}

it('peer bug 2: two processes that take turns on one file, 1,000 runs: none is done twice, none is lost, nobody is told "locked"', async () => {
  const file = join(folder, 'shared.db')
  const workers = await Promise.all(['left', 'right'].map((name) => run(file, name, 10, 50)))
  expect(workers.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
    { code: 0, stderr: '' },
    { code: 0, stderr: '' },
  ])
  // Whatever the last one left open is done by whoever opens the file next.
  const rest: string[] = []
  const Work = event('work.given', z.object({ id: z.string() }))
  const worker = agent('worker', { on: Work }, async (evt, ctx) => {
    await ctx.step('do', () => void rest.push(evt.data.id), { effect: true })
  })
  const spine = await createSpine({ engine: sqlite(file), agents: [worker] })
  for (let turn = 0; spine.agents.list()[0]?.open !== 0 && turn < 500; turn++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  await spine.close()
  const done = [...workers.flatMap(({ lines }) => lines), ...rest]
  expect(done).toHaveLength(1_000)
  expect(new Set(done).size).toBe(1_000)
})
