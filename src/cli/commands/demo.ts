/** `spine demo`: what it takes from the command line, and what it leaves on stdout. */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { type DemoReport, describeReport } from '../demo/demo-result.ts'
import { Display } from '../demo/display.ts'
import { parseLatency } from '../demo/latency.ts'
import { runDemo } from '../demo/run-demo.ts'
import { parseEngineUrl } from '../engine-from-url.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { UsageError } from '../usage-error.ts'

interface Flags {
  readonly dialogues?: string
  readonly engine?: string
  readonly kill?: string
  readonly killSeed?: string
  readonly inFlight: string
  readonly modelMs: string
  readonly serviceMs: string
  readonly corrections?: string
  readonly limit?: string
  readonly json?: boolean
  readonly keep?: boolean
}

const KILLS_DEFAULT = '5'
const KILLS_MAX = 1_000
const IN_FLIGHT_MAX = 10_000
const CORRECTIONS_DEFAULT = '25'

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Plays customer conversations through a small office of agents, and checks that nothing was lost or done twice.',
    )
    .option('--dialogues <file>', "conversations, one JSON object a line (default: the project's own)")
    .option('--engine <url>', 'where the log lives: memory, a file path, or sqlite:PATH (default: a temporary file)')
    .addOption(
      new Option(
        '--kill [n]',
        `kill the working process n times in the middle (${KILLS_DEFAULT} without a number)`,
      ).preset(KILLS_DEFAULT),
    )
    .option('--kill-seed <text>', 'kill at moments by chance, which this text decides, instead of at the worst ones')
    .option('--in-flight <n>', 'conversations under way at once', '16')
    .option('--model-ms <ms>', 'how long the stand-in for the model takes: 5, or 2..8', '2..8')
    .option('--service-ms <ms>', 'how long a service takes', '1..4')
    .addOption(
      new Option(
        '--corrections [percent]',
        `let customers change their mind in so many of the conversations (${CORRECTIONS_DEFAULT} without a number)`,
      ).preset(CORRECTIONS_DEFAULT),
    )
    .option('--limit <n>', 'play only the first n conversations')
    .option('--json', 'print the result as one line of JSON instead of a table')
    .option('--keep', 'keep the log and the ledger of a clean run too')
    .action(runDemoCommand)
}

async function runDemoCommand(flags: Flags): Promise<void> {
  const kills = flags.kill === undefined ? 0 : wholeNumber('--kill', flags.kill, KILLS_MAX)
  if (kills > 0 && flags.engine !== undefined && parseEngineUrl(flags.engine).kind === 'memory') {
    throw new UsageError(
      '--kill needs a log that outlives its process, and a log in memory does not: leave out --engine memory.',
    )
  }
  const options = {
    dialoguesPath: flags.dialogues ?? ownConversations(),
    engineUrl: flags.engine,
    kills,
    killSeed: flags.killSeed,
    inFlight: wholeNumber('--in-flight', flags.inFlight, IN_FLIGHT_MAX),
    modelLatency: parseLatency(flags.modelMs),
    serviceLatency: parseLatency(flags.serviceMs),
    limit:
      flags.limit === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('--limit', flags.limit, Number.MAX_SAFE_INTEGER),
    corrections: flags.corrections === undefined ? 0 : wholeNumber('--corrections', flags.corrections, 100) / 100,
    keep: flags.keep === true,
  }
  const interrupted = interruptSignal()
  try {
    print(await runDemo(options, new Display(process.stderr), interrupted), flags.json === true)
  } catch (error) {
    if (!interrupted.aborted) throw error
    process.exitCode = EXIT_CODES.interrupted
  }
}

function print(report: DemoReport, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(report.result)}\n` : `${describeReport(report)}\n`)
  if (report.faults.length === 0) return
  process.exitCode = EXIT_CODES.checkFailed
  if (json) for (const fault of report.faults) process.stderr.write(`${fault}\n`)
}

/** Ctrl-C, or whoever asks the process to end: the children are stopped first. */
function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort())
  return controller.signal
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value
  throw new UsageError(`${option} is '${text}': use a whole number from 1 to ${max}.`)
}

/** The file that comes with the package, named as seen from here. */
function ownConversations(): string {
  const path = fileURLToPath(new URL('../../../demo/conversations.jsonl', import.meta.url))
  const near = relative(process.cwd(), path)
  return near.startsWith('..') ? path : near
}
