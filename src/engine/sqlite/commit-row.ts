/** A commit as one row, and back. Encoded once, on the main thread; hashed by the writer; decoded by readers. */
import type { LogRecord, NewRecord, RecordHeader } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import { SpineError } from '../../kernel/errors.ts'
import { freezeJson, type Json } from '../../kernel/json.ts'
import type { Commit, IdempotencyKey } from '../engine.ts'

/** What the main thread sends to the writer. */
export interface CommitRow {
  readonly first: Sequence
  readonly last: Sequence
  readonly id: string
  readonly time: number
  readonly session: string
  readonly request: string
  readonly headers: string
  /** JSON of each record's data; `null` for a record without. */
  readonly data: readonly (string | null)[]
  readonly moves: readonly string[]
  readonly key: IdempotencyKey | undefined
  /** Further sessions and requests that its records mention. */
  readonly mentions: readonly (readonly ['session' | 'request', string])[]
  readonly bytes: number
}

const NO_MENTIONS: readonly (readonly ['session' | 'request', string])[] = []
const NO_MOVES: readonly string[] = []

export function encodeCommit(commit: Commit, first: Sequence): CommitRow {
  const [lead] = commit.records as readonly [NewRecord]
  const { session, request, time } = lead
  let mentions = NO_MENTIONS
  let bytes = 0
  const headers: object[] = []
  const data: (string | null)[] = []
  for (const record of commit.records) {
    headers.push(briefHeader(record, lead))
    data.push(record.data?.json ?? null)
    bytes += record.data?.json.length ?? 0
    if (record.session !== session) mentions = withMention(mentions, 'session', record.session)
    if (record.request !== request) mentions = withMention(mentions, 'request', record.request)
  }
  const headersJson = JSON.stringify(headers)
  return {
    first,
    last: first + commit.records.length - 1,
    id: commit.id,
    time,
    session,
    request,
    headers: headersJson,
    data,
    moves: commit.moves ?? NO_MOVES,
    key: commit.key,
    mentions,
    bytes: bytes + headersJson.length,
  }
}

/** A text that a column may not give back whole: node:sqlite of Node 22 cuts it off at U+0000. JSON escapes that. */
function isCut(text: string): boolean {
  return text.includes('\0')
}

/** Assigned one by one: on the hot path a chain of spreads costs more than the rest of the encoding. */
function briefHeader(record: NewRecord, lead: NewRecord): object {
  const { session } = lead
  const brief: { -readonly [Name in keyof RecordHeader]?: RecordHeader[Name] } = {
    type: record.type,
    cause: record.cause,
    hops: record.hops,
  }
  if (record.agent !== undefined) brief.agent = record.agent
  if (record.deadline !== undefined) brief.deadline = record.deadline
  if (record.version !== undefined) brief.version = record.version
  if (record.time !== lead.time) brief.time = record.time
  if (record.session !== session || isCut(session)) brief.session = record.session
  if (record.request !== lead.request || isCut(lead.request)) brief.request = record.request
  if (record.key !== record.session) brief.key = record.key
  return brief
}

function withMention(
  mentions: CommitRow['mentions'],
  kind: 'session' | 'request',
  name: string,
): CommitRow['mentions'] {
  return mentions.some(([knownKind, known]) => knownKind === kind && known === name)
    ? mentions
    : [...mentions, [kind, name]]
}

/** A row as it is read. */
export interface StoredRow {
  readonly first: number
  readonly last: number
  readonly time: number
  readonly session: string
  readonly request: string
  readonly headers: string
  readonly data: string
  readonly hashes: Uint8Array
}

/** @throws SPINE_LOG_CORRUPT when the row does not hold what it says */
export function decodeRow(row: StoredRow, path: string): LogRecord[] {
  const headers = parseList(row.headers, row, path)
  const data = parseList(row.data, row, path)
  const count = row.last - row.first + 1
  if (headers.length !== count || data.length !== count || row.hashes.length !== count * 32) {
    throw corrupt(path, `commit ${row.first} does not hold ${count} records`)
  }
  return headers.map((header, index) =>
    decodeRecord(header as Partial<LogRecord>, freezeJson(data[index] as Json), row, index),
  )
}

function decodeRecord(header: Partial<LogRecord>, data: Json, row: StoredRow, index: number): LogRecord {
  const session = header.session ?? row.session
  const record = {
    sequence: row.first + index,
    time: header.time ?? row.time,
    type: header.type as string,
    session,
    request: header.request ?? row.request,
    key: header.key ?? session,
    cause: header.cause as number,
    hops: header.hops as number,
    data,
    dataHash: hex(row.hashes.subarray(index * 32, index * 32 + 32)),
    ...(header.agent === undefined ? undefined : { agent: header.agent }),
    ...(header.deadline === undefined ? undefined : { deadline: header.deadline }),
    ...(header.version === undefined ? undefined : { version: header.version }),
  }
  return Object.freeze(record)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function parseList(json: string, row: StoredRow, path: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(json)
    if (Array.isArray(list)) return list
  } catch {
    // Told below, with the place.
  }
  throw corrupt(path, `commit ${row.first} cannot be read`)
}

export function corrupt(path: string, what: string, cause?: unknown): SpineError {
  return new SpineError('SPINE_LOG_CORRUPT', `${path}: ${what}.`, {
    value: path,
    fix: 'Restore the file from a backup (made with VACUUM INTO), or name another file.',
    ...(cause === undefined ? {} : { cause }),
  })
}
