import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { durationMs } from './duration.ts'
import { SpineError } from './errors.ts'

const HUNDRED_YEARS_MS = 100 * 365 * 86_400_000

describe('durationMs', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['3d', 259_200_000],
    ['1.5s', 1_500],
    [' 1s ', 1_000],
    ['0s', 0],
    [250, 250],
  ])('reads %j as %d ms', (duration, ms) => {
    expect(durationMs(duration, 'within')).toBe(ms)
  })

  it('reads every whole number of a unit as that many of its milliseconds', () => {
    const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
    fc.assert(
      fc.property(fc.nat(30_000), fc.constantFrom(...Object.entries(units)), (count, [unit, unitMs]) => {
        expect(durationMs(`${count}${unit}`, 'within')).toBe(count * unitMs)
      }),
    )
  })

  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  it.each([
    ['text', 'soon'],
    ['no unit', '30'],
    ['unknown unit', '2w'],
    ['a sign', '-1s'],
    ['an exponent', '1e3s'],
    ['nothing', ''],
    ['a negative number', -1],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['more than a hundred years', HUNDRED_YEARS_MS + 1],
    ['null', null],
    ['undefined', undefined],
    ['a bigint', 10n],
    ['an object that JSON cannot show', circular],
  ])('refuses %s by code, naming the option', (_, duration) => {
    const refused = () => durationMs(duration, 'retry.backoff')
    expect(refused).toThrow(SpineError)
    expect(refused).toThrow(/^retry\.backoff: /)
    expect(refused).toThrow(expect.objectContaining({ code: 'SPINE_DURATION_INVALID', limit: HUNDRED_YEARS_MS }))
  })

  it('shows a number that JSON would call null', () => {
    expect(() => durationMs(Number.NaN, 'within')).toThrow('NaN is not a duration')
  })
})
