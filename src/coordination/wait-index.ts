/**
 * Who waits for which event, by session and type.
 *
 * W3  The index holds exactly the open waits of open deliveries; it is not encoded, because the journals say it.
 */
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
}

export interface Waiter {
  readonly row: Row
  readonly command: string
}

/** Open waits by session and type. */
export class WaitIndex {
  readonly #byPlace = new Map<string, Waiter[]>()
  readonly #byType = new Map<string, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  waiting(session: string, type: string): readonly Waiter[] {
    return this.#byPlace.get(place(session, type)) ?? NOBODY
  }

  /** Whether anybody, in whatever session, waits for this type. */
  hears(type: string): boolean {
    return this.#byType.has(type)
  }

  add(session: string, type: string, waiter: Waiter): void {
    const key = place(session, type)
    const waiters = this.#byPlace.get(key)
    if (waiters === undefined) this.#byPlace.set(key, [waiter])
    else waiters.push(waiter)
    this.#count(type, 1)
  }

  remove(session: string, type: string, { row, command }: Waiter): void {
    const key = place(session, type)
    const waiters = this.#byPlace.get(key) ?? []
    const left = waiters.filter((waiter) => waiter.row !== row || waiter.command !== command)
    this.#count(type, left.length - waiters.length)
    if (left.length === 0) this.#byPlace.delete(key)
    else this.#byPlace.set(key, left)
  }

  #count(type: string, more: number): void {
    this.#size += more
    const count = (this.#byType.get(type) ?? 0) + more
    if (count === 0) this.#byType.delete(type)
    else this.#byType.set(type, count)
  }
}

const NOBODY: readonly Waiter[] = []

/** No id holds U+0000. */
function place(session: string, type: string): string {
  return `${session}\0${type}`
}

/** The run is over, or starts anew. */
export function forgetWaits(state: SpineState, session: string, row: Row, run: RunState): void {
  for (const [command, { wait, ended }] of run.commands)
    if (wait !== undefined && ended === 0) state.waits.remove(session, wait.event, { row, command })
}
