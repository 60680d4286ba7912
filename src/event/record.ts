/**
 * What the log holds: a header that the fold reads, and data beside it.
 *
 * R1  `sequence` orders all records of a spine; the records of one commit are neighbours.
 * R2  `request` is the id of the causal tree; its root record has `hops` 0.
 * R3  For a record that tells of a delivery, (`cause`, `agent`) names the delivery: the record that opened it and who
 *     handles it. For an event that a run emitted the same two name the run it came from.
 * R4  `dataHash` covers the data with a salt of its own, so that data can be redacted and the rest still verifies.
 */
import type { Encoded, Json } from '../kernel/json.ts'
import type { Priority } from './priority.ts'
import type { Sequence } from './sequence.ts'

export interface RecordHeader {
  /** Milliseconds since 1970 (UTC), stamped by the process that wrote it; never used for order. */
  readonly time: number
  /** A user's event type (`inquiry.received`) or a system fact (`spine.*`). */
  readonly type: string
  /** Version of a user's event schema; 1 when absent. */
  readonly version?: number | undefined
  readonly session: string
  readonly request: string
  /** What it is ordered by; the session unless the publisher said otherwise. */
  readonly key: string
  /** The record that led to this one, 0 for the root of a request. */
  readonly cause: Sequence
  /** Distance from the root of the request. */
  readonly hops: number
  readonly agent?: string | undefined
  /** Absolute ms: nothing that follows from this record starts after it. */
  readonly deadline?: number | undefined
  /** Absolute ms, of a delayed event: its deliveries begin then. */
  readonly due?: number | undefined
  /** Of the work that follows from it; `'normal'` when absent. */
  readonly priority?: Priority | undefined
}

/** A record on its way to the log: the engine gives it its sequence and its hash. */
export interface NewRecord extends RecordHeader {
  /** Encoded once by whoever made it; a record without data has none. */
  readonly data?: Encoded | undefined
}

/** A record as it is read. */
export interface LogRecord extends RecordHeader {
  readonly sequence: Sequence
  /** Frozen. `null` for a record without data. */
  readonly data: Json
  /** Hex of SHA-256(salt ‖ JSON of the data). Absent on a record that comes from this process's own memory. */
  readonly dataHash?: string | undefined
}

/** Everything of a header but what kind of record it is. */
export type Place = Omit<RecordHeader, 'type'>

/*
 * Records are made by the two functions below, which write out every field in one order. An object that is put together
 * by spreading one whose fields vary takes about ten times the memory (1.2 kB for a record, measured by sampling the heap
 * under `npm run bench -- pipeline`), and the collector pays for it.
 */

export function newRecord(type: string, place: Place, data: Encoded | undefined): NewRecord {
  return {
    time: place.time,
    type,
    version: place.version,
    session: place.session,
    request: place.request,
    key: place.key,
    cause: place.cause,
    hops: place.hops,
    agent: place.agent,
    deadline: place.deadline,
    due: place.due,
    priority: place.priority,
    data,
  }
}

/** A new record at its place in the order. */
export function sequenced(record: NewRecord, sequence: Sequence): LogRecord {
  return {
    sequence,
    time: record.time,
    type: record.type,
    version: record.version,
    session: record.session,
    request: record.request,
    key: record.key,
    cause: record.cause,
    hops: record.hops,
    agent: record.agent,
    deadline: record.deadline,
    due: record.due,
    priority: record.priority,
    data: record.data === undefined ? null : record.data.value,
    dataHash: undefined,
  }
}

/** The id of an event for the outside: the request's id for its root, else the request and the place in the order. */
export function eventId(record: Pick<LogRecord, 'request' | 'hops' | 'sequence'>): string {
  return record.hops === 0 ? record.request : `${record.request}.${record.sequence}`
}

export function isSystemType(type: string): boolean {
  return type.startsWith('spine.')
}
