/**
 * Every open delivery as a row of typed arrays: what waits costs tens of bytes, not an object.
 *
 * Job: rows, and the three lists that a row is in: the queue of its key, its request, its source record.
 * Not its job: what happens to a delivery (`evolve.ts`). Journals of runs that have begun live beside it (`state.ts`).
 *
 * D1  A row is in the queue of its key exactly while it is open and has a key; only the head of a queue may run.
 * D2  A queue is in the order of sources, but what stands at its head is never displaced once it may have begun.
 * D3  Row 0 is nobody: 0 in a link means none.
 * D4  A row and a source together name one delivery of a process for good, so that whoever remembers them sees when it has
 *     ended: a row is given to ever later sources, or again to the same delivery. For what opens late (admitted, redriven)
 *     each agent has rows of its own, which come in its order.
 */
import type { Sequence } from '../event/sequence.ts'

/** A row number; 0 is nobody. */
export type Row = number

/**
 * - `free`: no delivery.
 * - `queued`: behind another of its key, or first of a key that is blocked. Leaves when that one ends, or the block does.
 * - `ready`: may run, or runs; the log does not say which. Entered on opening at the head, or from `queued`, `paused`.
 * - `backoff`: an attempt failed; may run again from `due` on. Entered by `spine.delivery.retried`.
 * - `paused`: stands still until someone acts. Entered by `spine.delivery.paused`.
 * - `joining`: gathers events, in no queue (join.ts).
 * - `delayed`: its event is not due yet, in no queue (delays.ts).
 * - `held`: would be ready, but its session lacks an event that it comes after (after.ts).
 */
export const STATUS = { free: 0, queued: 1, ready: 2, backoff: 3, paused: 4, joining: 5, held: 6, delayed: 7 } as const
export type Status = (typeof STATUS)[keyof typeof STATUS]

const ROWS_AT_FIRST = 256
/** Rows that are looked at for what opens late, before it is given a new one. */
const LATE_LOOKS = 8

export class DeliveryTable {
  /** Sequence of the record that opened it: with the agent, its name. */
  source: Float64Array = new Float64Array(ROWS_AT_FIRST)
  /** Index of the agent in the state. */
  agent: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  /** Index of the type of the event that opened it; 0 for directed work. */
  type: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  /** Slot of its request. */
  request: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  status: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** Attempts that failed. */
  attempt: Uint16Array = new Uint16Array(ROWS_AT_FIRST)
  hops: Uint16Array = new Uint16Array(ROWS_AT_FIRST)
  /** 1 while the log knows that its handler has been entered and holds a slot; see `crashes.ts`. */
  started: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** 1 when its present attempt is known to the log: it goes on also where nothing new may start; see `pauses.ts`. */
  began: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** Processes that died while it was started, since it last made progress. */
  crashes: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** How often it was begun anew on another basis. */
  generation: Uint16Array = new Uint16Array(ROWS_AT_FIRST)
  /** 1 for one that only looks on: its request does not wait for it, and does not end it. */
  observes: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** Its class: place in `PRIORITIES`. */
  priority: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** As `priority`, or less when something more urgent waits for it (urge.ts). */
  urgency: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** How often it made room for more urgent work. */
  preemptions: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** How often a newer turn of its session started it over. */
  turns: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** When a `backoff` ends, or the time of a `joining` is up, absolute ms. */
  due: Float64Array = new Float64Array(ROWS_AT_FIRST)
  /** Absolute ms after which it may not start or go on; 0 for none. */
  deadline: Float64Array = new Float64Array(ROWS_AT_FIRST)
  /** The run that waits for the reply; 0 when nobody in the log does. */
  caller: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  /** Sequence of the `spine.call.requested` whose reply is owed; it moves along with a handoff. 0 for a reaction. */
  call: Float64Array = new Float64Array(ROWS_AT_FIRST)
  session: string[] = ['']
  /** The key of the record that opened it, whether the work is ordered by it or not: what it emits inherits it. */
  partition: string[] = ['']
  /** What it is ordered by; empty for unordered work. */
  key: string[] = ['']

  #keyNext: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  #keyPrevious: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  /** At the head of a queue: its last row. */
  #keyLast: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  #requestNext: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  #requestPrevious: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  #sibling: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  /** Head of the list of rows that one record opened. */
  #bySource = new Map<Sequence, Row>()
  #free: Row[] = []
  /** Agent → free rows of what opened late. */
  readonly #freeLate = new Map<number, Row[]>()
  #freeLateCount = 0
  /** The latest source of each row. */
  #latest: Float64Array = new Float64Array(ROWS_AT_FIRST)
  #isLate: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  #latestOfAll = 0
  #used = 1

  get openCount(): number {
    return this.#used - 1 - this.#free.length - this.#freeLateCount
  }

  /** A new row, linked to its source; the caller fills the columns and links it to its key and request. */
  add(source: Sequence, agent: number): Row {
    const row = source > this.#latestOfAll ? (this.#free.pop() ?? this.#next()) : this.#take(source, agent)
    if (source > this.#latestOfAll) this.#latestOfAll = source
    this.#latest[row] = source
    this.source[row] = source
    this.agent[row] = agent
    this.attempt[row] = 0
    this.due[row] = 0
    this.started[row] = 0
    this.began[row] = 0
    this.crashes[row] = 0
    this.generation[row] = 0
    this.observes[row] = 0
    this.preemptions[row] = 0
    this.turns[row] = 0
    this.#sibling[row] = this.#bySource.get(source) ?? 0
    this.#bySource.set(source, row)
    return row
  }

  /** Frees a row that is in no queue and no request any more. */
  drop(row: Row): void {
    this.#unlinkSource(row)
    this.status[row] = STATUS.free
    this.source[row] = 0
    this.session[row] = ''
    this.partition[row] = ''
    this.key[row] = ''
    if (this.#isLate[row] === 1) this.#dropLate(row)
    else this.#free.push(row)
  }

  /** For a source that may have had a delivery before: D4. */
  #take(source: Sequence, agent: number): Row {
    const last = this.#free.at(-1)
    if (last !== undefined && (this.#latest[last] as number) < source) return this.#free.pop() as Row
    const late = this.#freeLate.get(agent) ?? []
    for (let at = late.length - 1; at >= Math.max(0, late.length - LATE_LOOKS); at--) {
      const row = late[at] as Row
      if ((this.#latest[row] as number) > source) continue
      late.splice(at, 1)
      this.#freeLateCount--
      return row
    }
    const row = this.#next()
    this.#isLate[row] = last === undefined && source === this.#latestOfAll ? 0 : 1
    return row
  }

  #dropLate(row: Row): void {
    const agent = this.agent[row] as number
    const late = this.#freeLate.get(agent)
    if (late === undefined) this.#freeLate.set(agent, [row])
    else late.push(row)
    this.#freeLateCount++
  }

  /** Whether anything that this record opened is still open. */
  hasSource(source: Sequence): boolean {
    return this.#bySource.has(source)
  }

  find(source: Sequence, agent: number): Row {
    let row = this.#bySource.get(source) ?? 0
    while (row !== 0 && this.agent[row] !== agent) row = this.#sibling[row] as Row
    return row
  }

  *rows(): IterableIterator<Row> {
    for (let row = 1; row < this.#used; row++) if (this.status[row] !== STATUS.free) yield row
  }

  /** Puts a row before all others of its key, which is woken by whoever did so. Only where no head has begun (D2). */
  enqueueFirst(heads: Map<string, Row>, row: Row): false {
    const key = this.key[row] as string
    const head = heads.get(key) ?? 0
    heads.set(key, row)
    this.#keyPrevious[row] = 0
    this.#keyNext[row] = head
    this.#keyLast[row] = head === 0 ? row : (this.#keyLast[head] as Row)
    if (head !== 0) this.#keyPrevious[head] = row
    return false
  }

  /** Puts a row into the queue of its key. Returns whether it is the head and so may run. */
  enqueue(heads: Map<string, Row>, row: Row): boolean {
    const key = this.key[row] as string
    const head = heads.get(key)
    if (head === undefined) {
      heads.set(key, row)
      this.#keyNext[row] = 0
      this.#keyPrevious[row] = 0
      this.#keyLast[row] = row
      return true
    }
    let after = this.#keyLast[head] as Row
    while (after !== head && (this.source[after] as number) > (this.source[row] as number))
      after = this.#keyPrevious[after] as Row
    const next = this.#keyNext[after] as Row
    this.#keyPrevious[row] = after
    this.#keyNext[row] = next
    this.#keyNext[after] = row
    if (next === 0) this.#keyLast[head] = row
    else this.#keyPrevious[next] = row
    return false
  }

  /** Takes a row out of its queue. Returns the row that has become the head by it, or 0. */
  dequeue(heads: Map<string, Row>, row: Row): Row {
    const key = this.key[row] as string
    const next = this.#keyNext[row] as Row
    if (heads.get(key) !== row) {
      const previous = this.#keyPrevious[row] as Row
      this.#keyNext[previous] = next
      if (next === 0) this.#keyLast[heads.get(key) as Row] = previous
      else this.#keyPrevious[next] = previous
      return 0
    }
    if (next === 0) {
      heads.delete(key)
      return 0
    }
    heads.set(key, next)
    this.#keyPrevious[next] = 0
    this.#keyLast[next] = this.#keyLast[row] as Row
    return next
  }

  /** The next row in the queue of the same key. */
  nextOfKey(row: Row): Row {
    return this.#keyNext[row] as Row
  }

  /** The row before it in the queue of the same key; 0 for the head. */
  previousOfKey(row: Row): Row {
    return this.#keyPrevious[row] as Row
  }

  /** Puts a row behind all others of its key, whatever their sources: for a queue whose order is known. */
  enqueueLast(heads: Map<string, Row>, row: Row): void {
    const key = this.key[row] as string
    const head = heads.get(key)
    if (head === undefined) {
      this.enqueue(heads, row)
      return
    }
    const last = this.#keyLast[head] as Row
    this.#keyNext[last] = row
    this.#keyPrevious[row] = last
    this.#keyNext[row] = 0
    this.#keyLast[head] = row
  }

  linkRequest(first: Row, row: Row): void {
    this.#requestNext[row] = first
    this.#requestPrevious[row] = 0
    if (first !== 0) this.#requestPrevious[first] = row
  }

  /** Returns the new first row of the request. */
  unlinkRequest(first: Row, row: Row): Row {
    const next = this.#requestNext[row] as Row
    const previous = this.#requestPrevious[row] as Row
    if (next !== 0) this.#requestPrevious[next] = previous
    if (previous !== 0) this.#requestNext[previous] = next
    return first === row ? next : first
  }

  /** The next open row of the same request. */
  nextOfRequest(row: Row): Row {
    return this.#requestNext[row] as Row
  }

  #unlinkSource(row: Row): void {
    const source = this.source[row] as Sequence
    const next = this.#sibling[row] as Row
    let other = this.#bySource.get(source) as Row
    if (other === row) {
      if (next === 0) this.#bySource.delete(source)
      else this.#bySource.set(source, next)
      return
    }
    while (this.#sibling[other] !== row) other = this.#sibling[other] as Row
    this.#sibling[other] = next
  }

  #next(): Row {
    if (this.#used === this.source.length) this.#grow()
    this.session.push('')
    this.partition.push('')
    this.key.push('')
    return this.#used++
  }

  #grow(): void {
    const rows = this.source.length * 2
    const f64 = (from: Float64Array) => copyInto(new Float64Array(rows), from)
    const u32 = (from: Uint32Array) => copyInto(new Uint32Array(rows), from)
    const u16 = (from: Uint16Array) => copyInto(new Uint16Array(rows), from)
    this.source = f64(this.source)
    this.agent = u32(this.agent)
    this.type = u32(this.type)
    this.request = u32(this.request)
    this.status = copyInto(new Uint8Array(rows), this.status)
    this.attempt = u16(this.attempt)
    this.hops = u16(this.hops)
    this.started = copyInto(new Uint8Array(rows), this.started)
    this.began = copyInto(new Uint8Array(rows), this.began)
    this.crashes = copyInto(new Uint8Array(rows), this.crashes)
    this.generation = u16(this.generation)
    this.observes = copyInto(new Uint8Array(rows), this.observes)
    this.priority = copyInto(new Uint8Array(rows), this.priority)
    this.urgency = copyInto(new Uint8Array(rows), this.urgency)
    this.preemptions = copyInto(new Uint8Array(rows), this.preemptions)
    this.turns = copyInto(new Uint8Array(rows), this.turns)
    this.due = f64(this.due)
    this.deadline = f64(this.deadline)
    this.caller = u32(this.caller)
    this.call = f64(this.call)
    this.#keyNext = u32(this.#keyNext)
    this.#keyPrevious = u32(this.#keyPrevious)
    this.#keyLast = u32(this.#keyLast)
    this.#requestNext = u32(this.#requestNext)
    this.#requestPrevious = u32(this.#requestPrevious)
    this.#sibling = u32(this.#sibling)
    this.#latest = f64(this.#latest)
    this.#isLate = copyInto(new Uint8Array(rows), this.#isLate)
  }
}

function copyInto<Column extends { set(from: Column): void }>(into: Column, from: Column): Column {
  into.set(from)
  return into
}
