/**
 * Which deliveries share an `exclusive` name and a session, and which of them hold it. A part of the state.
 *
 * Job: who is there. Not its job: what follows from that (`hold-exclusive.ts`).
 */
import type { Row } from './delivery-table.ts'

/** One exclusive name in one session, while any of its work is open. */
export interface ExclusivePlace {
  readonly name: string
  readonly session: string
  /** Begun, not ended, and not standing still for a newer turn. More than one where a call runs inside the hold of a caller. */
  readonly holders: Set<Row>
  /** Not begun, as far as the log tells, or standing still. */
  readonly waiting: Set<Row>
}

export class Exclusives {
  readonly #places = new Map<string, ExclusivePlace>()
  readonly #byRow = new Map<Row, ExclusivePlace>()

  /** Open deliveries that have a place. */
  get size(): number {
    return this.#byRow.size
  }

  placeOf(row: Row): ExclusivePlace | undefined {
    return this.#byRow.get(row)
  }

  isHolder(row: Row): boolean {
    return this.#byRow.get(row)?.holders.has(row) === true
  }

  enter(row: Row, name: string, session: string): void {
    const id = `${name} ${session}`
    let place = this.#places.get(id)
    if (place === undefined) {
      place = { name, session, holders: new Set(), waiting: new Set() }
      this.#places.set(id, place)
    }
    place.waiting.add(row)
    this.#byRow.set(row, place)
  }

  /** Returns the place when this row holds it from here on, and did not before. */
  take(row: Row): ExclusivePlace | undefined {
    const place = this.#byRow.get(row)
    if (place?.waiting.delete(row) !== true) return undefined
    place.holders.add(row)
    return place
  }

  /** Returns the place when this row held it until here. */
  giveWay(row: Row): ExclusivePlace | undefined {
    const place = this.#byRow.get(row)
    if (place?.holders.delete(row) !== true) return undefined
    place.waiting.add(row)
    return place
  }

  /** Returns the place that it has left. */
  leave(row: Row): ExclusivePlace | undefined {
    const place = this.#byRow.get(row)
    if (place === undefined) return undefined
    this.#byRow.delete(row)
    place.holders.delete(row)
    place.waiting.delete(row)
    if (place.holders.size + place.waiting.size === 0) this.#places.delete(`${place.name} ${place.session}`)
    return place
  }
}
