/** B1 to B4: deliveries that wait for their session. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const AFTER = ['p.happened', 'q.happened']

const world = (order?: string) => {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  folded.log.register('late', { on: ['a.happened'], after: AFTER, ...(order === undefined ? {} : { order }) })
  const publish = (type: string, session = 's') => folded.log.event(`${type}.happened`, { session })
  const run = (source: number) => folded.log.delivery(source, 'late')
  return { ...folded, publish, run }
}

describe('what comes after something', () => {
  it('B1 is held until its session has had the rest, and starts in order, whatever comes when', () => {
    const arrival = fc.tuple(fc.constantFrom('a', 'p', 'q'), fc.constantFrom('s', 't'))
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 25 }), (arrivals) => {
        const { publish, work, run } = world()
        const model = new Map<string, { waiting: number[]; lacks: Map<number, Set<string>> }>()
        for (const [type, session] of arrivals) {
          const sequence = publish(type, session)
          const mine = model.get(session) ?? { waiting: [] as number[], lacks: new Map<number, Set<string>>() }
          model.set(session, mine)
          if (type === 'a') {
            mine.waiting.push(sequence)
            mine.lacks.set(sequence, new Set(['p', 'q']))
          } else for (const lacks of mine.lacks.values()) lacks.delete(type)
        }
        const status = (sequence: number, first: number, lacks: ReadonlySet<string> | undefined) =>
          sequence !== first ? 'queued' : lacks?.size === 0 ? 'ready' : 'held'
        const expected = () =>
          [...model.values()]
            .flatMap(({ waiting, lacks }) =>
              waiting.map(
                (sequence) => [sequence, status(sequence, waiting[0] as number, lacks.get(sequence))] as const,
              ),
            )
            .sort(([left], [right]) => left - right)
            .map(([sequence, is]) => `${sequence}/late ${is}`)
        expect(work()).toEqual(expected())
        for (const { waiting, lacks } of model.values()) {
          while (waiting[0] !== undefined && lacks.get(waiting[0])?.size === 0) {
            run(waiting.shift() as number).complete()
            expect(work()).toEqual(expected())
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  it('B2 is marked for its owner to look up what lies before, and goes on by what that records', () => {
    const { publish, run, work, marks, log } = world()
    const profile = publish('p')
    marks()
    const first = publish('a')
    expect(marks()).toEqual([{ kind: 'held', row: expect.any(Number), source: first }])
    run(first).matchAfter('p.happened', profile)
    expect(work()).toEqual([`${first}/late held`])
    // Twice, or of a type that it does not lack, is nothing.
    run(first).matchAfter('p.happened', profile)
    run(first).matchAfter('z.happened', profile)
    publish('q')
    expect(marks()).toEqual([{ kind: 'ready', row: expect.any(Number), source: first }])
    run(first).complete()
    run(first).matchAfter('q.happened', profile)
    expect(log.head).toBeGreaterThan(first)
    expect(work()).toEqual([])
  })

  it('B2 is looked up again by a new owner, also behind another of its key', () => {
    const { publish, encoded } = world()
    const both = [publish('a'), publish('a')]
    const heir = decodeState(encoded())
    expect(takeOver(heir).held.map(({ source }) => source)).toEqual(both)
    expect(takeOver(heir).ready).toEqual([])
  })

  it('waits without a key where its agent has no order', () => {
    const { publish, work } = world('none')
    const both = [publish('a'), publish('a')]
    publish('p')
    publish('q')
    expect(work()).toEqual(both.map((source) => `${source}/late ready`))
  })

  it('B3 waits for less, and not for more, once its agent asks for something else', () => {
    const { log, publish, work, delivery } = world()
    const first = publish('a')
    log.register('late', { on: ['a.happened'], after: ['q.happened', 'z.happened'] })
    expect(delivery(`${first}/late`)?.missing).toEqual(['q.happened'])
    log.register('late', { on: ['a.happened'] })
    expect(work()).toEqual([`${first}/late ready`])
  })

  it('B4 is not held again after it has died and is redriven', () => {
    const { publish, run, work } = world()
    const first = publish('a')
    publish('p')
    publish('q')
    run(first).die()
    run(first).redrive()
    expect(work()).toEqual([`${first}/late ready`])
  })

  it('gives way to what is redriven of its key, and is held still when that has ended', () => {
    const { log, publish, run, work } = world()
    log.register('late', { on: ['a.happened'], onFailure: 'park' })
    const first = publish('a')
    run(first).die()
    log.register('late', { on: ['a.happened'], onFailure: 'park', after: AFTER })
    const second = publish('a')
    expect(work()).toEqual([`${second}/late held`])
    run(first).redrive()
    expect(work()).toEqual([`${first}/late ready`, `${second}/late queued`])
    run(first).complete()
    expect(work()).toEqual([`${second}/late held`])
    publish('q')
    publish('p')
    expect(work()).toEqual([`${second}/late ready`])
  })
})
