import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { limits } from '../kernel/limits.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { findRoom, type Occupant } from './find-room.ts'
import { initialState } from './state.ts'

const occupant: fc.Arbitrary<Occupant> = fc.record({
  urgency: fc.integer({ min: 0, max: 4 }),
  yielding: fc.constantFrom('at once', 'in effect', 'next step', 'never'),
})

describe('room', () => {
  it('Y1 the least urgent makes it, of equals whoever started last', () => {
    const [first, second, urgent] = [
      { urgency: 4, yielding: 'at once' as const },
      { urgency: 4, yielding: 'at once' as const },
      { urgency: 1, yielding: 'at once' as const },
    ]
    expect(findRoom([first, second, urgent], 0)).toEqual({ kind: 'preempt', victim: second })
    expect(findRoom([urgent], 1)).toEqual({ kind: 'none', later: undefined, mayUseReserve: false })
  })

  it('Y1 to Y3 hold for any occupants', () => {
    fc.assert(
      fc.property(fc.array(occupant), fc.integer({ min: 0, max: 4 }), (occupants, urgency) => {
        const room = findRoom(occupants, urgency)
        const lower = occupants.filter((each) => each.urgency > urgency)
        const free = lower.filter(({ yielding }) => yielding === 'at once')
        if (room.kind === 'preempt') {
          expect(free).toContain(room.victim)
          expect(room.victim.urgency).toBe(Math.max(...free.map((each) => each.urgency)))
          return
        }
        expect(free).toEqual([])
        expect(room.mayUseReserve).toBe(lower.some(({ yielding }) => yielding === 'in effect'))
        expect(room.later === undefined).toBe(lower.every(({ yielding }) => yielding === 'never'))
      }),
    )
  })
})

describe('a run that made room', () => {
  function world() {
    const all = foldedLog({ initialState, takeOver, evolve, encodeState })
    all.log.register('ann', { on: ['a.happened'] })
    return all
  }

  it('is ready again with its journal, and is no suspect of a crash', () => {
    const { log, work, journal, delivery } = world()
    const source = log.event('a.happened')
    const run = log.delivery(source, 'ann')
    run.start()
    run.step('one#0')
    run.preempt(1)
    log.claim('another')
    expect(work()).toEqual([`${source}/ann ready`])
    expect(journal(`${source}/ann`).map(({ name }) => name)).toEqual(['one#0'])
    expect(delivery(`${source}/ann`)).toMatchObject({ crashes: 0, preemptions: 1 })
  })

  it('on a further attempt it is ready too, and keeps the number of that attempt', () => {
    const { log, work, delivery } = world()
    const source = log.event('a.happened')
    const run = log.delivery(source, 'ann')
    run.retry(1, 5)
    run.preempt(1)
    expect(work()).toEqual([`${source}/ann ready`])
    run.preempt(1, 1)
    expect(delivery(`${source}/ann`)).toMatchObject({ attempt: 1, generation: 1, preemptions: 2 })
  })

  it('in another generation it keeps its effects only, and what a step of the one before still brings changes nothing', () => {
    const { log, journal } = world()
    const source = log.event('a.happened')
    const run = log.delivery(source, 'ann')
    run.step('one#0')
    run.startEffect('pay#0')
    run.step('pay#0')
    run.preempt(1, 1)
    log.record('spine.step.recorded', { command: 'two#0', value: 1, generation: 0 }, { cause: source, agent: 'ann' })
    expect(journal(`${source}/ann`).map(({ name }) => name)).toEqual(['pay#0'])
  })

  it('is counted up to the limit, and a late record about one that waits behind another changes nothing', () => {
    const { log, delivery, work } = world()
    const place = { session: 's1' }
    const [first, second] = [log.event('a.happened', place), log.event('a.happened', place)]
    for (let times = 0; times < limits.preemptionsMax + 2; times++) log.delivery(first, 'ann').preempt(1)
    log.delivery(second, 'ann').preempt(1)
    expect(delivery(`${first}/ann`)).toMatchObject({ preemptions: limits.preemptionsMax })
    expect(work()).toEqual([`${first}/ann ready`, `${second}/ann queued`])
  })
})
