import type { Clock, Timer } from '../kernel/clock.ts'

interface Entry {
  readonly at: number
  /** Timers of one moment fire in the order in which they were set. */
  readonly order: number
  readonly fire: () => void
}

/** Where virtual time begins unless someone says otherwise: midnight UTC, so that dates in tests are easy to read. */
export const VIRTUAL_START_MS = Date.UTC(2026, 0, 1)

/**
 * A clock that stands until someone moves it.
 *
 * @example
 * const clock = new VirtualClock()
 * clock.advanceTo(clock.now() + 1_000)
 */
export class VirtualClock implements Clock {
  #nowMs: number
  #order = 0
  readonly #entries = new Set<Entry>()

  constructor(startMs = VIRTUAL_START_MS) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  setTimer(at: number, fire: () => void): Timer {
    const entry = { at, order: this.#order++, fire }
    this.#entries.add(entry)
    return { cancel: () => this.#entries.delete(entry) }
  }

  /** When the next timer is due, absolute ms; `undefined` when none is set. */
  get next(): number | undefined {
    return this.#first()?.at
  }

  /** Moves time forward. Fires nothing: see `fireNext`. */
  advanceTo(ms: number): void {
    if (ms > this.#nowMs) this.#nowMs = ms
  }

  /** Fires the first timer that is due at or before `until`, at its own time; false when there is none. */
  fireNext(until: number): boolean {
    const entry = this.#first()
    if (entry === undefined || entry.at > until) return false
    this.advanceTo(entry.at)
    this.#entries.delete(entry)
    entry.fire()
    return true
  }

  #first(): Entry | undefined {
    let first: Entry | undefined
    for (const entry of this.#entries) {
      const isEarlier =
        first === undefined || entry.at < first.at || (entry.at === first.at && entry.order < first.order)
      if (isEarlier) first = entry
    }
    return first
  }
}
