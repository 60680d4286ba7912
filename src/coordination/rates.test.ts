import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { freeAt, isRatedStart } from './rates.ts'
import { agentNamed, initialState } from './state.ts'

describe('freeAt', () => {
  it('Y1 lets no more than the limit start in any window, wherever it begins', () => {
    const waits = fc.array(fc.nat(40), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 }), waits, (limit, perMs, gaps) => {
        const starts: number[] = []
        let now = 1_000
        for (const gap of gaps) {
          now += gap
          // Some are folded, the last is only about to start.
          const at = freeAt({ limit, perMs }, starts.slice(0, -1), starts.slice(-1), now)
          expect(at).toBeGreaterThanOrEqual(now)
          expect(at).toBeLessThanOrEqual(now + perMs)
          now = at
          starts.push(at)
        }
        for (const [index, start] of starts.entries()) {
          const before = starts[index - limit]
          if (before !== undefined) expect(start - before).toBeGreaterThanOrEqual(perMs)
        }
      }),
    )
  })
})

describe('starts of an agent with a rate', () => {
  const world = () => {
    const all = foldedLog({ initialState, takeOver, evolve, encodeState })
    all.log.register('ann', { on: ['a.happened'], rate: { limit: 2, perMs: 20 } })
    return { ...all, rate: () => all.view().agents[0]?.rate }
  }

  it('are counted by key, as many as matter; Y3 idle keys are forgotten', () => {
    const all = world()
    const start = (key: string) => all.log.delivery(all.log.event('a.happened'), 'ann').start(key)
    const times = [start('x'), start('y'), start('x'), start('x')].map((sequence) => 1_000 + sequence)
    expect(all.rate()).toEqual([
      { key: 'y', starts: [times[1]] },
      { key: 'x', starts: [times[2], times[3]] },
    ])
    for (let filler = 0; filler < 20; filler++) all.log.event('b.happened')
    const last = 1_000 + start('z')
    expect(all.rate()).toEqual([{ key: 'z', starts: [last] }])
  })

  it('Y2 are those of attempts, and of runs that are entered again by another process, not those that resume', () => {
    const all = world()
    const [fresh, resting, crashed] = [1, 2, 3].map(() => all.log.delivery(all.log.event('a.happened'), 'ann'))
    const counts = (delivery = fresh) => {
      const { deliveries } = all.state
      return isRatedStart(deliveries, deliveries.find(delivery?.source as number, 0))
    }
    all.log.claim('one')
    all.log.release()
    resting?.start('')
    resting?.sleep('@sleep#0', 50)
    crashed?.start('')
    expect([counts(fresh), counts(resting), counts(crashed)]).toEqual([true, false, false])
    all.log.claim('two')
    expect([counts(fresh), counts(resting), counts(crashed)]).toEqual([true, false, true])
    resting?.retry(1, 1)
    expect(counts(resting)).toBe(true)
  })

  it('go with the option, and along with a new name', () => {
    const all = world()
    all.log.delivery(all.log.event('a.happened'), 'ann').start('x')
    all.log.rename('ann', 'bea')
    expect(agentNamed(all.state, 'bea')?.rate?.size).toBe(1)
    all.log.register('bea', { on: ['a.happened'] })
    expect(agentNamed(all.state, 'bea')?.rate).toBeUndefined()
    all.log.delivery(all.log.event('a.happened'), 'bea').start('x')
    expect(agentNamed(all.state, 'bea')?.rate).toBeUndefined()
  })
})
