// Kills the demo's working process hundreds of times at random moments, while every second customer changes their mind, over as many runs of the demo as that takes, and
// adds up what their ledgers and logs say. Prints the seed first, then a line for each run, and the sum as the last line.
// Exit code 1 when anything was lost, doubled or wrong, or a run broke; its log is then kept, and its path printed.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** About as many as a run takes before all its conversations are through. */
const KILLS_PER_RUN_MAX = 25
const PROGRAM = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

const { values } = parseArgs({
  options: { kills: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean' } },
})
const wanted = Number(values.kills ?? 200)
if (!(Number.isSafeInteger(wanted) && wanted >= 1)) {
  process.stderr.write(`--kills is '${values.kills}': use a whole number of at least 1.\n`)
  process.exit(2)
}
const seed = values.seed ?? String(randomInt(1_000_000_000))
const startedAt = performance.now()
const sum = { kills: 0, missing: 0, doubled: 0, wrong: 0, outOfOrder: 0, effects: 0, expected: 0, repeatedAttempts: 0 }
let [runs, broken] = [0, 0]

say(`seed ${seed}: the same again with --kills ${wanted} --seed ${seed}`)
while (sum.kills < wanted && broken === 0) {
  runs++
  const { code, result, stderr } = await run(Math.min(KILLS_PER_RUN_MAX, wanted - sum.kills), `${seed}/${runs}`)
  // A run without a kill would make this loop endless.
  if (code !== 0 || !(result?.kills > 0)) {
    broken++
    process.stderr.write(`run ${runs} ended with ${code}:\n${stderr}`)
  }
  if (result !== undefined) add(result)
  say(`run ${runs}: ${describe()}; ${seconds()} s`)
}
const summary = { ...sum, runs, brokenRuns: broken, seed, seconds: seconds() }
process.stdout.write(
  values.json
    ? `${JSON.stringify(summary)}\n`
    : `${describe()}, broken runs ${broken} (${runs} runs, seed ${seed}, ${summary.seconds} s)\n`,
)
process.exit(broken === 0 && sum.missing + sum.doubled + sum.wrong + sum.outOfOrder === 0 ? 0 : 1)

/** One run of the demo, killed so often, or less often when it is through before. */
function run(kills, killSeed) {
  const child = spawn(
    process.execPath,
    [PROGRAM, 'demo', '--json', '--corrections', '50', '--kill', String(kills), '--kill-seed', killSeed],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      const line = stdout.trimEnd().split('\n').at(-1)
      resolve({ code: code ?? signal, result: line === '' ? undefined : JSON.parse(line), stderr })
    })
  })
}

function add({ kills, effects, repeatedAttempts }) {
  const { missing, doubled, wrong, outOfOrder, done, expected } = effects
  const more = { kills, missing, doubled, wrong, outOfOrder, effects: done, expected, repeatedAttempts }
  for (const [name, count] of Object.entries(more)) sum[name] += count
}

function describe() {
  const { kills, missing, doubled, wrong, outOfOrder, effects, expected, repeatedAttempts } = sum
  const faults = `missing ${missing}, doubled ${doubled}, wrong ${wrong}, out of order ${outOfOrder}`
  return `kills ${kills}, ${faults}, effects ${effects} of ${expected}, attempts repeated ${repeatedAttempts}`
}

function seconds() {
  return Math.round((performance.now() - startedAt) / 1000)
}

/** Progress: stdout is for the sum. */
function say(line) {
  process.stderr.write(`${line}\n`)
}
