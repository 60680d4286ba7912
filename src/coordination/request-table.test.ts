import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RequestTable } from './request-table.ts'

describe('RequestTable', () => {
  it('Q1 finds exactly what was added and not dropped, also after it has grown', () => {
    const command = fc.tuple(fc.nat(700), fc.boolean())
    fc.assert(
      fc.property(fc.nat(600), fc.array(command, { maxLength: 200 }), (fill, commands) => {
        const table = new RequestTable()
        const open = new Map<string, number>()
        const add = (number: number) => {
          if (open.has(`r${number}`)) return
          const slot = table.add(`r${number}`, 1, 's', number)
          expect([table.open[slot], table.first[slot]]).toEqual([0, 0])
          table.open[slot] = number + 1
          table.first[slot] = number
          open.set(`r${number}`, number)
        }
        for (let number = 0; number < fill; number++) add(number)
        for (const [number, adds] of commands) {
          if (adds) add(number)
          else if (open.delete(`r${number}`)) table.drop(table.find(`r${number}`))
        }
        expect([...table.slots()].map((slot) => table.id[slot]).sort()).toEqual([...open.keys()].sort())
        const stored = (slot: number) => [table.id[slot], table.deadline[slot], table.open[slot], table.firstRow(slot)]
        expect([...open.keys()].map((id) => stored(table.find(id)))).toEqual(
          [...open].map(([id, number]) => [id, number, number + 1, number]),
        )
        const absent = Array.from({ length: 701 }, (_, number) => `r${number}`).filter((id) => !open.has(id))
        expect(absent.filter((id) => table.find(id) !== 0)).toEqual([])
      }),
      { numRuns: 15 },
    )
  })
})
