/**
 * A program that is started again before the old one is gone, as file watchers and supervisors do it: the new one waits
 * for the log and goes on where it ends. Real time: it is about processes that overlap.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SpineError } from 'event-spine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LogFile, type LogProcess, until } from './log-file.ts'

let log: LogFile
beforeEach(() => {
  log = new LogFile()
})
afterEach(() => log.remove())

/** Publishes one request, has an agent do it, and stays; `lockWait` is left as users have it. */
const SPINE = `
  import { agent, createSpine, event } from 'event-spine'
  const schema = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
  const Started = event('program.started', schema)
  const greeter = agent('greeter', { on: Started }, async (_evt, ctx) => void (await ctx.step('greet', () => 'hello')))
  const spine = await createSpine({ engine: sqlite(path), agents: [greeter] })
  const { request, sequence } = await spine.publish(Started, {})
  say((await spine.settled(request)).status + ' ' + sequence)
  setInterval(() => {}, 1000)
`

/** Ends as a careful program does, and takes its time. */
const CAREFUL = `
  process.on('SIGTERM', () => setTimeout(async () => {
    await spine.close()
    process.exit(0)
  }, 500))
`

const sequenceOf = (line: string | undefined) => Number(/^done (\d+)$/.exec(line ?? '')?.[1])

describe('a restart while the old process still holds the log', () => {
  it.each([
    ['SIGTERM', 'dies of it', SPINE, null],
    ['SIGKILL', 'dies of it', SPINE, null],
    ['SIGTERM', 'closes first', SPINE + CAREFUL, 0],
  ] as const)(
    '%s a second later, the old one %s: the new one opens and goes on, without a word of error',
    async (...row) => {
      const [signal, , script, status] = row
      const old: LogProcess = log.start(script)
      await old.said(1)
      const next = log.start(script)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(next.lines).toEqual([])
      process.kill(old.pid as number, signal)
      await next.said(1)
      // Its stderr is among its lines: there is nothing but its own word.
      expect(next.lines).toEqual([expect.stringMatching(/^done \d+$/)])
      expect(sequenceOf(next.lines[0])).toBeGreaterThan(sequenceOf(old.lines[0]))
      expect(await old.ended).toBe(status)
      expect(old.lines).toHaveLength(1)
    },
  )

  it('three restarts in a row, each while the one before still runs', async () => {
    const started = [log.start(SPINE)]
    await started[0]?.said(1)
    for (let round = 0; round < 3; round++) {
      const next = log.start(SPINE)
      process.kill(started.at(-1)?.pid as number, 'SIGTERM')
      await next.said(1)
      started.push(next)
    }
    const sequences = started.map(({ lines }) => sequenceOf(lines[0]))
    expect(started.map(({ lines }) => lines.length)).toEqual([1, 1, 1, 1])
    expect(sequences).toEqual([...sequences].sort((left, right) => left - right))
  })

  it('node --watch: a change of the file starts the program again, and it goes on', async () => {
    // Inside the repository, so that `event-spine` resolves from there as it does for a user.
    const programs = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), '.cache', 'watch')
    mkdirSync(programs, { recursive: true })
    const folder = mkdtempSync(join(programs, 'program-'))
    const program = join(folder, 'program.mjs')
    const write = (version: number) =>
      writeFileSync(
        program,
        `// ${version}
         import { sqlite } from 'event-spine/sqlite'
         const path = ${JSON.stringify(log.path)}
         const say = (line) => console.log(line)
         ${SPINE}`,
      )
    write(1)
    const watcher: ChildProcess = spawn(process.execPath, ['--watch', program], { stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = new Promise((resolve) => watcher.once('close', resolve))
    let said = ''
    for (const stream of [watcher.stdout, watcher.stderr])
      stream?.on('data', (text) => {
        said += text
      })
    const done = () => [...said.matchAll(/^done (\d+)$/gm)].map(([, sequence]) => Number(sequence))
    try {
      await until(() => done().length === 1, 'the program runs')
      write(2)
      await until(() => done().length === 2, 'it runs again')
      const [first, second] = done()
      expect(second).toBeGreaterThan(first as number)
      expect(said).not.toContain('SPINE_')
      expect(said).not.toContain('Failed running')
    } finally {
      // The program dies with its watcher only if that can still tell it.
      watcher.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('a log that stays locked', () => {
  it('the message, word for word: who, since when, how long it waited, and two ways out', async () => {
    const holder = log.start(SPINE)
    await holder.said(1)
    const error = (await log.refusal({ lockWait: '100ms' })) as SpineError
    const since = /since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/.exec(error.message)?.[1]
    expect(Math.abs(Date.now() - Date.parse(since as string))).toBeLessThan(60_000)
    const title = /\('(.*)', since/.exec(error.message)?.[1]
    expect(error.message).toBe(
      `${log.path} is open in process ${holder.pid} on ${hostname()} ('${title}', since ${since}); waited 100 ms. ` +
        'Stop that process, or open the log there only; to look at it from here, use sqlite(path, { readOnly: true }).',
    )
    expect(title).toMatch(/node/)
  })

  it('without a word about waiting it is 5 seconds, and the holder is not disturbed', async () => {
    const holder = log.start(SPINE)
    await holder.said(1)
    const begun = performance.now()
    const second = log.start(`
      const engine = sqlite(path)
      await engine.open().catch((error) => say(error.code + ' ' + error.message))
    `)
    await second.ended
    expect(second.lines).toEqual([expect.stringMatching(/^SPINE_ENGINE_LOCKED .* waited 5000 ms\. Stop that process/)])
    expect(performance.now() - begun).toBeGreaterThanOrEqual(5_000)
    expect(holder.lines).toHaveLength(1)
  })

  it('the way out is one: a read-only open beside the holder sees its records', async () => {
    const holder = log.start(SPINE)
    await holder.said(1)
    const observer = await log.open({ readOnly: true })
    expect(await observer.head()).toBeGreaterThanOrEqual(sequenceOf(holder.lines[0]))
  })

  it('an uncaught refusal ends the process with the code, the holder and the way out on stderr', async () => {
    const holder = log.start(SPINE)
    await holder.said(1)
    const second = log.start(`await sqlite(path, { lockWait: 0 }).open()`)
    expect(await second.ended).toBe(1)
    const said = second.lines.join('\n')
    for (const text of ['SPINE_ENGINE_LOCKED', `process ${holder.pid} on `, 'readOnly: true'])
      expect(said).toContain(text)
  })
})
