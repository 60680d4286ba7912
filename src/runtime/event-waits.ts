/**
 * Finds the events that runs wait for: first among those on the log, then among those that come.
 *
 * Job: look, match, record `spine.wait.matched`. Not its job: the waits themselves (coordination/waits.ts), or their time.
 *
 * V1  Of the events that match, the first in the order of the log is taken, whether it came before the wait or after.
 * V2  What comes while the log is read is looked at afterwards, so nothing falls between the two.
 * V3  Nothing is polled: a wait costs nothing until an event of its session and type comes.
 * V4  A wait ends by its time only when all that is on the log by then has been looked at: whoever answered while no
 *     process ran, or while the fold was behind, has answered.
 * V5  However many wait for one type in one session, a read of their past serves all of them that had begun by then.
 */
import type { Place } from '../coordination/decide.ts'
import type { DueEntry } from '../coordination/due-heap.ts'
import type { SpineState } from '../coordination/state.ts'
import type { WaitState } from '../coordination/wait-index.ts'
import type { AppendOutcome, Engine, Guard, ReadQuery } from '../engine/engine.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { includes } from '../kernel/merge-patch.ts'
import type { CommitDraft } from './appender.ts'
import { fact, rowHeader } from './record-draft.ts'

export interface WaitHost {
  readonly state: SpineState
  readonly engine: Engine
  readonly clock: Clock
  readonly isClosed: boolean
  laneGuard(): Guard
  append(commit: CommitDraft): Promise<AppendOutcome>
  passing(at: Sequence): Promise<boolean> | boolean
  /** Whether a handler has been entered for it in this process. */
  isRunning(row: number): boolean
  /** A delayed event that may be waited for is due then. */
  lookAgainAt(entry: DueEntry): void
}

export interface WaitPlace extends Place {
  readonly command: string
}

/** Reads at once. */
const LOOKS_MAX = 16
/** After a read that failed. */
const TRY_AGAIN_MS = 1_000

export class EventWaits {
  readonly #host: WaitHost
  /** Waits whose past is to be read, by session and type (V5). */
  readonly #queued = new Map<string, WaitPlace[]>()
  /** Sessions and types that are being read. */
  readonly #reading = new Set<string>()
  /** Waits whose past is not read to its end yet, with what has come meanwhile. */
  readonly #looking = new Map<string, LogRecord[]>()
  /** Of those, the ones for which a delayed event has become due that the reading may have passed already. */
  readonly #lookAgain = new Set<string>()
  /** Waits whose time is up, and that are not ended yet. */
  readonly #overdue = new Map<string, { readonly end: () => void; hasFolded: boolean }>()
  /** Waits whose match is on its way to the log. */
  readonly #matched = new Set<string>()
  #looks = 0

  constructor(host: WaitHost) {
    this.#host = host
  }

  get isIdle(): boolean {
    return this.#looks === 0 && this.#overdue.size === 0
  }

  /** Looks at the past. */
  look(places: readonly WaitPlace[]): void {
    for (const place of places) {
      if (this.#looking.has(nameOf(place))) continue
      // From here on what comes is kept, also while the look itself has to wait its turn.
      this.#looking.set(nameOf(place), [])
      this.#enqueue(place)
    }
    this.#lookOn()
  }

  /** A delayed event has become due that it may be for. */
  lookAgain(place: WaitPlace): void {
    if (this.#looking.has(nameOf(place))) this.#lookAgain.add(nameOf(place))
    else this.look([place])
  }

  #enqueue(place: WaitPlace): void {
    const wait = this.#waitOf(place)
    if (wait === undefined) {
      this.#endLook(place)
      return
    }
    const group = `${this.#host.state.deliveries.session[place.row]}\0${wait.event}`
    const queued = this.#queued.get(group)
    if (queued === undefined) this.#queued.set(group, [place])
    else queued.push(place)
  }

  #lookOn(): void {
    for (const [group, places] of this.#queued) {
      if (this.#host.isClosed || this.#looks === LOOKS_MAX) return
      // Those that begin while their session is read gather here, and are served by its next read.
      if (this.#reading.has(group)) continue
      this.#queued.delete(group)
      void this.#lookAt(group, places)
    }
  }

  /** An event has been folded that someone may be waiting for. */
  came(record: LogRecord): void {
    const { waits, deliveries } = this.#host.state
    for (const { row, command } of waits.waiting(record)) {
      const place = { row, source: deliveries.source[row] as Sequence, command }
      // First, because most waits of a crowded session are for other events.
      const wait = this.#waitOf(place)
      if (wait === undefined || !isFor(wait, record)) continue
      const kept = this.#looking.get(nameOf(place))
      if (kept !== undefined) kept.push(record)
      else this.#consider(place, record)
    }
  }

  /** The time of a wait is up; `end` writes so, unless an answer is found. */
  expire(place: WaitPlace, end: () => void): void {
    const name = nameOf(place)
    if (this.#overdue.has(name)) return
    this.#overdue.set(name, { end, hasFolded: false })
    void this.#foldFirst(place)
  }

  /** V4. The fold may be behind the log, and hands what comes to `came`. */
  async #foldFirst(place: WaitPlace): Promise<void> {
    const { engine, clock } = this.#host
    const overdue = this.#overdue.get(nameOf(place))
    try {
      const head = await engine.head()
      if (!(await this.#host.passing(head - 1))) return
    } catch {
      if (!this.#host.isClosed) clock.setTimer(clock.now() + TRY_AGAIN_MS, () => void this.#foldFirst(place))
      return
    }
    if (overdue === undefined) return
    overdue.hasFolded = true
    this.#endOverdue(place)
  }

  #endOverdue(place: WaitPlace): void {
    const name = nameOf(place)
    const overdue = this.#overdue.get(name)
    if (overdue?.hasFolded !== true || this.#looking.has(name)) return
    this.#overdue.delete(name)
    if (!this.#matched.has(name) && this.#waitOf(place) !== undefined) overdue.end()
  }

  async #lookAt(group: string, places: readonly WaitPlace[]): Promise<void> {
    this.#looks++
    this.#reading.add(group)
    try {
      await this.#readPast(places)
      for (const place of places) this.#endLook(place)
    } catch {
      // They are still looking, so that what comes is kept in its order, and their time does not end them (V1, V4).
      const { clock, isClosed } = this.#host
      if (!isClosed) clock.setTimer(clock.now() + TRY_AGAIN_MS, () => this.#tryAgain(places))
    }
    this.#reading.delete(group)
    this.#looks--
    this.#lookOn()
  }

  #tryAgain(places: readonly WaitPlace[]): void {
    for (const place of places) this.#enqueue(place)
    this.#lookOn()
  }

  #endLook(place: WaitPlace): void {
    const name = nameOf(place)
    const came = this.#looking.get(name) ?? []
    this.#looking.delete(name)
    for (const record of came) if (this.#consider(place, record)) break
    if (this.#lookAgain.delete(name) && !this.#matched.has(name) && this.#waitOf(place) !== undefined)
      this.look([place])
    this.#endOverdue(place)
  }

  /** V1: page by page up to where the fold stood when the first page was asked for. */
  async #readPast(places: readonly WaitPlace[]): Promise<void> {
    const { state, engine } = this.#host
    const until = state.at
    const { waits, query, first } = this.#byCause(places)
    for (let after = first; after !== undefined && after < until && waits.size > 0; ) {
      const page = await engine.read({ ...query, after, limit: limits.readRecordsMax })
      for (const record of page) {
        if (record.sequence > until) return
        for (const cause of [undefined, record.cause]) this.#considerAll(waits, cause, record)
      }
      after = page.length < limits.readRecordsMax ? undefined : page.at(-1)?.sequence
    }
  }

  #considerAll(waits: Map<Sequence | undefined, Set<WaitPlace>>, cause: Sequence | undefined, record: LogRecord): void {
    const places = waits.get(cause)
    if (places === undefined) return
    for (const place of places) if (this.#consider(place, record)) places.delete(place)
    if (places.size === 0) waits.delete(cause)
  }

  /** Waits of one session and type, so that an event is compared only with those that its cause fits. */
  #byCause(places: readonly WaitPlace[]) {
    const waits = new Map<Sequence | undefined, Set<WaitPlace>>()
    let query: Pick<ReadQuery, 'session' | 'types'> = {}
    let first: Sequence | undefined
    for (const place of places) {
      const wait = this.#waitOf(place)
      if (wait === undefined) continue
      query = { session: this.#host.state.deliveries.session[place.row] as string, types: [wait.event] }
      if (first === undefined || wait.after < first) first = wait.after
      const known = waits.get(wait.cause)
      if (known === undefined) waits.set(wait.cause, new Set([place]))
      else known.add(place)
    }
    return { waits, query, first }
  }

  /** Whether the wait is over: by this event, or anyhow. */
  #consider(place: WaitPlace, record: LogRecord): boolean {
    const wait = this.#waitOf(place)
    if (wait === undefined || this.#matched.has(nameOf(place))) return true
    if (!isFor(wait, record)) return false
    const { clock } = this.#host
    if (record.due !== undefined && record.due > clock.now()) {
      const { row, source, command } = place
      this.#host.lookAgainAt({ at: record.due, kind: 'awaited', row, source, name: command })
      return false
    }
    void this.#match(place, record)
    return true
  }

  async #match(place: WaitPlace, record: LogRecord): Promise<void> {
    const { state, clock } = this.#host
    const name = nameOf(place)
    this.#matched.add(name)
    const { row, source, command } = place
    const time = clock.now()
    const data = { command, event: record.sequence }
    const records = [fact('spine.wait.matched', rowHeader(state, row, time), data)]
    // W4
    const own = state.deliveries.find(record.sequence, state.deliveries.agent[row] as number)
    if (
      own !== 0 &&
      own !== row &&
      !state.runs.has(own) &&
      state.joins.of(own) === undefined &&
      !this.#host.isRunning(own)
    )
      records.push(fact('spine.delivery.taken', rowHeader(state, own, time), { by: source, command }))
    // A refusal means that the lane is lost, which whoever folds the other's claim notices.
    await this.#host.append({ guards: [this.#host.laneGuard()], records }).catch(() => undefined)
    this.#matched.delete(name)
  }

  #waitOf({ row, source, command }: WaitPlace): WaitState | undefined {
    const { deliveries, runs } = this.#host.state
    const known = deliveries.source[row] === source ? runs.get(row)?.commands.get(command) : undefined
    return known?.ended === 0 && known.wait?.isLate !== true ? known.wait : undefined
  }
}

function isFor({ after, cause, match, event, others }: WaitState, record: LogRecord): boolean {
  if (record.type !== event || record.sequence <= after || others?.includes(record.sequence) === true) return false
  if (cause !== undefined && record.cause !== cause) return false
  return match === undefined || includes(record.data, match as { readonly [key: string]: Json })
}

function nameOf({ row, source, command }: WaitPlace): string {
  return `${source}/${row} ${command}`
}
