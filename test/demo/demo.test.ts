/** `spine demo` from the outside: what it prints, what it leaves, how it ends. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { resultOf, runSpine } from './run-spine.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'event-spine-demo-test-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const CONVERSATIONS = readFileSync(new URL('../../demo/conversations.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
const EFFECTS = CONVERSATIONS.reduce(
  (count, line) => count + (JSON.parse(line) as { effects: unknown[] }).effects.length,
  0,
)
/** An order that was done before it was corrected stands there too, and its cancellation. */
const AT_LEAST = { asymmetricMatch: (count: unknown) => Number(count) >= EFFECTS }
const CLEAN = { expected: AT_LEAST, done: AT_LEAST, missing: 0, doubled: 0, wrong: 0, outOfOrder: 0 }
/** No waiting for a model that is not there. */
const QUICK = ['--model-ms', '0', '--service-ms', '0']

describe('spine demo', () => {
  it('ends clean on its own conversations, with a table, and leaves nothing behind', async () => {
    const ended = await runSpine(['demo'], { temporary: directory })
    expect(ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/each of the \d+ effects happened exactly once/),
    })
    expect(ended.stdout).toMatch(/records folded to the same state/)
    // Someone who has never seen it is told what this is, and sees a conversation.
    expect(ended.stderr).toMatch(/^A customer-service office on one durable log\.\n/)
    expect(ended.stderr).toMatch(/customer +"[^"]+/)
    expect(ended.stderr).toMatch(/service\.HairSalon +did it: BookAppointment/)
    expect(readdirSync(directory)).toEqual([])
  })

  it('prints one object with --json, and nothing else on stdout', async () => {
    const ended = await runSpine(['demo', '--json'], { temporary: directory })
    expect(ended.code).toBe(0)
    expect(ended.stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(resultOf(ended)).toEqual({
      dialogues: CONVERSATIONS.length,
      events: expect.any(Number),
      handoffs: expect.any(Number),
      answers: expect.any(Number),
      effects: CLEAN,
      repeatedAttempts: 0,
      corrections: { said: 3, takenBack: expect.any(Number) },
      superseded: expect.any(Number),
      preemptions: expect.any(Number),
      latencyMs: { p50: expect.any(Number), p99: expect.any(Number), urgentP50: expect.any(Number) },
      eventsPerSecond: expect.any(Number),
      kills: 0,
    })
  })

  it('lets urgent work take slots: runs make room, and every effect happens once all the same', async () => {
    const slow = ['--model-ms', '15', '--service-ms', '5']
    const { code, stdout } = await runSpine(['demo', '--json', ...slow], { temporary: directory })
    const { preemptions, latencyMs } = JSON.parse(stdout) as { preemptions: number; latencyMs: { urgentP50: number } }
    expect(code).toBe(0)
    expect(preemptions).toBeGreaterThan(0)
    expect(latencyMs.urgentP50).toBeGreaterThan(0)
  })

  it('books only what is wanted at last, when customers change their mind before, during and after the booking', async () => {
    const args = ['demo', '--json', '--corrections', '100', '--model-ms', '5', '--service-ms', '10']
    const ended = await runSpine(args, { temporary: directory })
    const { corrections, superseded } = resultOf(ended) as {
      corrections: { said: number; takenBack: number }
      superseded: number
    }
    expect(ended.code).toBe(0)
    expect(corrections.said).toBeGreaterThan(20)
    expect(superseded).toBeGreaterThan(0)
    expect(corrections.takenBack).toBeGreaterThan(0)
  })

  it('does so though it is killed in the middle', async () => {
    const args = ['demo', '--json', '--corrections', '--kill', '3', '--service-ms', '10']
    const ended = await runSpine(args, { temporary: directory })
    expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('changes their mind in the middle') })
    expect(resultOf(ended)).toMatchObject({ kills: 3, effects: { missing: 0, doubled: 0, wrong: 0, outOfOrder: 0 } })
  })

  it('survives kills in the middle: every effect once, however often it was tried', async () => {
    const ended = await runSpine(['demo', '--kill', '3', '--json'], { temporary: directory })
    expect(ended).toMatchObject({ code: 0 })
    expect(resultOf(ended)).toMatchObject({ effects: CLEAN, kills: 3 })
    expect(ended.stderr.match(/SIGKILL; the next turn settled \d+ ms later/g)).toHaveLength(3)
    expect(readdirSync(directory)).toEqual([])
  })

  it('kills at moments by chance with --kill-seed, and says which', async () => {
    const ended = await runSpine(['demo', '--json', '--kill', '4', '--kill-seed', 'night 7', ...QUICK], {
      temporary: directory,
    })
    expect(ended).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('4 times at moments by chance (seed night 7)'),
    })
    const { kills } = resultOf(ended) as { kills: number }
    expect(kills).toBeGreaterThan(0)
    expect(resultOf(ended)).toMatchObject({ effects: CLEAN })
  })

  it('runs in memory, and on the first conversations only', async () => {
    const ended = await runSpine(['demo', '--engine', 'memory', '--limit', '2', '--json', ...QUICK], {
      temporary: directory,
    })
    expect(ended.code).toBe(0)
    expect(resultOf(ended)).toMatchObject({ dialogues: 2, effects: { missing: 0 } })
    expect(readdirSync(directory)).toEqual([])
  })

  it('stops with Ctrl-C, and the same command goes on where it was', async () => {
    const args = ['demo', '--engine', join(directory, 'spine.db'), '--json']
    let asked = false
    const interrupted = await runSpine([...args, '--model-ms', '50'], {
      onStderr: (stderr, child) => {
        if (asked || !stderr.includes('did it:')) return
        asked = child.kill('SIGINT')
      },
    })
    expect(interrupted).toMatchObject({
      code: 130,
      stdout: '',
      stderr: expect.stringContaining('To go on where it was'),
    })
    const ended = await runSpine([...args, ...QUICK])
    expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('was there before') })
    expect(resultOf(ended)).toMatchObject({ effects: CLEAN })
  })

  it('fails when the ledger tells of a missing and of a doubled effect, and keeps the evidence', async () => {
    const log = join(directory, 'spine.db')
    const args = ['demo', '--limit', '3', '--engine', log, ...QUICK]
    expect(await runSpine(args)).toMatchObject({ code: 0 })
    const ledger = `${log}.ledger.jsonl`
    const [first = '', second = '', ...others] = readFileSync(ledger, 'utf8').trimEnd().split('\n')
    const doubled = second.replace(/"idempotencyKey":"[^"]+"/, '"idempotencyKey":"another"')
    writeFileSync(ledger, `${[second, doubled, ...others].join('\n')}\n`)
    const ended = await runSpine(args)
    expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining('FAILED with 2 faults:') })
    expect(ended.stdout).toContain(`missing: ${(JSON.parse(first) as { service: string }).service}.`)
    expect(ended.stderr).toContain(`Kept: ${log}`)
    const json = await runSpine([...args, '--json'])
    expect(json.code).toBe(1)
    expect(resultOf(json)).toMatchObject({ effects: { missing: 1, doubled: 1, wrong: 0, outOfOrder: 0 } })
  })

  it('refuses a log that belongs to something else', async () => {
    const log = join(directory, 'spine.db')
    expect(await runSpine(['demo', '--limit', '1', '--engine', log, ...QUICK])).toMatchObject({ code: 0 })
    const other = await runSpine(['demo', '--limit', '2', '--engine', log])
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('was begun with other conversations') })
  })

  it.each([
    ['an unknown option', ['--nope'], "unknown option '--nope'"],
    [
      'a file that is missing',
      ['--dialogues', 'no-such-file.jsonl'],
      'Cannot read conversations from no-such-file.jsonl: there is no such file.',
    ],
    ['kills of a log in memory', ['--engine', 'memory', '--kill'], '--kill needs a log that outlives its process'],
    ['an engine that nobody knows', ['--engine', 'postgres://host'], "No engine is known for 'postgres:'"],
    ['no corrections', ['--corrections', '0'], "--corrections is '0': use a whole number from 1 to 100."],
    ['no kills', ['--kill', '0'], "--kill is '0': use a whole number from 1 to 1000."],
    ['too many in flight', ['--in-flight', '100000'], "--in-flight is '100000'"],
    ['a latency that is none', ['--model-ms', 'fast'], "'fast' is no latency"],
  ])('refuses %s in one clear line', async (_what, args, line) => {
    const ended = await runSpine(['demo', ...args], { temporary: directory })
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(line) })
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    expect(readdirSync(directory)).toEqual([])
  })

  it('says what is wrong with a file of conversations, by line and field', async () => {
    const path = join(directory, 'broken.jsonl')
    writeFileSync(path, `${CONVERSATIONS[0]}\n{"id":"b"}\n`)
    const ended = await runSpine(['demo', '--dialogues', path])
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^spine: .*broken\.jsonl, line 2: services: .*\n$/),
    })
  })

  it('explains itself: options and exit codes', async () => {
    const ended = await runSpine(['demo', '--help'])
    expect(ended.code).toBe(0)
    for (const word of [
      '--dialogues',
      '--engine',
      '--kill',
      '--in-flight',
      '--model-ms',
      '--corrections',
      '--limit',
      '--json',
      '--keep',
      'Exit codes:',
    ]) {
      expect(ended.stdout).toContain(word)
    }
  })
})
