/**
 * Every request that has open deliveries, as slots of typed arrays. A request at rest costs nothing.
 *
 * Q1  A request has a slot exactly while it has an open delivery, or is owed one (owings.ts).
 * Q2  Deliveries that only look on (`observes`) keep the slot, and nothing else: they are not counted in `open`, not in its
 *     list of rows, and a request with nothing else is at rest.
 */
import type { Sequence } from '../event/sequence.ts'
import type { Row } from './delivery-table.ts'

/** A slot number; 0 is nobody. */
export type Slot = number

const SLOTS_AT_FIRST = 256

export class RequestTable {
  id: string[] = ['']
  open: Uint32Array = new Uint32Array(SLOTS_AT_FIRST)
  /** Open deliveries that only look on. */
  watching: Uint32Array = new Uint32Array(SLOTS_AT_FIRST)
  /** 1 while nothing of it is open but what looks on. */
  atRest: Uint8Array = new Uint8Array(SLOTS_AT_FIRST)
  /** First of its open rows. */
  first: Uint32Array = new Uint32Array(SLOTS_AT_FIRST)
  /** Absolute ms; 0 for none. Known while the work that the root opened goes on. */
  deadline: Float64Array = new Float64Array(SLOTS_AT_FIRST)
  /** Sequence of its root, or of the record that took it up again when it had come to rest. */
  root: Float64Array = new Float64Array(SLOTS_AT_FIRST)
  /** Where that was. */
  session: string[] = ['']
  /** What someone gave it since it was opened: 1 + place in `PRIORITIES`, 0 for nothing. Known while it is open. */
  priority: Uint8Array = new Uint8Array(SLOTS_AT_FIRST)
  #byId = new Map<string, Slot>()
  #free: Slot[] = []

  find(id: string): Slot {
    return this.#byId.get(id) ?? 0
  }

  add(id: string, root: Sequence, session: string, deadline = 0): Slot {
    const slot = this.#free.pop() ?? this.#next()
    this.id[slot] = id
    this.open[slot] = 0
    this.watching[slot] = 0
    this.atRest[slot] = 1
    this.first[slot] = 0
    this.deadline[slot] = deadline
    this.priority[slot] = 0
    this.root[slot] = root
    this.session[slot] = session
    this.#byId.set(id, slot)
    return slot
  }

  drop(slot: Slot): void {
    this.#byId.delete(this.id[slot] as string)
    this.id[slot] = ''
    this.session[slot] = ''
    this.#free.push(slot)
  }

  *slots(): IterableIterator<Slot> {
    yield* this.#byId.values()
  }

  firstRow(slot: Slot): Row {
    return this.first[slot] as Row
  }

  #next(): Slot {
    const slot = this.id.length
    this.id.push('')
    this.session.push('')
    if (slot === this.open.length) this.#grow()
    return slot
  }

  #grow(): void {
    const slots = this.open.length * 2
    const open = new Uint32Array(slots)
    open.set(this.open)
    const watching = new Uint32Array(slots)
    watching.set(this.watching)
    const atRest = new Uint8Array(slots)
    atRest.set(this.atRest)
    const first = new Uint32Array(slots)
    first.set(this.first)
    const deadline = new Float64Array(slots)
    deadline.set(this.deadline)
    const priority = new Uint8Array(slots)
    priority.set(this.priority)
    this.priority = priority
    const root = new Float64Array(slots)
    root.set(this.root)
    this.root = root
    this.open = open
    this.watching = watching
    this.atRest = atRest
    this.first = first
    this.deadline = deadline
  }
}
