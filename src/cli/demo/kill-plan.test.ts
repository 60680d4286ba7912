import { expect, it } from 'vitest'
import { KillPlan } from './kill-plan.ts'

it('spreads the kills evenly, orders each of them once, and never more', () => {
  const plan = new KillPlan(3, 100)
  const ordered = Array.from({ length: 101 }, (_, settled) => settled).filter((settled) => plan.takeDue(settled))
  expect(ordered).toEqual([25, 50, 75])
})

it('orders one kill at a time when there are more kills than turns', () => {
  const plan = new KillPlan(5, 2)
  expect([0, 1, 1, 2, 2, 2].map((settled) => plan.takeDue(settled))).toEqual([true, true, true, true, true, false])
})

it('orders none without kills', () => {
  expect(new KillPlan(0, 10).takeDue(10)).toBe(false)
})
