import type { Clock, Timer } from 'event-spine'

interface Entry {
  readonly at: number
  readonly fire: () => void
}

/** A clock that stands until someone moves it. Timers fire inside `advance`, earliest first, at their own time. */
export class ManualClock implements Clock {
  #now: number
  #entries: Entry[] = []

  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  /** Timers that have neither fired nor been cancelled. */
  get pending(): number {
    return this.#entries.length
  }

  now(): number {
    return this.#now
  }

  setTimer(at: number, fire: () => void): Timer {
    const entry = { at, fire }
    this.#entries.push(entry)
    return { cancel: () => this.#forget(entry) }
  }

  /** Moves time, lets every promise that this sets free run, and so on until the new time is reached. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    for (let entry = this.#next(until); entry !== undefined; entry = this.#next(until)) {
      this.#now = Math.max(this.#now, entry.at)
      this.#forget(entry)
      entry.fire()
      await settle()
    }
    this.#now = until
  }

  #next(until: number): Entry | undefined {
    let first: Entry | undefined
    for (const entry of this.#entries)
      if (entry.at <= until && (first === undefined || entry.at < first.at)) first = entry
    return first
  }

  #forget(entry: Entry): void {
    this.#entries = this.#entries.filter((other) => other !== entry)
  }
}

/** Everything that can run now has run. Not a wait: the check phase comes after all microtasks and ticks. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
