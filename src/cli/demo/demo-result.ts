/** What a run came to: the object for programs, the table for people. */
import Table from 'cli-table3'
import type { EffectCounts } from './check-ledger.ts'
import { percentile } from './percentile.ts'

/** The last line of `spine demo --json`. Scripts rely on these names. */
export interface DemoResult {
  readonly dialogues: number
  /** Events of users on the log, that is without the system's own records. */
  readonly events: number
  readonly handoffs: number
  /** Turns that were read with little confidence, and that a person answered for. */
  readonly answers: number
  readonly effects: EffectCounts
  /** The same key again after a crash: the service gave its first answer once more. */
  readonly repeatedAttempts: number
  /** Turns in which a customer changed their mind, and orders that were done by then and taken back. */
  readonly corrections: { readonly said: number; readonly takenBack: number }
  /** Work that a correction overtook. */
  readonly superseded: number
  /** Runs that made room for an urgent conversation. */
  readonly preemptions: number
  /**
   * From the publish of a turn until it settled, model and services included; `null` when no such turn was published.
   * `urgent`: of urgent conversations, which are not among the others.
   */
  readonly latencyMs: { readonly p50: number | null; readonly p99: number | null; readonly urgentP50: number | null }
  /** From the first working process being ready to the last settled turn, kills and restarts included. */
  readonly eventsPerSecond: number
  readonly kills: number
}

export interface DemoReport {
  readonly result: DemoResult
  readonly turns: { readonly settled: number; readonly all: number }
  readonly recoveriesMs: readonly number[]
  /** What another process found on the log, in words; `undefined` when no other process can read it. */
  readonly observer: string | undefined
  /** Empty when the run is clean. */
  readonly faults: readonly string[]
}

const FAULTS_SHOWN = 10

export function describeReport({ result, turns, recoveriesMs, observer, faults }: DemoReport): string {
  const { effects, latencyMs } = result
  const { missing, doubled, wrong, outOfOrder } = effects
  const repeated = result.repeatedAttempts === 0 ? '' : ' (same key: the service gave its first answer)'
  const table = new Table({ style: { head: [], border: [] }, colWidths: [33, 62], wordWrap: true })
  table.push(
    ['conversations', result.dialogues],
    ['customer turns settled', `${turns.settled} of ${turns.all}`],
    ['events on the log', result.events],
    ['handoffs between agents', result.handoffs],
    ['turns that a person answered for', result.answers],
    ['effects done', `${effects.done} of ${effects.expected}`],
    ['faults in the ledger', `missing ${missing}, doubled ${doubled}, wrong ${wrong}, out of order ${outOfOrder}`],
    ['changes of mind', describeCorrections(result)],
    ['attempts repeated after a crash', `${result.repeatedAttempts}${repeated}`],
    [
      'latency of a turn, p50 and p99',
      `${milliseconds(latencyMs.p50)} and ${milliseconds(latencyMs.p99)}, model and services included`,
    ],
    ['the same for urgent customers, p50', describeUrgent(result)],
    ['events a second', result.eventsPerSecond],
    ['kills', describeKills(result.kills, recoveriesMs)],
    ['log, read by another process', observer ?? 'a log in memory has no other readers'],
  )
  return `${table.toString()}\n${describeVerdict(faults, effects)}`
}

function describeVerdict(faults: readonly string[], { expected }: EffectCounts): string {
  if (faults.length === 0)
    return `Clean: each of the ${expected} effects happened exactly once, in order, with exactly its parameters.`
  const shown = faults.slice(0, FAULTS_SHOWN).map((fault) => `  ${fault}`)
  const more = faults.length > FAULTS_SHOWN ? [`  … and ${faults.length - FAULTS_SHOWN} more`] : []
  return [`FAILED with ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:`, ...shown, ...more].join('\n')
}

function describeCorrections({ corrections, superseded }: DemoResult): string {
  const { said, takenBack } = corrections
  if (said === 0) return 'none'
  return `${said}: ${superseded} pieces of work overtaken, ${takenBack} orders done already and taken back`
}

function describeUrgent({ latencyMs, preemptions }: DemoResult): string {
  if (latencyMs.urgentP50 === null) return 'nobody was in a hurry'
  return `${milliseconds(latencyMs.urgentP50)}; ${preemptions} runs made room`
}

function describeKills(kills: number, recoveriesMs: readonly number[]): string {
  const [median, longest] = [percentile(recoveriesMs, 0.5), percentile(recoveriesMs, 1)]
  if (median === undefined || longest === undefined) return String(kills)
  return `${kills}; next turn settled after ${Math.round(median)} ms (median), ${Math.round(longest)} ms (longest)`
}

function milliseconds(value: number | null): string {
  return value === null ? 'none' : `${value} ms`
}
