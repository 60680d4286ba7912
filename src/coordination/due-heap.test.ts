import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DueHeap } from './due-heap.ts'

const entry = (at: number, name = '') => ({ at, kind: 'timer' as const, row: 1, source: 1, name })

describe('DueHeap', () => {
  it('gives what is due in the order of time, and nothing early, whatever the order of coming and going', () => {
    const command = fc.oneof(fc.record({ push: fc.nat(50) }), fc.record({ popAt: fc.nat(50) }))
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const heap = new DueHeap()
        let waiting: { at: number; name: string }[] = []
        commands.forEach((command, index) => {
          if ('push' in command) {
            heap.push(entry(command.push, `${index}`))
            waiting.push({ at: command.push, name: `${index}` })
          } else {
            const earliest = Math.min(...waiting.map(({ at }) => at))
            const popped = heap.popDue(command.popAt)
            expect(popped?.at).toBe(earliest <= command.popAt ? earliest : undefined)
            expect(
              popped === undefined || waiting.some(({ at, name }) => at === popped.at && name === popped.name),
            ).toBe(true)
            waiting = waiting.filter(({ name }) => name !== popped?.name)
          }
          expect(heap.size).toBe(waiting.length)
          expect(heap.next).toBe(waiting.length === 0 ? undefined : Math.min(...waiting.map(({ at }) => at)))
        })
      }),
    )
  })

  it('counts its own time as due', () => {
    const heap = new DueHeap()
    heap.push(entry(10))
    expect(heap.popDue(9)).toBeUndefined()
    expect(heap.popDue(10)).toEqual(entry(10))
    expect(heap.popDue(10)).toBeUndefined()
  })
})
