import { parseArgs } from 'node:util'
import { SCENARIOS } from './catalogue.ts'
import type { Scenario } from './scenario.ts'

export interface Arguments {
  readonly scenarios: readonly Scenario[]
  readonly json: boolean
  readonly seconds: number
  readonly runs: number
  /** Instead of each scenario's own. */
  readonly n: number | undefined
  /** Folder for CPU profiles; none are taken without it. */
  readonly cpuProf: string | undefined
}

const NAMES = [...new Set(SCENARIOS.map(({ name }) => name))]
const SECONDS_DEFAULT = 3
const SECONDS_MAX = 600
const RUNS_DEFAULT = 3
const RUNS_MAX = 101
const N_MAX = 10_000_000

export const USAGE = `usage: npm run bench -- [${NAMES.join('|')}…] [--json] [--seconds N] [--runs N] [--n N] [--cpu-prof DIR]`

/** @throws on anything that it does not know, or that none of the chosen scenarios would read */
export function readArguments(args: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: String(SECONDS_DEFAULT) },
      runs: { type: 'string', default: String(RUNS_DEFAULT) },
      n: { type: 'string' },
      'cpu-prof': { type: 'string' },
    },
  })
  const seconds = Number(values.seconds)
  if (!(seconds > 0 && seconds <= SECONDS_MAX))
    throw new Error(`--seconds is '${values.seconds}': use a number above 0, at most ${SECONDS_MAX}.`)
  const unknown = positionals.find((name) => !NAMES.includes(name))
  if (unknown !== undefined) throw new Error(`'${unknown}' is no bench.`)
  const scenarios = SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  if (values.n !== undefined && scenarios.every(({ nDefault }) => nDefault === undefined))
    throw new Error(`--n: ${positionals.join(' and ')} ends by time; use --seconds.`)
  return {
    scenarios,
    json: values.json,
    seconds,
    runs: wholeNumber('--runs', values.runs, RUNS_MAX),
    n: values.n === undefined ? undefined : wholeNumber('--n', values.n, N_MAX),
    cpuProf: values['cpu-prof'],
  }
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new Error(`${option} is '${text}': use a whole number from 1 to ${max}.`)
}
