import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fraction, seededRandom } from './random.ts'

const take = (count: number, seed: string): number[] => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => random.uint32())
}

describe('seededRandom', () => {
  it('repeats for the same seed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (seed) => void expect(take(8, seed)).toStrictEqual(take(8, seed))),
    )
  })

  it('never changes what a seed gives, because journals that were written with it are replayed', () => {
    expect(take(4, 'event-spine')).toStrictEqual([415524345, 1874120103, 996038668, 3765159411])
  })

  it('gives unsigned integers of 32 bits, also for the empty seed', () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        expect(take(16, seed).every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true)
      }),
    )
  })

  it('differs at once between seeds that differ in one character', () => {
    const firsts = Array.from({ length: 10_000 }, (_, index) => take(2, `41:inquiry:1:${index}`).join())
    expect(new Set(firsts).size).toBe(firsts.length)
  })

  it('sets every bit about half of the time, within one seed and across the first draws of many', () => {
    const count = 20_000
    const draws = {
      'one seed': take(count, 'bits'),
      'many seeds': Array.from({ length: count }, (_, index) => take(1, `${index}`)[0] as number),
    }
    for (const [name, values] of Object.entries(draws)) {
      for (let bit = 0; bit < 32; bit++) {
        const share = values.filter((value) => (value >>> bit) & 1).length / count
        // Seven standard deviations: a fair generator fails this about never.
        expect(Math.abs(share - 0.5), `${name}, bit ${bit}`).toBeLessThan(0.025)
      }
    }
  })
})

describe('fraction', () => {
  it('lies in [0, 1) at both ends of the range', () => {
    expect(fraction({ uint32: () => 0 })).toBe(0)
    expect(fraction({ uint32: () => 0xffffffff })).toBeLessThan(1)
    expect(fraction({ uint32: () => 0x80000000 })).toBe(0.5)
  })
})
