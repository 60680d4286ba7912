/**
 * `npm run bench -- [NAME…] [--json] [--seconds N] [--runs N] [--n N] [--cpu-prof DIR]`: what the built package does on
 * this machine.
 *
 * All scenarios run once, each in a process of its own with a fresh log and its floors beside it; then all of them again:
 * what else the machine does falls on all alike. Medians are reported. Results go to stdout, progress to stderr.
 * `README.md` says how to read them.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Arguments, readArguments, USAGE } from './arguments.ts'
import { SCENARIOS, titleOf } from './catalogue.ts'
import { messageOf } from './message-of.ts'
import { resultOf, toJsonLine, toTable } from './report.ts'
import type { RunRequest, RunResult } from './run-process.ts'
import type { Scenario } from './scenario.ts'

/** Beside the compiled bench, so on the disk of the checkout: the folder for temporary files may be in memory. */
const SCRATCH = fileURLToPath(new URL('../bench-logs/', import.meta.url))
const RUN_PROCESS = fileURLToPath(new URL('./run-process.js', import.meta.url))
/** Beside what `--seconds` asks for: warm-ups, making the input, verifying the log. Many times what it takes. */
const RUN_MS_MAX = 600_000

const options = parse()
const { scenarios, runs, json } = options
progress(
  `node ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores; ${runs} runs each, medians`,
)
const samples = new Map<Scenario, RunResult[]>(scenarios.map((scenario) => [scenario, []]))
mkdirSync(SCRATCH, { recursive: true })
const sharedDirectory = mkdtempSync(join(SCRATCH, 'shared-'))
try {
  for (let run = 1; run <= runs; run++)
    for (const [scenario, results] of samples) {
      const result = await runOnce(scenario, run)
      results.push(result)
      progress(`run ${run} of ${runs}: ${titleOf(scenario)}: ${shown(result)}`)
      // As soon as it is known: a later scenario may fail.
      if (json && run === runs) console.log(toJsonLine(resultOf(scenario, results)))
    }
} finally {
  rmSync(sharedDirectory, { recursive: true, force: true })
}
if (!json) console.log(toTable([...samples].map(([scenario, results]) => resultOf(scenario, results))))

async function runOnce(scenario: Scenario, run: number): Promise<RunResult> {
  const directory = mkdtempSync(join(SCRATCH, `${scenario.name}-`))
  const request: RunRequest = {
    scenario: SCENARIOS.indexOf(scenario),
    // In a profile the floor would stand among what is looked for.
    floor: options.cpuProf !== undefined ? 'none' : run % 2 === 1 ? 'first' : 'last',
    directory,
    sharedDirectory,
    seconds: options.seconds,
    n: options.n ?? scenario.nDefault ?? 0,
  }
  try {
    const child = fork(RUN_PROCESS, [JSON.stringify(request)], { execArgv: nodeFlags(scenario) })
    const gone = once(child, 'exit')
    const waitMsMax = RUN_MS_MAX + options.seconds * 4_000
    const result = (await messageOf(child, titleOf(scenario), waitMsMax)) as RunResult
    // Only then is a profile written.
    await gone
    return result
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function nodeFlags(scenario: Scenario): string[] {
  const { cpuProf } = options
  const profile = cpuProf === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(cpuProf)}`]
  return [...(scenario.nodeFlags ?? []), ...profile]
}

function shown({ sample, floorPerSecond }: RunResult): string {
  const { perSecond, p50Ms, memory } = sample
  const parts = [
    perSecond === null ? null : `${Math.round(perSecond)}/s`,
    floorPerSecond === null ? null : `floor ${Math.round(floorPerSecond)}/s`,
    p50Ms === null ? null : `p50 ${p50Ms.toFixed(3)} ms`,
    memory === undefined ? null : `${Math.round(memory.heapBytes + memory.arrayBytes)} bytes each`,
  ]
  return parts.filter((part) => part !== null).join(', ')
}

function parse(): Arguments {
  try {
    return readArguments(process.argv.slice(2))
  } catch (error) {
    progress(`${(error as Error).message}\n${USAGE}`)
    process.exit(2)
  }
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}
