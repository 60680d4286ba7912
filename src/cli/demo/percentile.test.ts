import { expect, it } from 'vitest'
import { percentile } from './percentile.ts'

it('gives the nearest rank', () => {
  const values = [30, 10, 20, 40]
  expect([0, 0.25, 0.5, 0.51, 0.99, 1].map((share) => percentile(values, share))).toEqual([10, 10, 20, 30, 40, 40])
  expect(percentile([], 0.5)).toBeUndefined()
})
