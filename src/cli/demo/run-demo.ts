/**
 * The demo from its first line to its verdict. This process only supervises: it holds no spine, and lives through the
 * kills together with the services.
 *
 * Job: start the parts in order, end them in any case, judge the outcome.
 * Not its job: working (`worker-process.ts`), counting effects (`check-ledger.ts`), printing the result.
 */
import { engineFromUrl } from '../engine-from-url.ts'
import { addCorrections } from './add-corrections.ts'
import { checkLedger, type LedgerCheck } from './check-ledger.ts'
import { type DemoPlace, openDemoPlace, removeDemoPlace } from './demo-place.ts'
import type { DemoReport } from './demo-result.ts'
import { type Dialogue, readDialogues } from './dialogue.ts'
import type { Display } from './display.ts'
import { describeLatency, type Latency } from './latency.ts'
import { KillMoments } from './kill-moments.ts'
import { KillPlan } from './kill-plan.ts'
import { readAttempts } from './ledger.ts'
import { type Observation, observeLog, readRecords } from './observe-log.ts'
import { percentile } from './percentile.ts'
import { Scoreboard } from './scoreboard.ts'
import { startServices } from './services.ts'
import { type Finished, superviseWorker } from './supervise-worker.ts'

export interface DemoOptions {
  readonly dialoguesPath: string
  /** Default: a new SQLite file in a temporary directory. */
  readonly engineUrl: string | undefined
  readonly kills: number
  /** Kill at moments that come from it, not at the worst ones. */
  readonly killSeed: string | undefined
  readonly inFlight: number
  readonly modelLatency: Latency
  readonly serviceLatency: Latency
  /** To that share of the conversations corrections are added, from 0 to 1. */
  readonly corrections: number
  /** How many of the conversations are played. */
  readonly limit: number
  /** Whether to keep the files of a clean run too. */
  readonly keep: boolean
}

/** @throws UsageError, the abort reason of `signal`, and an Error when a part of the demo breaks */
export async function runDemo(options: DemoOptions, display: Display, signal: AbortSignal): Promise<DemoReport> {
  const read = (await readDialogues(options.dialoguesPath)).slice(0, options.limit)
  const dialogues = addCorrections(read, options.corrections)
  const place = openDemoPlace(options.engineUrl, dialogues)
  for (const line of introduce(options, dialogues, place)) display.line(line)
  let clean = false
  try {
    const report = await play(options, dialogues, place, display, signal)
    clean = report.faults.length === 0
    return report
  } finally {
    display.end()
    if (clean && !options.keep) removeDemoPlace(place)
    else for (const line of describeLeft(place, signal.aborted)) display.line(line)
  }
}

async function play(
  options: DemoOptions,
  dialogues: readonly Dialogue[],
  place: DemoPlace,
  display: Display,
  signal: AbortSignal,
): Promise<DemoReport> {
  const { dialoguesPath, ledgerPath, engineUrl } = place
  const since = Date.now()
  const scoreboard = new Scoreboard(countTurns(dialogues))
  const onLine = (line: string) => display.line(`  ${line}`)
  const services = await startServices({ dialoguesPath, ledgerPath, latency: options.serviceLatency }, onLine)
  try {
    const config = {
      engineUrl,
      dialoguesPath,
      servicesUrl: services.url,
      inFlight: options.inFlight,
      modelLatency: options.modelLatency,
      correctedWithinMs: correctedWithinMs(options),
      since,
      shown: chooseShown(dialogues),
    }
    const { kills, killSeed } = options
    const plan = new KillPlan(killSeed === undefined ? kills : 0, scoreboard.turns)
    const moments = killSeed === undefined ? undefined : new KillMoments(kills, killSeed)
    const finished = await superviseWorker({ config, plan, moments, services, scoreboard, display, signal })
    const observation = finished.observation ?? (await observeFile(engineUrl, since, finished.at))
    return judge(dialogues, scoreboard, checkLedger(dialogues, await readAttempts(ledgerPath)), finished, observation)
  } finally {
    await services.stop()
  }
}

/** Through the eyes of a process that only reads, and has never met an agent. */
async function observeFile(engineUrl: string, since: number, until: number): Promise<Observation> {
  const engine = await engineFromUrl(engineUrl, { readOnly: true })
  await engine.open()
  try {
    return await observeLog(readRecords(engine), { since, until })
  } finally {
    await engine.close()
  }
}

function judge(
  dialogues: readonly Dialogue[],
  scoreboard: Scoreboard,
  { effects, repeatedAttempts, takenBack, faults }: LedgerCheck,
  finished: Finished,
  log: Observation,
): DemoReport {
  const { latenciesMs, urgentLatenciesMs, playedMs, kills, recoveriesMs, settledTurns, turns, failures } = scoreboard
  const tenths = (value: number | undefined) => (value === undefined ? null : Math.round(value * 10) / 10)
  return {
    result: {
      dialogues: dialogues.length,
      events: log.events,
      handoffs: log.handoffs,
      answers: log.answered,
      effects,
      repeatedAttempts,
      corrections: { said: log.corrections, takenBack },
      superseded: log.superseded,
      preemptions: log.preemptions,
      latencyMs: {
        p50: tenths(percentile(latenciesMs, 0.5)),
        p99: tenths(percentile(latenciesMs, 0.99)),
        urgentP50: tenths(percentile(urgentLatenciesMs, 0.5)),
      },
      eventsPerSecond: playedMs === 0 ? 0 : Math.round((1000 * log.eventsSince) / playedMs),
      kills,
    },
    turns: { settled: settledTurns, all: turns },
    recoveriesMs,
    observer: finished.observation === undefined ? `${finished.at} records folded to the same state` : undefined,
    faults: [...faults, ...failures, ...flawsOfLog(log, finished, turns, effects.expected, takenBack)],
  }
}

/** What the log should hold when every turn was played and every effect confirmed, once each. */
function flawsOfLog(log: Observation, finished: Finished, turns: number, effects: number, takenBack: number): string[] {
  const flaw = (what: string, found: number, expected: number) =>
    found === expected ? [] : [`the log holds ${found} ${what} instead of ${expected}`]
  return [
    ...flaw('turns', log.turns, turns),
    ...flaw('answers of a person', log.answered, log.asked),
    // What was done by a run that was overtaken is taken back, but was confirmed only if it had been overtaken later.
    ...flaw('confirmed effects', Math.max(log.confirmed, effects - takenBack), Math.min(log.confirmed, effects)),
    ...flaw('documents', log.documents, log.confirmed),
    ...(log.stateAtUntil === finished.state ? [] : ['another process folded the log to another state than its owner']),
  ]
}

function introduce(options: DemoOptions, dialogues: readonly Dialogue[], place: DemoPlace): readonly string[] {
  const effects = dialogues.reduce((count, dialogue) => count + dialogue.effects.length, 0)
  const when = options.killSeed === undefined ? 'in the middle' : `at moments by chance (seed ${options.killSeed})`
  const corrections = dialogues.reduce((count, { turns }) => count + turns.filter((turn) => turn.corrects).length, 0)
  const kills = `${options.kills} times ${when}, the working process is killed (SIGKILL) and started again.`
  return [
    'A customer-service office on one durable log.',
    '',
    `  ${dialogues.length} conversations, ${countTurns(dialogues)} customer turns, ${effects} effects: bookings, orders, payments.`,
    '  Each turn is an event. An inquiry agent reads it, each service has an agent of its own, they hand over to each',
    '  other, and a document agent confirms what was done. None of them knows another: they share the log alone.',
    '  A turn that was read with little confidence goes to a person first, whose answer is published like any event.',
    `  The model is a stand-in: it looks its answers up, and takes ${describeLatency(options.modelLatency)} for it.`,
    '  The services are another process, which keeps a ledger of every attempt. At the end it is checked: every effect',
    '  exactly once, in order, with exactly its parameters.',
    ...(corrections === 0
      ? []
      : [
          `  ${corrections} times a customer changes their mind in the middle: what has not been booked by then is not, and what`,
          '  has been is taken back.',
        ]),
    ...(options.kills === 0 ? [] : [`  ${kills}`]),
    `  The log: ${place.logPath ?? 'in memory'}${place.resumed ? ' (was there before: the run goes on)' : ''}`,
    '',
  ]
}

/** The first conversation that shows more than one service at work. */
function chooseShown(dialogues: readonly Dialogue[]): string | undefined {
  const several = dialogues.find(({ effects }) => new Set(effects.map(({ service }) => service)).size > 1)
  return (several ?? dialogues.find(({ effects }) => effects.length > 0))?.id
}

/** About as long as a turn takes: so some corrections come before its booking, some during it and some after. */
function correctedWithinMs({ modelLatency, serviceLatency }: DemoOptions): number {
  return 5 * (modelLatency.msMax + serviceLatency.msMax) + 20
}

function countTurns(dialogues: readonly Dialogue[]): number {
  return dialogues.reduce((count, { turns }) => count + turns.length, 0)
}

function describeLeft({ logPath, temporary, ledgerPath }: DemoPlace, interrupted: boolean): readonly string[] {
  if (logPath === undefined) return [`  Kept: ${temporary}`]
  return [
    `  Kept: ${logPath} and the ledger ${ledgerPath}`,
    ...(interrupted ? [`  Stopped. To go on where it was: the same command with --engine ${logPath}`] : []),
  ]
}
