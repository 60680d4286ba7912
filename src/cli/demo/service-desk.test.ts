import { describe, expect, it } from 'vitest'
import type { Dialogue } from './dialogue.ts'
import type { Attempt } from './ledger.ts'
import { ServiceDesk } from './service-desk.ts'

const look = { service: 'Bank', method: 'CheckBalance', parameters: { account: 'checking' }, effect: false }
const pay = { service: 'Bank', method: 'Pay', parameters: { amount: '5' }, effect: true }
const dialogue: Dialogue = {
  id: 'a',
  services: ['Bank'],
  turns: [
    {
      user: '',
      state: {},
      system: '',
      calls: [
        { ...look, results: [{ balance: '9' }] },
        { ...pay, results: [{ left: '4' }] },
      ],
    },
  ],
  effects: [],
}

function openDesk(attempts: readonly Attempt[] = []) {
  const book: Attempt[] = []
  const ledger = { append: async (attempt: Attempt) => void book.push(attempt) }
  return { desk: new ServiceDesk([dialogue], ledger, attempts), book }
}

describe('ServiceDesk', () => {
  it('answers a question as it is annotated, and writes nothing', async () => {
    const { desk, book } = openDesk()
    expect(await desk.answer({ dialogue: 'a', turn: 0, ...look })).toEqual({ results: [{ balance: '9' }] })
    expect(await desk.answer({ dialogue: 'b', turn: 0, ...look })).toHaveProperty('refused')
    expect(book).toEqual([])
  })

  it('S1: gives the first answer again for the same key', async () => {
    const { desk, book } = openDesk()
    const order = { dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' }
    const answers = await Promise.all([desk.answer(order), desk.answer(order)])
    expect(answers).toEqual([{ results: [{ left: '4' }] }, { results: [{ left: '4' }] }])
    expect(book.map(({ outcome }) => outcome)).toEqual(['done', 'repeated'])
  })

  it('S1: honours the keys of an earlier life', async () => {
    const { desk, book } = openDesk([{ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k', outcome: 'done' }])
    await desk.answer({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' })
    expect(book.map(({ outcome }) => outcome)).toEqual(['repeated'])
  })

  it('S2: refuses the same key for something else', async () => {
    const { desk, book } = openDesk()
    await desk.answer({ dialogue: 'a', turn: 0, ...pay, idempotencyKey: 'k' })
    const answer = await desk.answer({
      dialogue: 'a',
      turn: 0,
      ...pay,
      parameters: { amount: '6' },
      idempotencyKey: 'k',
    })
    expect(answer).toEqual({ refused: "the key 'k' was used for something else" })
    expect(book.map(({ outcome }) => outcome)).toEqual(['done', 'wrong'])
  })

  it('does what it is told: without a key twice, and also what nobody expects', async () => {
    const { desk, book } = openDesk()
    await desk.answer({ dialogue: 'a', turn: 0, ...pay })
    await desk.answer({ dialogue: 'a', turn: 0, ...pay })
    const odd = await desk.answer({ dialogue: 'a', turn: 0, ...pay, parameters: { amount: '7' } })
    expect(odd).toEqual({ results: [{ amount: '7' }] })
    expect(book.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done'])
  })

  it('knows what was done for which turn, also of an earlier life', async () => {
    const { desk, book } = openDesk()
    const order = { dialogue: 'a', turn: 2, ...pay }
    expect(desk.isDone(order)).toBe(false)
    await desk.answer({ ...order, idempotencyKey: 'k' })
    for (const each of [desk, openDesk(book).desk])
      expect([each.isDone(order), each.isDone({ ...order, turn: 3 })]).toEqual([true, false])
  })
})
