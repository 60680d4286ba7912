/** A commit as one row of the file, and back: what its headers leave out, and what a reader puts in again. */
import type { LogRecord, NewRecord } from '../../event/record.ts'
import { SpineError } from '../../kernel/errors.ts'
import { freezeJson, type Json } from '../../kernel/json.ts'

export type Mention = readonly ['session' | 'request', string]

const NO_MENTIONS: readonly Mention[] = []

/** Sessions and requests of a commit beside those of its first record, which are columns. */
export function mentionsOf(records: readonly NewRecord[]): readonly Mention[] {
  const { session, request } = records[0] as NewRecord
  let mentions = NO_MENTIONS
  for (const record of records) {
    if (record.session !== session) mentions = withMention(mentions, 'session', record.session)
    if (record.request !== request) mentions = withMention(mentions, 'request', record.request)
  }
  return mentions
}

function withMention(mentions: readonly Mention[], kind: Mention[0], name: string): readonly Mention[] {
  return mentions.some(([knownKind, known]) => knownKind === kind && known === name)
    ? mentions
    : [...mentions, [kind, name]]
}

/** The column `headers`. Put together by hand: on the hot path `JSON.stringify` of objects took five times as long. */
export function headersJson(records: readonly NewRecord[]): string {
  const lead = records[0] as NewRecord
  let json = '['
  for (const record of records) json += json === '[' ? headerJson(record, lead) : `,${headerJson(record, lead)}`
  return `${json}]`
}

function headerJson(record: NewRecord, lead: NewRecord): string {
  const { session, request } = record
  let json = `{"type":${quoted(record.type)},"cause":${record.cause},"hops":${record.hops}`
  if (record.agent !== undefined) json += `,"agent":${quoted(record.agent)}`
  if (record.deadline !== undefined) json += `,"deadline":${record.deadline}`
  if (record.due !== undefined) json += `,"due":${record.due}`
  if (record.priority !== undefined) json += `,"priority":${quoted(record.priority)}`
  if (record.version !== undefined) json += `,"version":${record.version}`
  if (record.time !== lead.time) json += `,"time":${record.time}`
  if (session !== lead.session || isCut(session)) json += `,"session":${quoted(session)}`
  if (request !== lead.request || isCut(request)) json += `,"request":${quoted(request)}`
  if (record.key !== session) json += `,"key":${quoted(record.key)}`
  return `${json}}`
}

/** A text that a column may not give back whole: node:sqlite of Node 22 cuts it off at U+0000. JSON escapes that. */
function isCut(text: string): boolean {
  return text.includes('\0')
}

/** Printable ASCII but `"` and `\`: what JSON writes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** A row as it is read. */
export interface CommitRow {
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
export function decodeRow(row: CommitRow, path: string): LogRecord[] {
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

function decodeRecord(header: Partial<LogRecord>, data: Json, row: CommitRow, index: number): LogRecord {
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
    ...(header.due === undefined ? undefined : { due: header.due }),
    ...(header.priority === undefined ? undefined : { priority: header.priority }),
    ...(header.version === undefined ? undefined : { version: header.version }),
  }
  return Object.freeze(record)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function parseList(json: string, row: CommitRow, path: string): readonly unknown[] {
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
