import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Fifo } from './fifo.ts'

it('gives items back in the order they came, however many', () => {
  const counts = fc.array(fc.tuple(fc.nat(3_000), fc.nat(3_000)), { maxLength: 6 })
  fc.assert(
    fc.property(counts, (steps) => {
      const fifo = new Fifo<number>()
      const left: number[] = []
      let pushed = 0
      let shifted = 0
      for (const [push, shift] of steps) {
        for (let index = 0; index < push; index++) fifo.push(++pushed)
        for (let index = 0; index < shift && shifted < pushed; index++) {
          if (fifo.peek() !== ++shifted) left.push(shifted)
          left.push(fifo.shift() as number)
        }
        if (shifted === pushed) expect([fifo.peek(), fifo.shift()]).toEqual([undefined, undefined])
        expect(fifo.length).toBe(pushed - shifted)
      }
      expect(left).toEqual(Array.from({ length: shifted }, (_, index) => index + 1))
      expect(fifo.drain()).toEqual(Array.from({ length: pushed - shifted }, (_, index) => shifted + 1 + index))
      expect([fifo.length, fifo.shift()]).toEqual([0, undefined])
    }),
    { numRuns: 20 },
  )
})
