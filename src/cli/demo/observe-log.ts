/** What anyone can find out from the log alone, without asking the process that wrote it. */
import { createHash } from 'node:crypto'
import {
  type Engine,
  encodeState,
  evolve,
  initialState,
  type Json,
  type LogRecord,
  type SpineState,
} from '../../index.ts'
import { isSystemType } from '../../event/record.ts'
import { limits } from '../../kernel/limits.ts'
import { DocumentWritten, EffectConfirmed, HelpGiven, HelpWanted, TurnCorrected, TurnReceived } from './office.ts'

export interface Observation {
  /** Events of users; the rest of the log are the system's own facts. */
  readonly events: number
  /** Those of them that were written at or after `since`. */
  readonly eventsSince: number
  readonly handoffs: number
  readonly turns: number
  /** Turns in which the customer changed their mind. */
  readonly corrections: number
  /** Work that a correction overtook. */
  readonly superseded: number
  /** Runs that made room for more urgent work. */
  readonly preemptions: number
  /** Turns that a person was asked about, and answers. */
  readonly asked: number
  readonly answered: number
  readonly confirmed: number
  readonly documents: number
  /** Fingerprint of the state folded up to `until`. */
  readonly stateAtUntil: string
}

export interface ObserveOptions {
  readonly since: number
  /** The sequence at which to look at the state. */
  readonly until: number
}

export async function observeLog(
  records: AsyncIterable<LogRecord>,
  { since, until }: ObserveOptions,
): Promise<Observation> {
  const state = initialState()
  const types = new Map<string, number>()
  let stateAtUntil = ''
  let eventsSince = 0
  let handoffs = 0
  for await (const record of records) {
    evolve(state, record)
    types.set(record.type, (types.get(record.type) ?? 0) + 1)
    if (!isSystemType(record.type) && record.time >= since) eventsSince++
    if (isHandoff(record)) handoffs++
    if (record.sequence === until) stateAtUntil = fingerprintOf(state)
  }
  const countOf = ({ type }: { readonly type: string }) => types.get(type) ?? 0
  const events = [...types].reduce((count, [type, more]) => (isSystemType(type) ? count : count + more), 0)
  return {
    events,
    eventsSince,
    handoffs,
    turns: countOf(TurnReceived) + countOf(TurnCorrected),
    corrections: countOf(TurnCorrected),
    superseded: types.get('spine.delivery.superseded') ?? 0,
    preemptions: types.get('spine.delivery.preempted') ?? 0,
    asked: countOf(HelpWanted),
    answered: countOf(HelpGiven),
    confirmed: countOf(EffectConfirmed),
    documents: countOf(DocumentWritten),
    stateAtUntil,
  }
}

export function fingerprintOf(state: SpineState): string {
  return createHash('sha256').update(encodeState(state)).digest('hex')
}

/** Every record of an open engine, page by page. */
export async function* readRecords(engine: Engine): AsyncGenerator<LogRecord> {
  for (let after = 0; ; ) {
    const page = await engine.read({ after, limit: limits.readRecordsMax })
    yield* page
    const last = page.at(-1)
    if (last === undefined) return
    after = last.sequence
  }
}

function isHandoff({ type, data }: LogRecord): boolean {
  return type === 'spine.delivery.completed' && (data as { readonly handoff?: Json } | null)?.handoff !== undefined
}
