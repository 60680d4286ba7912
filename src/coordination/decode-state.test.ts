import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { randomChoices, writeHistory } from '../../test/support/random-history.ts'
import { takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

it('S4 a state that was read back at any place of any log is the same, and folds on the same', () => {
  fc.assert(
    fc.property(randomChoices(), fc.nat(60), (choices, cut) => {
      const { log, view } = foldedLog({ initialState, takeOver, evolve, encodeState })
      writeHistory(log, view, choices)
      const straight = initialState()
      let other: ReturnType<typeof initialState> | undefined
      for (const record of log.records) {
        evolve(straight, record)
        if (record.sequence === 1 + (cut % log.head)) other = decodeState(encodeState(straight))
        else if (other !== undefined) evolve(other, record)
        if (other !== undefined) expect(encodeState(other)).toBe(encodeState(straight))
      }
    }),
    { numRuns: 60 },
  )
})

it('S4 an empty state, and what a new owner finds in one that was read back', () => {
  expect(encodeState(decodeState(encodeState(initialState())))).toBe(encodeState(initialState()))
  const { log, state } = foldedLog({ initialState, takeOver, evolve, encodeState })
  log.register('ann', { on: ['a.happened'] })
  const first = log.event('a.happened', { session: 's', deadline: 90 })
  const second = log.event('a.happened', { session: 's' })
  log.delivery(first, 'ann').retry(1, 50)
  const { ready } = takeOver(decodeState(encodeState(state)))
  expect(ready).toEqual([])
  log.delivery(first, 'ann').complete()
  expect(takeOver(decodeState(encodeState(state))).ready.map(({ source }) => source)).toEqual([second])
})
