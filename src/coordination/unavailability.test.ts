import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'
import { whyUnavailable } from './unavailability.ts'

describe('why an agent should not be given work', () => {
  const registered = (maxPending?: number) => {
    const all = foldedLog({ initialState, takeOver, evolve, encodeState })
    const options = maxPending === undefined ? {} : { maxPending }
    all.log.record('spine.agent.registered', {
      ...{ name: 'ann', version: '1', kind: 'directed', on: [], emits: [], order: 'default' },
      options,
    })
    return all
  }

  it('says the first reason that there is, and nothing when it may work', () => {
    const { log, state } = registered(1)
    expect(whyUnavailable(state, 'ben', true, 0, 0)).toBe('unknown')
    expect(whyUnavailable(state, 'ann', true, 0, 0)).toBeUndefined()
    expect(whyUnavailable(state, 'ann', false, 0, 0)).toBe('absent')
    log.start('ann')
    expect(whyUnavailable(state, 'ann', true, 0, 0)).toBe('queue full')
    log.pauseAgent('ann')
    expect(whyUnavailable(state, 'ann', true, 0, 0)).toBe('paused')
    log.remove('ann')
    expect(whyUnavailable(state, 'ann', true, 0, 0)).toBe('unknown')
  })

  it('counts what is open and what is on the way, against 10,000 where nothing is said', () => {
    const small = registered(3)
    small.log.start('ann')
    expect(whyUnavailable(small.state, 'ann', true, 1, 0)).toBeUndefined()
    expect(whyUnavailable(small.state, 'ann', true, 2, 0)).toBe('queue full')
    const usual = registered()
    expect(whyUnavailable(usual.state, 'ann', true, 9_999, 0)).toBeUndefined()
    expect(whyUnavailable(usual.state, 'ann', true, 10_000, 0)).toBe('queue full')
  })
})
