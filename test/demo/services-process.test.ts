/** The demo's outside world as a process: what a verdict is worth depends on it. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { builtFile } from './run-spine.ts'

const SCRIPT = builtFile('cli/demo/services-process.js')
const SLOW_SYNC = new URL('./slow-sync.mjs', import.meta.url).href
const SYNC_MS = 300

const look = { service: 'Bank', method: 'CheckBalance', parameters: { account: 'checking' }, effect: false }
const pay = { service: 'Bank', method: 'Pay', parameters: { amount: '5' }, effect: true }
const dialogue = {
  id: 'a',
  services: ['Bank'],
  turns: [
    {
      user: 'Pay!',
      state: {},
      system: 'Done.',
      calls: [
        { ...look, results: [{ balance: '9' }] },
        { ...pay, results: [{ left: '4' }] },
      ],
    },
  ],
  effects: [{ service: 'Bank', method: 'Pay', parameters: { amount: '5' } }],
}

let directory: string
let child: ChildProcess
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'event-spine-services-test-'))
  writeFileSync(join(directory, 'dialogues.jsonl'), `${JSON.stringify(dialogue)}\n`)
})
afterEach(async () => {
  await kill()
  rmSync(directory, { recursive: true, force: true })
})

async function kill(): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited
}

/** Starts it, and gives a way to ask it. */
async function start(execArgv: readonly string[] = []) {
  const latency = { msMin: 0, msMax: 0 }
  const config = {
    dialoguesPath: join(directory, 'dialogues.jsonl'),
    ledgerPath: join(directory, 'ledger.jsonl'),
    latency,
  }
  child = fork(SCRIPT, [JSON.stringify(config)], { execArgv: [...execArgv] })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port))
    child.once('exit', (code) => reject(new Error(`the services ended with ${code}`)))
  })
  return async (body: object) => {
    const response = await fetch(`http://127.0.0.1:${port}/call`, { method: 'POST', body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as { results?: unknown; error?: string } }
  }
}

function outcomes(): readonly string[] {
  const lines = readFileSync(join(directory, 'ledger.jsonl'), 'utf8').trimEnd().split('\n')
  return lines.filter((line) => line !== '').map((line) => (JSON.parse(line) as { outcome: string }).outcome)
}

it('answers questions as annotated, and writes nothing down', async () => {
  const call = await start()
  expect(await call({ dialogue: 'a', turn: 0, ...look })).toEqual({
    status: 200,
    body: { results: [{ balance: '9' }] },
  })
  expect(outcomes()).toEqual([])
})

it('same key: the first answer again, and each attempt in the book', async () => {
  const call = await start()
  const order = { dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' }
  const answers = await Promise.all([call(order), call(order), call(order)])
  for (const answer of answers) expect(answer).toEqual({ status: 200, body: { results: [{ left: '4' }] } })
  expect(outcomes()).toEqual(['done', 'repeated', 'repeated'])
})

it('same key with other parameters: refused, and written down as wrong', async () => {
  const call = await start()
  await call({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' })
  const answer = await call({ dialogue: 'a', turn: 0, ...pay, parameters: { amount: '50' }, idempotencyKey: 'k' })
  expect(answer).toMatchObject({ status: 409, body: { error: expect.stringContaining("'k'") } })
  expect(outcomes()).toEqual(['done', 'wrong'])
})

it('keeps its promises over a restart, also when a crash tore the last line', async () => {
  const call = await start()
  await call({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' })
  await kill()
  writeFileSync(join(directory, 'ledger.jsonl'), '{"dialogue":"a","serv', { flag: 'a' })
  const again = await start()
  await again({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' })
  await again({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k2' })
  expect(outcomes()).toEqual(['done', 'repeated', 'done'])
})

it('answers after the fsync, never before, and lets those who wait share one', async () => {
  const call = await start(['--import', SLOW_SYNC])
  const timed = async (body: object) => {
    const before = performance.now()
    await call(body)
    return performance.now() - before
  }
  expect(await timed({ dialogue: 'a', turn: 0, ...look })).toBeLessThan(SYNC_MS)
  expect(await timed({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: '0' })).toBeGreaterThanOrEqual(SYNC_MS)
  const together = await Promise.all(
    Array.from({ length: 20 }, (_, index) => timed({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: `k${index}` })),
  )
  expect(Math.min(...together)).toBeGreaterThanOrEqual(SYNC_MS)
  // One by one they would take twenty times as long as one.
  expect(Math.max(...together)).toBeLessThan(6 * SYNC_MS)
  expect(outcomes()).toHaveLength(21)
})

it.each([
  ['no JSON object', 'nonsense'],
  ['a field of the wrong kind', { dialogue: 'a', turn: 0, ...pay, effect: 'yes' }],
  ['a body that is too large', { dialogue: 'a', turn: 0, ...pay, parameters: { amount: 'x'.repeat(1_100_000) } }],
])('refuses %s, and lives on', async (_what, body) => {
  const call = await start()
  expect(await call(body as object)).toMatchObject({ status: 400 })
  expect(await call({ dialogue: 'a', turn: 0, ...look })).toMatchObject({ status: 200 })
})

it('ends with its parent', async () => {
  await start()
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.disconnect()
  expect(await exited).toBe(1)
})
