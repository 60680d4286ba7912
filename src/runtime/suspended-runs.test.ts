import { expect, it } from 'vitest'
import type { Run } from './run.ts'
import { SuspendedRuns } from './suspended-runs.ts'

const run = (row: number, busy = 0) => ({ row, source: 100 + row, busy }) as Run

it('W5 forgets the one that has waited longest, once', () => {
  const runs = new SuspendedRuns(2)
  const [a, b, c] = [run(1), run(2), run(3)]
  expect([runs.add(a), runs.add(b), runs.add(c)]).toEqual([undefined, undefined, a])
  expect(runs.takeForgotten(2, 102)).toBe(false)
  expect(runs.takeForgotten(1, 999)).toBe(false)
  expect(runs.takeForgotten(1, 101)).toBe(true)
  expect(runs.takeForgotten(1, 101)).toBe(false)
})

it('W6 spares one that has something to do', () => {
  const runs = new SuspendedRuns(1)
  const [told, reading, idle] = [run(1), run(2, 1), run(3)]
  runs.add(told)
  runs.remove(told)
  runs.add(reading)
  expect(runs.add(idle)).toBe(idle)
  expect(runs.takeForgotten(2, 102)).toBe(false)
})

it('keeps none when none may be kept', () => {
  const runs = new SuspendedRuns(0)
  const only = run(1)
  expect(runs.add(only)).toBe(only)
})
