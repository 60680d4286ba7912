/**
 * `npm run sim -- SEED [--seeds N] [--json]`: plays seeds and checks what happened. Ends with `seed N clean` (or `N seeds
 * clean`) and exit code 0; else with what is broken and the command that plays it again, and exit code 1.
 */
import { CHECKERS, type Finding } from './checkers/index.ts'
import { type Played, play } from './world.ts'

interface Options {
  readonly seed: number
  readonly seeds: number
  readonly json: boolean
}

function readOptions(args: readonly string[]): Options {
  const rest = [...args]
  const take = (name: string, fallback: number): number => {
    const at = rest.indexOf(name)
    if (at === -1) return fallback
    const [, value] = rest.splice(at, 2)
    return number(value, name)
  }
  const json = rest.includes('--json')
  if (json) rest.splice(rest.indexOf('--json'), 1)
  const seeds = take('--seeds', 1)
  const [seed = '1', ...more] = rest
  if (more.length > 0) fail(`unknown: ${more.join(' ')}`)
  // A commit hash is a seed too.
  return {
    seed:
      /^[0-9a-f]{7,40}$/.test(seed) && !/^\d+$/.test(seed)
        ? Number.parseInt(seed.slice(0, 8), 16)
        : number(seed, 'SEED'),
    seeds,
    json,
  }
}

function number(text: string | undefined, name: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  return fail(`${name} must be a whole number from 0, not ${JSON.stringify(text)}`)
}

function fail(message: string): never {
  process.stderr.write(`sim: ${message}\nusage: npm run sim -- SEED [--seeds N] [--json]\n`)
  process.exit(2)
}

function judge({ evidence, stuck }: Played): readonly Finding[] {
  const findings = CHECKERS.flatMap((check) => check(evidence))
  return stuck === undefined ? findings : [{ invariant: 'I22', what: `does not drain: ${stuck}` }, ...findings]
}

const { seed, seeds, json } = readOptions(process.argv.slice(2))
const print = (line: string) => process.stdout.write(`${line}\n`)
const isTerminal = process.stdout.isTTY === true && !json
let broken = 0

// A run that leaks a rejection is broken, whatever its log says.
let unhandled: unknown
process.on('unhandledRejection', (reason) => {
  unhandled = reason
})

for (let current = seed; current < seed + seeds; current++) {
  const played = await play(current)
  const findings = [...judge(played)]
  if (unhandled !== undefined) {
    findings.push({
      invariant: '4b',
      what: `unhandled rejection: ${unhandled instanceof Error ? unhandled.stack : String(unhandled)}`,
    })
    unhandled = undefined
  }
  if (json) print(JSON.stringify({ seed: current, clean: findings.length === 0, ...played.facts, findings }))
  if (isTerminal) process.stdout.write(`\r${current - seed + 1} of ${seeds} seeds`)
  if (findings.length === 0) continue
  broken++
  if (!json) {
    print(`seed ${current}: ${findings.length} findings`)
    for (const { invariant, what } of findings.slice(0, 10)) print(`  ${invariant}  ${what}`)
    print(`  again: npm run sim -- ${current}`)
  }
}
if (isTerminal) process.stdout.write('\r')
if (broken === 0) print(seeds === 1 ? `seed ${seed} clean` : `${seeds} seeds clean, from ${seed}`)
else print(`${broken} of ${seeds} seeds broken`)
process.exitCode = broken === 0 ? 0 : 1
