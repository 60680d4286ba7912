import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeOwn, type Json } from '../../kernel/json.ts'
import type { Commit } from '../engine.ts'
import { dataBytes, decodeFrame, encodeFrame, type FrameMemory, frameBytesMax } from './commit-frame.ts'
import { decodeRow } from './commit-row.ts'

const AT = 64
/** With halves of surrogate pairs, NUL, quotes and everything else that a text may hold. */
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.string({ maxLength: 12 }))
const halves = fc.array(fc.constantFrom('\ud83d', '\ude00', 'a', '"', '\0', '€'), { maxLength: 4 })
const name = fc.oneof(
  text,
  fc.constantFrom('a', 'b'),
  halves.map((list) => list.join('')),
)
const record = fc.record(
  {
    time: fc.integer({ min: 0, max: 2 ** 52 }),
    type: name,
    version: fc.integer({ min: 2, max: 9 }),
    session: name,
    request: name,
    key: name,
    cause: fc.nat(),
    hops: fc.nat(32),
    agent: name,
    deadline: fc.integer({ min: 0, max: 2 ** 52 }),
    due: fc.integer({ min: 0, max: 2 ** 52 }),
    data: fc.jsonValue({ maxDepth: 3 }).map((value) => encodeOwn(value as Json)),
  },
  { requiredKeys: ['time', 'type', 'session', 'request', 'key', 'cause', 'hops'] },
)
const commits = fc.record(
  {
    id: name,
    moves: fc.array(name, { maxLength: 3 }),
    key: fc.record({ scope: name, name, print: name }),
    records: fc.array(record, { minLength: 1, maxLength: 5 }),
  },
  { requiredKeys: ['id', 'records'] },
) as fc.Arbitrary<Commit>

function memory(bytes: number): FrameMemory {
  const shared = new SharedArrayBuffer(bytes)
  return { bytes: Buffer.from(shared), integers: new Int32Array(shared), doubles: new Float64Array(shared) }
}

/** Writes it somewhere, and reads a copy of it as the writer does. */
function written(commit: Commit, first: number) {
  const source = memory((AT + frameBytesMax(commit) + 7) & -8)
  const bytes = encodeFrame(source, AT, commit, first)
  const copy = memory((bytes + 7) & -8)
  copy.bytes.set(source.bytes.subarray(AT, AT + bytes))
  return { bytes, copy, frame: decodeFrame(copy) }
}

/** As UTF-8 gives it back. */
const wellFormed = (value: string) => Buffer.from(value).toString()

describe('a commit as a frame', () => {
  it('holds what the columns of its row are', () => {
    fc.assert(
      fc.property(commits, fc.integer({ min: 1, max: 2 ** 50 }), (commit, first) => {
        const { copy, frame } = written(commit, first)
        const [lead] = commit.records as readonly [Commit['records'][0]]
        expect(frame).toMatchObject({
          first,
          last: first + commit.records.length - 1,
          time: lead.time,
          id: wellFormed(commit.id),
          session: wellFormed(lead.session),
          request: wellFormed(lead.request),
        })
        expect(frame.data).toBe(`[${commit.records.map(({ data }) => data?.json ?? 'null').join(',')}]`)
        expect(frame.extras?.moves ?? []).toEqual(commit.moves ?? [])
        expect(frame.extras?.key ?? undefined).toEqual(commit.key)
        for (const { session, request } of commit.records) {
          if (session !== lead.session) expect(frame.extras?.mentions).toContainEqual(['session', session])
          if (request !== lead.request) expect(frame.extras?.mentions).toContainEqual(['request', request])
        }
        let at = frame.dataAt + 1
        for (const [index, { data }] of commit.records.entries()) {
          const bytes = dataBytes(copy, index)
          expect(bytes).toBe(data === undefined ? -1 : Buffer.byteLength(data.json))
          if (bytes >= 0) expect(copy.bytes.toString('utf8', at, at + bytes)).toBe(data?.json)
          at += (bytes < 0 ? 4 : bytes) + 1
        }
      }),
    )
  })

  it('F1: the link covers the columns in one piece', () => {
    fc.assert(
      fc.property(commits, fc.integer({ min: 1, max: 2 ** 50 }), (commit, first) => {
        const { first: start, last, id, time, session, request, headers, link } = written(commit, first).frame
        expect(Buffer.from(link).toString()).toBe(
          `${start} ${last} ${id} ${time} ${session.length} ${session}${request} ${headers}`,
        )
      }),
    )
  })

  it('is read back as the records that were written', () => {
    fc.assert(
      fc.property(commits, (commit) => {
        const { frame } = written(commit, 7)
        const hashes = new Uint8Array(32 * commit.records.length)
        const records = decodeRow({ ...frame, hashes }, 'log.db')
        const expected = commit.records.map(({ data, ...header }, index) => {
          const { session, request } = header
          const lead = commit.records[0] as Commit['records'][0]
          return {
            ...header,
            session: session === lead.session && !session.includes('\0') ? wellFormed(session) : session,
            request: request === lead.request && !request.includes('\0') ? wellFormed(request) : request,
            key: header.key === session && !session.includes('\0') ? expect.any(String) : header.key,
            sequence: 7 + index,
            data: data === undefined ? null : JSON.parse(data.json),
            dataHash: '0'.repeat(64),
          }
        })
        expect(records).toEqual(expected)
      }),
    )
  })

  it('F3: never takes more than it was said to take', () => {
    const longest = (character: string) => ({
      id: character.repeat(256),
      moves: [character.repeat(256), ''],
      key: { scope: character.repeat(256), name: character, print: character },
      records: [0, 1].map((index) => ({
        time: 2 ** 52 - index,
        type: character.repeat(128),
        version: 2 ** 52,
        session: character.repeat(256 - index),
        request: character.repeat(256 - index),
        key: character.repeat(255),
        cause: 2 ** 52,
        hops: 2 ** 52,
        agent: character.repeat(128),
        deadline: 2 ** 52,
        due: 2 ** 52,
        data: encodeOwn(character.repeat(1_000)),
      })),
    })
    for (const character of ['a', 'ü', '€', '😀', '\0', '"', '\ud800'])
      for (const exactly of [false, true]) {
        const commit = longest(character)
        expect(written(commit, 2 ** 52).bytes).toBeLessThanOrEqual(frameBytesMax(commit, exactly))
      }
    fc.assert(
      fc.property(commits, (commit) => {
        const exact = frameBytesMax(commit, true)
        expect(written(commit, 2 ** 52).bytes).toBeLessThanOrEqual(exact)
        expect(exact).toBeLessThanOrEqual(frameBytesMax(commit))
      }),
    )
  })
})
