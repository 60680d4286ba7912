/**
 * What becomes due, earliest first: a binary heap. Entries are not removed when they lose their meaning; whoever pops
 * one asks the state whether it still holds. Written here because the pure ring imports nothing.
 */
import type { Sequence } from '../event/sequence.ts'
import type { Row } from './delivery-table.ts'

export interface DueEntry {
  readonly at: number
  readonly kind:
    | 'retry'
    | 'timer'
    | 'join'
    | 'delay'
    | 'awaited'
    | 'delivery-deadline'
    | 'request-deadline'
    | 'breaker'
    | 'rate'
  readonly row: Row
  /** Source of the row when the entry was made: tells a row that has been given to another delivery since. */
  readonly source: Sequence
  /** Command of a timer or wait, id of a request, name of an agent, or place of a rate. */
  readonly name: string
}

/** Fewer entries are not worth a look. */
const COMPACT_AT_MIN = 1_024

export class DueHeap {
  #entries: DueEntry[] = []
  #compactAt = COMPACT_AT_MIN

  get size(): number {
    return this.#entries.length
  }

  /** When the next entry is due, or `undefined`. */
  get next(): number | undefined {
    return this.#entries[0]?.at
  }

  /** Grown to more than twice what was left of it the last time: most of it may be stale. */
  get isOvergrown(): boolean {
    return this.#entries.length >= this.#compactAt
  }

  /** Drops every entry that does not hold any more. */
  keep(holds: (entry: DueEntry) => boolean): void {
    // A sorted list is a heap.
    this.#entries = this.#entries.filter(holds).sort((left, right) => left.at - right.at)
    this.#compactAt = Math.max(COMPACT_AT_MIN, 2 * this.#entries.length)
  }

  push(entry: DueEntry): void {
    const entries = this.#entries
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if ((entries[parent] as DueEntry).at <= entry.at) break
      entries[index] = entries[parent] as DueEntry
      index = parent
    }
    entries[index] = entry
  }

  /** The earliest entry if it is due at `now`. */
  popDue(now: number): DueEntry | undefined {
    const first = this.#entries[0]
    if (first === undefined || first.at > now) return undefined
    const last = this.#entries.pop() as DueEntry
    if (this.#entries.length > 0) this.#sink(last)
    return first
  }

  #sink(entry: DueEntry): void {
    const entries = this.#entries
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= entries.length) break
      const right = entries[child + 1]
      if (right !== undefined && right.at < (entries[child] as DueEntry).at) child++
      if ((entries[child] as DueEntry).at >= entry.at) break
      entries[index] = entries[child] as DueEntry
      index = child
    }
    entries[index] = entry
  }
}
