/**
 * Deliveries that may not start until their session has events of certain types (`after`). A part of the state.
 *
 * Job: what each still lacks, and who lacks an event that has come. Not its job: what happens then (`after.ts`).
 */
import type { Row } from './delivery-table.ts'

export class HeldDeliveries {
  readonly #missing = new Map<Row, Set<string>>()
  /** Type and session → rows that lack it. */
  readonly #waiting = new Map<string, Set<Row>>()

  get size(): number {
    return this.#missing.size
  }

  has(row: Row): boolean {
    return this.#missing.has(row)
  }

  /** Types that its session has not had yet, as far as the log tells. */
  missingOf(row: Row): readonly string[] {
    return [...(this.#missing.get(row) ?? [])]
  }

  rows(): readonly Row[] {
    return [...this.#missing.keys()]
  }

  /** Rows of this session that lack an event of this type. */
  waitingFor(session: string, type: string): readonly Row[] {
    return [...(this.#waiting.get(place(session, type)) ?? [])]
  }

  hold(row: Row, session: string, types: readonly string[]): void {
    this.#missing.set(row, new Set(types))
    for (const type of types) {
      const rows = this.#waiting.get(place(session, type))
      if (rows === undefined) this.#waiting.set(place(session, type), new Set([row]))
      else rows.add(row)
    }
  }

  /** Returns whether it lacks nothing any more by this; then it is held no longer. */
  tickOff(row: Row, session: string, type: string): boolean {
    const missing = this.#missing.get(row)
    if (missing === undefined || !missing.delete(type)) return false
    this.#stopWaiting(row, session, type)
    if (missing.size > 0) return false
    this.#missing.delete(row)
    return true
  }

  forget(row: Row, session: string): void {
    for (const type of this.missingOf(row)) this.#stopWaiting(row, session, type)
    this.#missing.delete(row)
  }

  #stopWaiting(row: Row, session: string, type: string): void {
    const rows = this.#waiting.get(place(session, type))
    rows?.delete(row)
    if (rows?.size === 0) this.#waiting.delete(place(session, type))
  }
}

/** A type holds no blank. */
function place(session: string, type: string): string {
  return `${type} ${session}`
}
