import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BoundedMap } from './bounded-map.ts'

it('keeps the newest entries, whatever is set and set again', () => {
  const operation = fc.oneof(fc.record({ set: fc.integer({ min: 0, max: 12 }) }), fc.constant({ clear: true }))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(operation, { maxLength: 60 }), (max, operations) => {
      const bounded = new BoundedMap<number, number>(max)
      let model: number[] = []
      for (const [step, one] of operations.entries()) {
        if ('clear' in one) {
          bounded.clear()
          model = []
          continue
        }
        const others = model.filter((key) => key !== one.set)
        const forgets = others.length === max
        model = [...others.slice(forgets ? 1 : 0), one.set]
        expect(bounded.set(one.set, step)).toBe(forgets)
        expect(bounded.size).toBe(model.length)
        for (let key = 0; key <= 12; key++) expect(bounded.has(key)).toBe(model.includes(key))
        expect(bounded.get(one.set)).toBe(step)
      }
    }),
  )
})
