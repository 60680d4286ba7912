/**
 * Who waits for which event, by session and type, and by cause where it waits for an answer to one event: an answer finds
 * its question among ten thousand of its session without looking at the others.
 *
 * W3  The index holds exactly the open waits of open deliveries that no gather has gone on without; it is not encoded, because the journals say it.
 */
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Json } from '../kernel/json.ts'
import type { Row } from './delivery-table.ts'
import type { RunState, SpineState } from './state.ts'

/** What is waited for, as the opening record tells it. */
export interface WaitState {
  /** The type of the event. */
  readonly event: string
  /** Only events above it count. */
  readonly after: Sequence
  /** Only events with this cause. */
  readonly cause?: Sequence
  /** Part of the data. */
  readonly match?: Json
  /** Events above `after` that other waits of the run have taken. */
  readonly others?: readonly Sequence[]
  /** Its gather went on without it: it takes nothing any more. */
  readonly isLate?: boolean
}

export interface Waiter {
  readonly row: Row
  readonly command: string
  /** It is told of what the log holds above this, and looks for itself at what lies below. */
  readonly since: Sequence
}

/** Open waits. */
export class WaitIndex {
  readonly #byPlace = new Map<string, Waiter[]>()
  readonly #byType = new Map<string, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  isAwaited({ session, type, cause }: Answer): boolean {
    return this.#byPlace.has(place(session, type, undefined)) || this.#byPlace.has(place(session, type, cause))
  }

  /** Those for whom this event may be, that were waiting when it came. */
  *waiting({ session, type, cause, sequence }: Answer): Iterable<Waiter> {
    for (const by of [undefined, cause])
      for (const waiter of this.#byPlace.get(place(session, type, by)) ?? NOBODY)
        if (waiter.since < sequence) yield waiter
  }

  /** Whether anybody, in whatever session, waits for this type. */
  hears(type: string): boolean {
    return this.#byType.has(type)
  }

  add(session: string, { event, cause }: WaitState, waiter: Waiter): void {
    const key = place(session, event, cause)
    const waiters = this.#byPlace.get(key)
    if (waiters === undefined) this.#byPlace.set(key, [waiter])
    else waiters.push(waiter)
    this.#count(event, 1)
  }

  remove(session: string, { event, cause }: WaitState, row: Row, command: string): void {
    const key = place(session, event, cause)
    const waiters = this.#byPlace.get(key)
    const at = waiters?.findIndex((waiter) => waiter.row === row && waiter.command === command) ?? -1
    if (waiters === undefined || at === -1) return
    this.#count(event, -1)
    if (waiters.length === 1) this.#byPlace.delete(key)
    else waiters.splice(at, 1)
  }

  #count(type: string, more: number): void {
    this.#size += more
    const count = (this.#byType.get(type) ?? 0) + more
    if (count === 0) this.#byType.delete(type)
    else this.#byType.set(type, count)
  }
}

/** What of a record decides whom it may concern. */
type Answer = Pick<LogRecord, 'session' | 'type' | 'cause' | 'sequence'>

const NOBODY: readonly Waiter[] = []

/** No id holds U+0000. */
function place(session: string, type: string, cause: Sequence | undefined): string {
  return `${session}\0${type}\0${cause ?? ''}`
}

/** The run is over, or starts anew. */
export function forgetWaits(state: SpineState, session: string, row: Row, run: RunState): void {
  for (const [command, { wait, ended }] of run.commands)
    if (wait !== undefined && ended === 0) state.waits.remove(session, wait, row, command)
}
