import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Priority } from '../event/priority.ts'
import { isShed, pendingMaxFor } from './shed.ts'

const CLASSES: readonly Priority[] = ['background', 'low', 'normal', 'high', 'critical']

describe('isShed', () => {
  it('refuses the low classes first, and critical never', () => {
    const maxima = CLASSES.map((each) => pendingMaxFor(10_000, each))
    expect(maxima).toEqual([5_000, 7_500, 10_000, 10_000, Number.POSITIVE_INFINITY])
    expect(CLASSES.map((each) => isShed(7_500, 10_000, each))).toEqual([true, true, false, false, false])
  })

  it('W1 no class is refused later than a higher one; W2 normal means what maxPending says; one is always let in', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.nat(1_100_000), (pendingMax, open) => {
        const refused = CLASSES.map((each) => isShed(open, pendingMax, each))
        expect([...refused].sort((left, right) => Number(right) - Number(left))).toEqual(refused)
        expect(isShed(open, pendingMax, 'normal')).toBe(open >= pendingMax)
        expect(CLASSES.some((each) => isShed(0, pendingMax, each))).toBe(false)
      }),
    )
  })
})
