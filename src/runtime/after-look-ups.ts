/**
 * Looks whether the session of a delivery has had the events that it comes after: what lies before its opening the fold
 * does not remember. What is found is recorded, and the fold lets the delivery go (coordination/after.ts B2).
 *
 * Job: read and record, one batch after the other. Not its job: events that are still to come, which the fold sees.
 */
import { afterWait } from '../coordination/after.ts'
import type { Place } from '../coordination/decide.ts'
import type { SpineState } from '../coordination/state.ts'
import type { AppendOutcome, Engine, Guard } from '../engine/engine.ts'
import type { NewRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { BoundedMap } from '../kernel/bounded-map.ts'
import type { Clock } from '../kernel/clock.ts'
import { limits } from '../kernel/limits.ts'
import type { CommitDraft } from './appender.ts'
import type { Logger } from './logger.ts'
import { fact, rowHeader } from './record-draft.ts'

export interface LookUpHost {
  readonly state: SpineState
  readonly engine: Engine
  readonly clock: Clock
  readonly logger: Logger
  readonly isClosed: boolean
  laneGuard(): Guard
  append(commit: CommitDraft): Promise<AppendOutcome>
}

/** Looked up together, and recorded in one commit. */
const PLACES_MAX = 64
/** After a read that failed. */
const TRY_AGAIN_MS = 1_000

export class AfterLookUps {
  readonly #host: LookUpHost
  /** What a session has had it has had for ever. */
  readonly #found = new BoundedMap<string, Sequence>(limits.sessionCacheSessions)
  #waiting: Place[] = []
  #isLooking = false

  constructor(host: LookUpHost) {
    this.#host = host
  }

  get isIdle(): boolean {
    return !this.#isLooking
  }

  add(places: readonly Place[]): void {
    for (const place of places) this.#waiting.push(place)
    if (!this.#isLooking && this.#waiting.length > 0) void this.#lookAll()
  }

  async #lookAll(): Promise<void> {
    this.#isLooking = true
    while (this.#waiting.length > 0 && !this.#host.isClosed) {
      const batch = this.#waiting.slice(0, PLACES_MAX)
      this.#waiting = this.#waiting.slice(PLACES_MAX)
      try {
        await this.#look(batch)
      } catch (error) {
        this.#tryAgain(batch, error as Error)
      }
    }
    this.#isLooking = false
  }

  #tryAgain(places: readonly Place[], { message }: Error): void {
    const { clock, logger, isClosed } = this.#host
    if (isClosed) return
    logger.warn(
      `what ${places.length} held deliveries come after could not be looked up, once more in ${TRY_AGAIN_MS} ms: ${message}`,
    )
    clock.setTimer(clock.now() + TRY_AGAIN_MS, () => this.add(places))
  }

  async #look(places: readonly Place[]): Promise<void> {
    const { state, clock } = this.#host
    const records: NewRecord[] = []
    for (const { row, source } of places) {
      for (const type of this.#missing(row, source)) {
        const event = await this.#first(state.deliveries.session[row] as string, type)
        // It may have come, or the delivery ended, while the log was read.
        if (event === undefined || !this.#missing(row, source).includes(type)) continue
        records.push(
          fact('spine.wait.matched', rowHeader(state, row, clock.now()), { command: afterWait(type), event }),
        )
      }
    }
    // A refusal means that the lane is lost, which whoever folds the other's claim notices.
    if (records.length > 0)
      await this.#host.append({ guards: [this.#host.laneGuard()], records }).catch(() => undefined)
  }

  #missing(row: number, source: Sequence): readonly string[] {
    const { deliveries, held } = this.#host.state
    return deliveries.source[row] === source ? held.missingOf(row) : []
  }

  async #first(session: string, type: string): Promise<Sequence | undefined> {
    const place = `${type} ${session}`
    const known = this.#found.get(place)
    if (known !== undefined) return known
    const [record] = await this.#host.engine.read({ session, types: [type], limit: 1 })
    if (record !== undefined) this.#found.set(place, record.sequence)
    return record?.sequence
  }
}
