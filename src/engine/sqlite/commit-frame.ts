/**
 * A commit on its way from the main thread to the writer: text and numbers, written once, straight into shared memory.
 *
 * Job: write a commit in the shape in which the writer needs it, and read it there.
 * Not its job: the memory (`commit-ring.ts`), the columns of the file (`commit-row.ts`).
 *
 * F1  What the link of a batch covers lies in one piece, and so does the text of the column `data`: the writer hashes
 *     and stores bytes as they are.
 * F2  A text is written as UTF-8 by itself, so half a surrogate pair never joins with the beginning of the next text.
 * F3  `frameBytesMax` of a commit is never less than what `encodeFrame` writes of it.
 */
import type { NewRecord } from '../../event/record.ts'
import type { Sequence } from '../../event/sequence.ts'
import type { Commit, IdempotencyKey } from '../engine.ts'
import { headersJson, type Mention, mentionsOf } from './commit-row.ts'

/** Memory that frames are written into; offsets are in bytes. */
export interface FrameMemory {
  readonly bytes: Buffer
  readonly integers: Int32Array
  readonly doubles: Float64Array
}

/** What the writer reads. `bytes` is what `data` and `link` are parts of, and is used again for the next frame. */
export interface CommitFrame {
  readonly first: Sequence
  readonly last: Sequence
  readonly time: number
  readonly id: string
  readonly session: string
  readonly request: string
  readonly headers: string
  readonly data: string
  readonly extras: FrameExtras | undefined
  /** `data` begins here in the frame; its items follow after `[`, with `,` between them. */
  readonly dataAt: number
  /** What the link of the batch covers, beside the hashes. */
  readonly link: Uint8Array
}

/** What few commits have. */
interface FrameExtras {
  readonly moves: readonly string[]
  readonly key: IdempotencyKey | null
  /** Further sessions and requests that its records mention. */
  readonly mentions: readonly Mention[]
}

/** Places of numbers in a frame, in bytes. After them the length of each record's data, then the texts. */
const FIRST = 0
const TIME = 8
const COUNT = 16
const ID_AT = 20
const ID_END = 24
const SESSION_AT = 28
const REQUEST_AT = 32
const REQUEST_END = 36
const HEADERS_AT = 40
const DATA_AT = 44
const DATA_END = 48
const END = 52
const LENGTHS_AT = 56
/** A record without data: `null` in the column, and no hash. */
const NO_DATA = -1

const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c

/** A character of a text is at most 3 bytes of UTF-8, and 6 where JSON escapes it. */
const UTF8_BYTES_MAX = 3
const JSON_BYTES_MAX = 6
/** The names and numbers of a header, a length, the punctuation. */
const BYTES_PER_RECORD_MAX = 384
const BYTES_PER_COMMIT_MAX = 256

/** An upper bound that costs next to nothing; `exactly` counts the bytes of the data, which costs as much as writing. */
export function frameBytesMax(commit: Commit, exactly = false): number {
  let names = commit.id.length
  let bytes = BYTES_PER_COMMIT_MAX
  for (const { type, agent, session, request, key, data } of commit.records) {
    // A session or request stands in the header or in the columns, and once more where the commit mentions it.
    names += type.length + (agent?.length ?? 0) + 2 * (session.length + request.length) + key.length
    bytes += BYTES_PER_RECORD_MAX
    if (data !== undefined) bytes += exactly ? Buffer.byteLength(data.json) : UTF8_BYTES_MAX * data.json.length
  }
  for (const move of commit.moves ?? []) names += move.length + 1
  if (commit.key !== undefined) names += commit.key.scope.length + commit.key.name.length + commit.key.print.length
  return bytes + JSON_BYTES_MAX * names
}

/** Writes the frame at `at`, a multiple of 8, and returns its length. */
export function encodeFrame(memory: FrameMemory, at: number, commit: Commit, first: Sequence): number {
  const { bytes, integers, doubles } = memory
  const { records } = commit
  const [lead] = records as readonly [NewRecord]
  doubles[(at + FIRST) >> 3] = first
  doubles[(at + TIME) >> 3] = lead.time
  integers[(at + COUNT) >> 2] = records.length
  const lengthsAt = at + LENGTHS_AT
  let end = writeLinkText(memory, at, commit, first)
  integers[(at + DATA_AT) >> 2] = end - at
  for (let index = 0; index < records.length; index++) {
    const { data } = records[index] as NewRecord
    bytes[end++] = index === 0 ? OPEN_BRACKET : COMMA
    const length = bytes.write(data === undefined ? 'null' : data.json, end)
    integers[(lengthsAt >> 2) + index] = data === undefined ? NO_DATA : length
    end += length
  }
  bytes[end++] = CLOSE_BRACKET
  integers[(at + DATA_END) >> 2] = end - at
  const extras = extrasJson(commit)
  if (extras !== '') end += bytes.write(extras, end)
  integers[(at + END) >> 2] = end - at
  return end - at
}

/** `first last id time length-of-session session+request headers`, and where each begins. Returns where it ends. */
function writeLinkText({ bytes, integers }: FrameMemory, at: number, commit: Commit, first: Sequence): number {
  const { records, id } = commit
  const { session, request, time } = records[0] as NewRecord
  const start = `${first} ${first + records.length - 1} `
  const middle = ` ${time} ${session.length} `
  const headers = headersJson(records)
  const textAt = LENGTHS_AT + 4 * records.length
  const text = `${start}${id}${middle}${session}${request} ${headers}`
  const written = bytes.write(text, at + textAt)
  // As many bytes as characters: all of it is ASCII, and each part is as long as its text. Else one by one (F2).
  const isAscii = written === text.length
  let end = textAt
  const part = (piece: string) => {
    end += isAscii ? piece.length : bytes.write(piece, at + end)
  }
  part(start)
  integers[(at + ID_AT) >> 2] = end
  part(id)
  integers[(at + ID_END) >> 2] = end
  part(middle)
  integers[(at + SESSION_AT) >> 2] = end
  part(session)
  integers[(at + REQUEST_AT) >> 2] = end
  part(request)
  integers[(at + REQUEST_END) >> 2] = end
  part(' ')
  integers[(at + HEADERS_AT) >> 2] = end
  part(headers)
  return at + end
}

function extrasJson({ moves = [], key, records }: Commit): string {
  const mentions = mentionsOf(records)
  if (moves.length === 0 && key === undefined && mentions.length === 0) return ''
  const extras: FrameExtras = { moves, key: key ?? null, mentions }
  return JSON.stringify(extras)
}

/** Reads the frame that begins `memory`. */
export function decodeFrame({ bytes, integers, doubles }: FrameMemory): CommitFrame {
  const place = (of: number) => integers[of >> 2] as number
  const text = (from: number, to: number) => bytes.toString('utf8', from, to)
  const first = doubles[FIRST >> 3] as number
  const dataAt = place(DATA_AT)
  const dataEnd = place(DATA_END)
  const end = place(END)
  return {
    first,
    last: first + place(COUNT) - 1,
    time: doubles[TIME >> 3] as number,
    id: text(place(ID_AT), place(ID_END)),
    session: text(place(SESSION_AT), place(REQUEST_AT)),
    request: text(place(REQUEST_AT), place(REQUEST_END)),
    headers: text(place(HEADERS_AT), dataAt),
    data: text(dataAt, dataEnd),
    extras: end === dataEnd ? undefined : (JSON.parse(text(dataEnd, end)) as FrameExtras),
    dataAt,
    link: bytes.subarray(LENGTHS_AT + 4 * place(COUNT), dataAt),
  }
}

/** How many bytes the data of a record has in the frame that begins `memory`; -1 for a record without. */
export function dataBytes({ integers }: FrameMemory, index: number): number {
  return integers[(LENGTHS_AT >> 2) + index] as number
}
