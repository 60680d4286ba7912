import { describe, expect, it } from 'vitest'
import { checkLedger } from './check-ledger.ts'
import { type Effect, takingBack, type Turn } from './dialogue.ts'
import type { Attempt } from './ledger.ts'

const effect = (method: string, parameters: Effect['parameters'] = {}): Effect => ({
  service: 'Bank',
  method,
  parameters,
})
const attempt = (dialogue: string, key: string | undefined, what: Effect): Attempt => ({
  dialogue,
  ...what,
  ...(key === undefined ? {} : { idempotencyKey: key }),
  // The check must not care what a service says of itself.
  outcome: 'done',
})

const [pay, book, call] = [effect('Pay', { amount: '5', to: 'Ada' }), effect('Book'), effect('Call')]
const turn = (effects: readonly Effect[], corrects = false): Turn => ({
  user: '',
  system: '',
  state: {},
  corrects,
  calls: effects.map((each) => ({ ...each, effect: true, results: [] })),
})
const dialogues = [
  { id: 'a', turns: [turn([pay, book]), turn([call])] },
  { id: 'quiet', turns: [turn([])] },
]
const right = [attempt('a', '1', pay), attempt('a', '2', book), attempt('a', '3', call)]
const clean = { expected: 3, done: 3, missing: 0, doubled: 0, wrong: 0, outOfOrder: 0 }

describe('checkLedger', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(checkLedger(dialogues, right)).toEqual({ effects: clean, repeatedAttempts: 0, takenBack: 0, faults: [] })
  })

  it('takes parameters in any order of their names', () => {
    const turned = attempt('a', '1', effect('Pay', { to: 'Ada', amount: '5' }))
    expect(checkLedger(dialogues, [turned, ...right.slice(1)]).faults).toEqual([])
  })

  it('reports the same key again, and holds it against nobody', () => {
    const [first, ...others] = right as [Attempt, ...Attempt[]]
    const ledger = [first, first, ...others, first]
    expect(checkLedger(dialogues, ledger)).toEqual({ effects: clean, repeatedAttempts: 2, takenBack: 0, faults: [] })
  })

  it('finds what is missing', () => {
    const { effects, faults } = checkLedger(dialogues, right.slice(0, 2))
    expect(effects).toEqual({ ...clean, done: 2, missing: 1 })
    expect(faults).toEqual(['a: missing: Bank.Call {}'])
  })

  it('finds everything missing in an empty ledger', () => {
    expect(checkLedger(dialogues, []).effects).toEqual({ ...clean, done: 0, missing: 3 })
  })

  it.each([
    ['another key', 'x'],
    ['no key', undefined],
  ])('finds an effect that was doubled under %s', (_name, key) => {
    const { effects, faults } = checkLedger(dialogues, [...right, attempt('a', key, pay)])
    expect(effects).toEqual({ ...clean, doubled: 1 })
    expect(faults).toEqual(['a: doubled: Bank.Pay {"amount":"5","to":"Ada"}'])
  })

  it('finds other parameters: one effect is missing and one is wrong', () => {
    const ledger = [attempt('a', '1', effect('Pay', { amount: '6', to: 'Ada' })), ...right.slice(1)]
    const { effects, faults } = checkLedger(dialogues, ledger)
    expect(effects).toEqual({ ...clean, done: 2, missing: 1, wrong: 1 })
    expect(faults).toHaveLength(2)
  })

  it('finds a key that was used for something else', () => {
    const { effects, faults } = checkLedger(dialogues, [...right, attempt('a', '1', effect('Pay', { amount: '6' }))])
    expect(effects).toEqual({ ...clean, wrong: 1 })
    expect(faults).toEqual(['a: wrong: its key was used for something else: Bank.Pay {"amount":"6"}'])
  })

  it('finds one key that two dialogues share', () => {
    const two = [...dialogues, { id: 'b', turns: [turn([pay])] }]
    const { effects } = checkLedger(two, [...right, attempt('b', '1', pay)])
    expect(effects).toEqual({ ...clean, expected: 4, missing: 1, wrong: 1 })
  })

  it('finds an effect that nobody asked for, also in a dialogue that has none or does not exist', () => {
    const ledger = [
      ...right,
      attempt('a', '4', effect('Sell')),
      attempt('quiet', '5', pay),
      attempt('nobody', '6', pay),
    ]
    const { effects, faults } = checkLedger(dialogues, ledger)
    expect(effects).toEqual({ ...clean, wrong: 3 })
    expect(faults).toHaveLength(3)
  })

  it.each([
    ['two neighbours swapped', [1, 0, 2], 1],
    ['the last one first', [2, 0, 1], 1],
    ['all turned round', [2, 1, 0], 2],
  ])('counts how many are out of order: %s', (_name, order, outOfOrder) => {
    const ledger = order.map((place) => right[place] as Attempt)
    const { effects, faults } = checkLedger(dialogues, ledger)
    expect(effects).toEqual({ ...clean, outOfOrder })
    expect(faults).toEqual([`a: ${outOfOrder} out of order`])
  })

  it('does not take a missing effect for disorder', () => {
    expect(checkLedger(dialogues, [right[0], right[2]] as Attempt[]).effects).toEqual({ ...clean, done: 2, missing: 1 })
  })

  it('knows effects that are meant to happen twice', () => {
    const twice = [{ id: 'a', turns: [turn([pay, pay])] }]
    const both = [attempt('a', '1', pay), attempt('a', '2', pay)]
    expect(checkLedger(twice, both).effects).toEqual({ ...clean, expected: 2, done: 2 })
    expect(checkLedger(twice, both.slice(1)).effects).toEqual({ ...clean, expected: 2, done: 1, missing: 1 })
    expect(checkLedger(twice, [...both, attempt('a', '3', pay)]).effects.doubled).toBe(1)
  })

  describe('of a turn that was corrected', () => {
    const [friday, monday] = [effect('Book', { day: 'friday' }), effect('Book', { day: 'monday' })]
    const changed = [{ id: 'a', turns: [turn([friday]), turn([monday], true), turn([pay])] }]
    const at = (place: number, key: string, what: Effect): Attempt => ({ ...attempt('a', key, what), turn: place })
    const [old, undone, now, last] = [
      at(0, '1', friday),
      at(1, '2', takingBack(friday)),
      at(1, '3', monday),
      at(2, '4', pay),
    ]

    it('finds nothing wrong when the correction came in time, or when what was done is taken back before', () => {
      expect(checkLedger(changed, [now, last])).toMatchObject({
        effects: { expected: 2, done: 2 },
        takenBack: 0,
        faults: [],
      })
      const all = checkLedger(changed, [old, undone, now, last])
      expect(all).toMatchObject({ effects: { expected: 4, done: 4 }, takenBack: 1, faults: [] })
    })

    it.each([
      ['what was overtaken stands', [old, now, last], { missing: 1 }],
      ['the correction is lost', [old, undone, last], { missing: 1 }],
      ['something is taken back that was never done', [undone, now, last], { wrong: 1 }],
      ['it is taken back twice', [old, undone, at(1, '9', takingBack(friday)), now, last], { doubled: 1 }],
      ['the new order came before the old one was taken back', [old, now, undone, last], { outOfOrder: 1 }],
      ['the old one came after all', [now, last, old, undone], { outOfOrder: 2 }],
    ])('finds that %s', (_name, ledger, fault) => {
      expect(checkLedger(changed, ledger).effects).toMatchObject(fault)
    })
  })
})
