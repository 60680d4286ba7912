/**
 * The state of sessions, folded from `spine.session.patched`: recent ones in memory, others read from the log.
 *
 * N1  The state of a session at a sequence is the merge of its patches up to there, in order.
 * N2  A state is never changed in place: whoever holds one keeps it.
 * N3  Runs of one session that stand between the same two patches have its past read once for all of them.
 */

import type { Engine } from '../engine/engine.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { BoundedMap } from '../kernel/bounded-map.ts'
import type { Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { mergePatch } from '../kernel/merge-patch.ts'

export type SessionState = { readonly [key: string]: Json }

/** The state of a session for as long as no patch changed it. */
interface Stretch {
  readonly state: SessionState
  /** Sequence of the last patch in it; 0 before the first. */
  readonly from: Sequence
  /** Of the next one, or where the fold had come to when there was none. */
  readonly to: Sequence
}

const EMPTY: SessionState = Object.freeze({})

/** Sessions of which a stretch of the past is kept: those of the runs that a process takes over at about the same time. */
const STRETCHES_MAX = 1_000

export class SessionStates {
  readonly #engine: Engine
  readonly #states = new BoundedMap<string, SessionState>(limits.sessionCacheSessions)
  readonly #loading = new Map<string, { readonly during: LogRecord[]; readonly state: Promise<SessionState> }>()
  /** By session, what was read last for runs that stand in the past. */
  readonly #past = new BoundedMap<string, Promise<Stretch>>(STRETCHES_MAX)
  /** Up to there records were told. */
  #told: Sequence = 0
  /** Until the first one is dropped, a session that is not in memory has no state. */
  #complete = true

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Patches up to there are not told: a session that is not in memory may have a state all the same. */
  beginAt(at: Sequence): void {
    if (at > 0) this.#complete = false
  }

  /** Called for every record, in order. */
  remember(record: LogRecord): void {
    this.#told = record.sequence
    if (record.type !== 'spine.session.patched') return
    this.#loading.get(record.session)?.during.push(record)
    const known = this.#states.get(record.session)
    if (known === undefined && !this.#complete) return
    this.#keep(record.session, patched(known ?? EMPTY, record))
  }

  /** The state at the head of the fold, if memory has it. */
  recent(session: string): SessionState | undefined {
    return this.#states.get(session) ?? (this.#complete ? EMPTY : undefined)
  }

  /** The state at the head of the fold. Whoever asks while it is read waits for the same reading. */
  current(session: string): Promise<SessionState> {
    const known = this.recent(session)
    if (known !== undefined) return Promise.resolve(known)
    let loading = this.#loading.get(session)
    if (loading === undefined) {
      const during: LogRecord[] = []
      loading = { during, state: this.#catchUp(session, during) }
      this.#loading.set(session, loading)
    }
    return loading.state
  }

  /** `during`: patches that are folded while older ones are read. */
  async #catchUp(session: string, during: readonly LogRecord[]): Promise<SessionState> {
    try {
      const loaded = await this.#load(session, Number.MAX_SAFE_INTEGER)
      const state = during.filter((record) => record.sequence > loaded.from).reduce(patched, loaded.state)
      this.#keep(session, state)
      return state
    } finally {
      this.#loading.delete(session)
    }
  }

  /** The state as it was when the log ended at `at`. */
  async at(session: string, at: Sequence): Promise<SessionState> {
    for (;;) {
      const reading = this.#past.get(session)
      // Whoever asked for a reading that failed was told so.
      const known = await reading?.catch(() => undefined)
      if (known !== undefined && known.from <= at && at < known.to) return known.state
      if (reading === this.#past.get(session)) break
    }
    const reading = this.#load(session, at)
    this.#past.set(session, reading)
    return (await reading).state
  }

  async #load(session: string, upTo: Sequence): Promise<Stretch> {
    const told = this.#told
    let state = EMPTY
    let from = 0
    for (;;) {
      const page = await this.#engine.read({
        session,
        types: ['spine.session.patched'],
        after: from,
        limit: limits.readRecordsMax,
      })
      for (const record of page) {
        if (record.sequence > upTo) return { state, from, to: record.sequence }
        state = patched(state, record)
        from = record.sequence
      }
      if (page.length < limits.readRecordsMax) return { state, from, to: told + 1 }
    }
  }

  #keep(session: string, state: SessionState): void {
    if (this.#states.set(session, state)) this.#complete = false
  }
}

function patched(state: SessionState, record: LogRecord): SessionState {
  return mergePatch(state, (record.data as SystemData<'spine.session.patched'>).patch) as SessionState
}
