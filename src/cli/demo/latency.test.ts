import { expect, it } from 'vitest'
import { latencyMs, parseLatency } from './latency.ts'

it('reads a number or a range', () => {
  expect(parseLatency('5')).toEqual({ msMin: 5, msMax: 5 })
  expect(parseLatency('0.5..8')).toEqual({ msMin: 0.5, msMax: 8 })
})

it.each(['', 'x', '8..2', '-1', '1..', '1...2', '999999999'])("refuses '%s'", (text) => {
  expect(() => parseLatency(text)).toThrow('is no latency')
})

it('stays within its bounds, and is the same for the same seed', () => {
  const drawn = Array.from({ length: 200 }, (_, index) => latencyMs({ msMin: 2, msMax: 8 }, `seed ${index}`))
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(2)
  expect(Math.max(...drawn)).toBeLessThanOrEqual(8)
  expect(new Set(drawn).size).toBeGreaterThan(150)
  expect(latencyMs({ msMin: 2, msMax: 8 }, 'a')).toBe(latencyMs({ msMin: 2, msMax: 8 }, 'a'))
})
