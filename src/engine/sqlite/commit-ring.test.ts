import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CommitRing } from './commit-ring.ts'

/** Both ends in one thread: what may happen between two threads is any order of these calls. */
function twoEnds(capacityBytes: number, position = 0) {
  const source = CommitRing.create(capacityBytes, position)
  const sink = CommitRing.over(source.memory)
  return {
    source,
    sink,
    put(bytes: number, fill: number, reserved = bytes): boolean {
      const offset = source.reserve(reserved)
      if (offset < 0) return false
      source.bytes.fill(fill, offset, offset + bytes)
      source.put(offset, bytes)
      return true
    },
    /** Length and fill of the next frame. */
    take(): readonly [bytes: number, fill: number] | undefined {
      const offset = sink.take()
      if (offset < 0) return undefined
      const bytes = sink.frameBytes(offset)
      const frame = sink.bytes.subarray(offset, offset + bytes)
      const fill = frame[0] ?? 0
      expect(frame.every((byte) => byte === fill)).toBe(true)
      return [bytes, fill]
    },
  }
}

const frame = fc.record({
  kind: fc.constant('put' as const),
  bytes: fc.integer({ min: 1, max: 140 }),
  spare: fc.nat(40),
})
const step = fc.oneof(
  { weight: 4, arbitrary: frame },
  { weight: 2, arbitrary: fc.constant({ kind: 'publish' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'look' as const }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'take' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'release' as const }) },
)

describe('a ring of commits', () => {
  it('N1 N2 N3: frames of any size come out whole, once, in order, when they were published, over any wrap', () => {
    const positions = fc.constantFrom(0, 2 ** 31 - 256, -256, -(2 ** 31))
    fc.assert(
      fc.property(positions, fc.array(step, { maxLength: 300 }), (position, steps) => {
        const ring = twoEnds(512, position)
        const staged: [number, number][] = []
        const published: [number, number][] = []
        const seen: [number, number][] = []
        let count = 0
        for (const one of steps) {
          if (one.kind === 'put') {
            const fill = (count++ % 255) + 1
            if (ring.put(one.bytes, fill, one.bytes + one.spare)) staged.push([one.bytes, fill])
          } else if (one.kind === 'publish') {
            ring.source.publish()
            published.push(...staged.splice(0))
          } else if (one.kind === 'look') {
            expect(ring.sink.look()).toBe(published.length + seen.length > 0)
            seen.push(...published.splice(0))
          } else if (one.kind === 'take') {
            expect(ring.sink.hasNext()).toBe(seen.length > 0)
            expect(ring.take()).toEqual(seen.shift())
          } else ring.sink.release()
        }
      }),
      { numRuns: 300 },
    )
  })

  it('N3: what was taken keeps its room until it is released', () => {
    const ring = twoEnds(512)
    let count = 0
    while (ring.put(56, ++count)) ring.source.publish()
    expect(count).toBe(9)
    ring.sink.look()
    const offset = ring.sink.take()
    expect(ring.put(56, 99)).toBe(false)
    expect(ring.sink.bytes[offset]).toBe(1)
    ring.sink.release()
    expect(ring.put(56, 99)).toBe(true)
  })

  it('takes a frame of the largest size wherever it stands, once it is empty', () => {
    for (let start = 1; start <= 496; start++) {
      const ring = twoEnds(512)
      const filler = Math.min(start, ring.source.frameBytesMax)
      for (const bytes of [filler, start - filler]) {
        if (bytes === 0) continue
        expect(ring.put(bytes, 1)).toBe(true)
        ring.source.publish()
        ring.sink.look()
        ring.take()
        ring.sink.release()
      }
      expect(ring.put(ring.source.frameBytesMax, 7), `after ${start} bytes`).toBe(true)
      ring.source.publish()
      ring.sink.look()
      expect(ring.take()).toEqual([ring.source.frameBytesMax, 7])
    }
    expect(CommitRing.create(512).reserve(513)).toBe(-1)
  })

  it('a reservation costs nothing: the frame takes what it became', () => {
    const ring = twoEnds(1_024)
    for (let count = 1; count <= 20; count++) expect(ring.put(24, count, 200)).toBe(true)
  })

  it('N4: whoever is about to sleep sees what came meanwhile', () => {
    const { source, sink, put } = twoEnds(512)
    put(1, 1)
    source.publish()
    sink.sleep(() => false)
    expect(sink.take()).toBe(8)
    sink.sleep(() => true)
    expect(sink.look()).toBe(false)
  })

  it('counts what was confirmed, also past 2^31', () => {
    const { source, sink } = twoEnds(512)
    sink.confirm(2 ** 31 - 1)
    const before = source.confirmed()
    sink.confirm(3)
    expect((source.confirmed() - before) | 0).toBe(3)
  })

  it('tells once until it was heard', () => {
    const { source, sink } = twoEnds(512)
    expect([sink.confirm(1), sink.confirm(1), source.confirmed(), sink.confirm(1)]).toEqual([true, false, 2, true])
  })
})
