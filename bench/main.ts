/**
 * `npm run bench -- [NAME…] [--json] [--seconds N]`: what the built package does on this machine.
 *
 * Each scenario runs three times on a fresh log; the medians are reported, beside the machine's own append+fdatasync
 * measured right before each run. Results go to stdout, progress to stderr. `README.md` says how to read them.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measureFdatasyncMs } from './floor.ts'
import { type Result, resultOf, toJsonLine, toTable } from './report.ts'
import type { Sample, Scenario } from './scenario.ts'
import { handoff } from './scenarios/handoff.ts'
import { pipeline } from './scenarios/pipeline.ts'
import { publish } from './scenarios/publish.ts'
import { recovery } from './scenarios/recovery.ts'

const SCENARIOS: readonly Scenario[] = [handoff, pipeline(100), pipeline(1_000), publish, recovery]
const RUNS = 3
const SECONDS_DEFAULT = 3
const SECONDS_MAX = 600
/** Beside the compiled bench, so on the disk of the checkout: the folder for temporary files may be in memory. */
const SCRATCH = fileURLToPath(new URL('../bench-logs/', import.meta.url))

const { scenarios, seconds, json } = readArguments()
progress(
  `node ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores; ${RUNS} runs each, medians`,
)
const results: Result[] = []
for (const scenario of scenarios) {
  const result = await measure(scenario)
  results.push(result)
  // As soon as it is known: a later scenario may fail.
  if (json) console.log(toJsonLine(result))
}
if (!json) console.log(toTable(results))

async function measure(scenario: Scenario): Promise<Result> {
  const samples: Sample[] = []
  const fdatasyncsMs: number[] = []
  for (let run = 1; run <= RUNS; run++) {
    mkdirSync(SCRATCH, { recursive: true })
    const directory = mkdtempSync(join(SCRATCH, `${scenario.name}-`))
    try {
      fdatasyncsMs.push(measureFdatasyncMs(directory))
      const sample = await scenario.run({ directory, seconds })
      samples.push(sample)
      const { perSecond, p50Ms } = sample
      progress(
        `${scenario.name}, ${scenario.inFlight} in flight, run ${run} of ${RUNS}: ${Math.round(perSecond)}/s, p50 ${p50Ms.toFixed(3)} ms`,
      )
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
  return resultOf(scenario, samples, fdatasyncsMs)
}

function readArguments(): { scenarios: readonly Scenario[]; seconds: number; json: boolean } {
  const names = [...new Set(SCENARIOS.map(({ name }) => name))]
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        seconds: { type: 'string', default: String(SECONDS_DEFAULT) },
      },
    })
    const seconds = Number(values.seconds)
    if (!(seconds > 0 && seconds <= SECONDS_MAX))
      throw new Error(`--seconds is '${values.seconds}': use a number above 0, at most ${SECONDS_MAX}.`)
    const unknown = positionals.find((name) => !names.includes(name))
    if (unknown !== undefined) throw new Error(`'${unknown}' is no bench.`)
    const chosen = SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
    return { scenarios: chosen, seconds, json: values.json }
  } catch (error) {
    progress(`${(error as Error).message}\nusage: npm run bench -- [${names.join('|')}…] [--json] [--seconds N]`)
    process.exit(2)
  }
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}
