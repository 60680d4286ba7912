/**
 * Records folded a second, on a log of 200,000 that `pipeline`'s agents left.
 *
 * `evolve`: the pure fold over records that are decoded already. `open`: `createSpine` on the file, in a process that has
 * nothing compiled and nothing cached (of its own: the machine's cache of files is warm).
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeState, evolve, initialState, type LogRecord, type SpineState } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { messageOf } from '../message-of.ts'
import type { RunOptions, Sample, Scenario } from '../scenario.ts'
import { median } from '../statistics.ts'
import type { Opened } from './fold-process.ts'

const N = 200_000
const PAGE_RECORDS = 1_000
/** The first folds compile the code; the median is of folds that run compiled. */
const FOLDS = 7
/** Many times what it takes on a slow disk. */
const ANSWER_MS_MAX = 300_000
const PROGRAM = fileURLToPath(new URL('./fold-process.js', import.meta.url))

export function fold(variant: 'evolve' | 'open'): Scenario {
  return {
    name: 'fold',
    variant,
    inFlight: null,
    unit: 'record',
    nDefault: N,
    run: variant === 'evolve' ? evolveAll : openCold,
  }
}

async function evolveAll({ sharedDirectory, n }: RunOptions): Promise<Sample> {
  const engine = sqlite(await logOf(n, sharedDirectory), { readOnly: true })
  await engine.open()
  const records: LogRecord[] = []
  for (;;) {
    const page = await engine.read({ after: records.length, limit: PAGE_RECORDS })
    if (page.length === 0) break
    records.push(...page)
  }
  await engine.close()
  if (records.length < n) throw new Error(`The log has ${records.length} records; it should have ${n} or more.`)

  const foldsMs: number[] = []
  const cpuSeconds: number[] = []
  let encoded: Uint8Array | undefined
  for (let count = 0; count < FOLDS; count++) {
    const state = initialState()
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    for (const record of records) evolve(state, record)
    foldsMs.push(performance.now() - startedAt)
    const { user, system } = process.cpuUsage(cpu)
    cpuSeconds.push((user + system) / 1_000_000)
    requireAtRest(state, records.length)
    const encodedNow = Buffer.from(encodeState(state))
    if (encoded !== undefined && !encodedNow.equals(encoded)) throw new Error('Two folds of one log differ.')
    encoded = encodedNow
  }
  const ms = median(foldsMs)
  return {
    n: records.length,
    perSecond: records.length / (ms / 1_000),
    p50Ms: ms,
    p99Ms: null,
    cpuSecondsPer1000: (median(cpuSeconds) / records.length) * 1_000,
    loopStallMsMax: null,
    // What is in memory already is not durable in any way.
    durability: null,
  }
}

async function openCold({ directory, sharedDirectory, n }: RunOptions): Promise<Sample> {
  const path = join(directory, 'log.db')
  // Opening writes: each run gets the same file.
  copyFileSync(await logOf(n, sharedDirectory), path)
  const { openMs, cpuSeconds, records, durability } = (await askProcess('open', path, n)) as Opened
  if (records < n) throw new Error(`Opening folded ${records} records; the log had ${n} or more.`)
  return {
    n: records,
    perSecond: records / (openMs / 1_000),
    p50Ms: openMs,
    p99Ms: null,
    cpuSecondsPer1000: (cpuSeconds / records) * 1_000,
    loopStallMsMax: null,
    durability,
  }
}

/** Made once for all runs of an invocation; under its name only when it is whole. */
async function logOf(n: number, sharedDirectory: string): Promise<string> {
  const path = join(sharedDirectory, `fold-${n}.db`)
  if (existsSync(path)) return path
  const unfinished = `${path}-unfinished.db`
  await askProcess('fill', unfinished, n)
  if (existsSync(`${unfinished}-wal`)) throw new Error('A log that was closed still has a journal beside it.')
  renameSync(unfinished, path)
  return path
}

async function askProcess(task: 'fill' | 'open', path: string, n: number): Promise<unknown> {
  const child = fork(PROGRAM, [task, path, String(n)])
  const over = once(child, 'exit')
  const answer = await messageOf(child, `fold: the process that has to ${task}`, ANSWER_MS_MAX)
  await over
  return answer
}

function requireAtRest(state: SpineState, head: number): void {
  const { openCount } = state.deliveries
  if (state.at !== head || openCount !== 0 || state.agents.length !== 3)
    throw new Error(`Folded to ${state.at} of ${head}, ${openCount} deliveries open, ${state.agents.length} agents.`)
}
