/**
 * One run of one scenario with its floors, in a process of its own: no run inherits another's heap or compiled code,
 * and a profile or a flag of Node concerns the scenario alone. `main.ts` forks it.
 */
import { SCENARIOS } from './catalogue.ts'
import { measureFdatasyncMs, measureGroupCommit } from './floor.ts'
import type { RunOptions, Sample, Scenario } from './scenario.ts'

export interface RunRequest extends RunOptions {
  /** Index in `SCENARIOS`. */
  readonly scenario: number
  /** Runs take turns, so that what the disk is slow at after the other falls on both alike. `none` for a profile. */
  readonly floor: 'first' | 'last' | 'none'
}

export interface RunResult {
  readonly sample: Sample
  readonly fdatasyncMs: number
  readonly floorPerSecond: number | null
}

const request: RunRequest = JSON.parse(process.argv[2] ?? '')
const scenario = SCENARIOS[request.scenario] as Scenario
const { directory } = request

const fdatasyncMs = measureFdatasyncMs(directory)
let floorPerSecond = request.floor === 'first' ? await floor() : null
const sample = await scenario.run(request)
if (request.floor === 'last') floorPerSecond = await floor()
const result: RunResult = { sample, fdatasyncMs, floorPerSecond }
// A scenario may leave handlers that never end; once the result is out, nothing is waited for.
process.send?.(result, () => process.exit(0))

async function floor(): Promise<number | null> {
  if (scenario.floor === undefined || scenario.inFlight === null) return null
  return await measureGroupCommit(directory, scenario.floor, scenario.inFlight, request.seconds)
}
