import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createUuid } from './ids.ts'
import { seededRandom } from './random.ts'

/** The first instant of the year 10000, past which a date is written otherwise; 48 bits reach further. */
const TIME_MS_MAX = 253_402_300_800_000
const timeMs = fc.nat(TIME_MS_MAX)

describe('createUuid', () => {
  it('has the form of a UUID, version 7, and the RFC variant', () => {
    fc.assert(
      fc.property(timeMs, fc.string(), (nowMs, seed) => {
        expect(createUuid(nowMs, seededRandom(seed))).toMatch(
          /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        )
      }),
    )
  })

  it('carries the time in its first 48 bits', () => {
    fc.assert(
      fc.property(timeMs, (nowMs) => {
        expect(Number.parseInt(createUuid(nowMs, seededRandom('x')).replace('-', '').slice(0, 12), 16)).toBe(nowMs)
      }),
    )
  })

  it('sorts as text the way the times sort as numbers', () => {
    const random = seededRandom('sort')
    fc.assert(
      fc.property(timeMs, timeMs, (left, right) => {
        fc.pre(left !== right)
        expect(createUuid(left, random) < createUuid(right, random)).toBe(left < right)
      }),
    )
  })

  it('takes a time between two milliseconds', () => {
    expect(createUuid(1.75, seededRandom('x'))).toBe(createUuid(1, seededRandom('x')))
  })

  it('repeats with the same time and seed, and with nothing else', () => {
    expect(createUuid(5, seededRandom('a'))).toBe(createUuid(5, seededRandom('a')))
    expect(createUuid(5, seededRandom('a'))).not.toBe(createUuid(5, seededRandom('b')))
  })

  it('does not collide within a millisecond when every id has a seed of its own, as `ctx.uuid()` has', () => {
    const ids = new Set<string>()
    // With 32 bits of state behind a seed, nine pairs among these would be expected to be equal.
    const count = 280_000
    for (let call = 0; call < count; call++) ids.add(createUuid(5, seededRandom(`41:inquiry:1:${call}`)))
    expect(ids.size).toBe(count)
  })
})
