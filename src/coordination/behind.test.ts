import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { agentNamed, initialState } from './state.ts'

function world(from?: 'beginning' | number) {
  const all = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, state } = all
  const events = [1, 2, 3].map((n) => log.event('a.happened', { session: `s${n % 2}` }))
  log.register('ann', { on: ['a.happened'], ...(from === undefined ? {} : { from }) })
  return {
    ...all,
    events,
    behind: () => agentNamed(state, 'ann')?.behind,
    admit: (upTo: number, sequences: readonly number[]) => {
      const places = sequences.map((sequence) => {
        const { type, session, request, key, hops } = log.at(sequence)
        return { type, session, request, key, hops }
      })
      return log.record('spine.agent.admitted', { name: 'ann', upTo, events: [...sequences], places })
    },
  }
}

describe('an agent that is behind', () => {
  it('BH1 is one that begins in the past; what comes meanwhile opens nothing', () => {
    expect(world().behind()).toBeUndefined()
    expect(world(4).behind()).toBeUndefined()
    expect(world(99).behind()).toBeUndefined()
    expect(world(3).behind()).toEqual({ since: 4, cursor: 2, missed: 4, owed: new Map() })
    const all = world('beginning')
    expect(all.behind()).toEqual({ since: 4, cursor: 0, missed: 4, owed: new Map() })
    const later = all.log.event('a.happened')
    expect([all.work(), all.behind()?.missed]).toEqual([[], later])
  })

  it('BH2 is admitted each event once, in order of its key, whatever a window repeats', () => {
    const all = world('beginning')
    const [one, two, three] = all.events as [number, number, number]
    all.admit(two, [one, two])
    expect(all.work()).toEqual([`${one}/ann ready`, `${two}/ann ready`])
    all.admit(two, [one, two])
    all.admit(three, [two, three])
    expect(all.work()).toEqual([`${one}/ann ready`, `${two}/ann ready`, `${three}/ann queued`])
    all.log.delivery(one, 'ann').complete()
    all.admit(three, [one])
    expect(all.work()).toEqual([`${two}/ann ready`, `${three}/ann ready`])
  })

  it('BH3 is level again when it has been given the last that it missed', () => {
    const all = world('beginning')
    const later = all.log.event('a.happened')
    all.admit(4, all.events)
    expect(all.behind()).toMatchObject({ cursor: 4, missed: later })
    all.admit(later, [later])
    expect(all.behind()).toBeUndefined()
    const direct = all.log.event('a.happened')
    expect(all.work().at(-1)).toBe(`${direct}/ann ready`)
  })

  it('falls behind when it is told so, once, and goes on from there', () => {
    const all = world()
    const direct = all.log.event('a.happened')
    const at = all.log.record('spine.agent.behind', { name: 'ann', since: 5 })
    all.log.record('spine.agent.behind', { name: 'ann', since: 6 })
    const missed = all.log.event('a.happened')
    expect([all.behind(), all.work()]).toEqual([
      { since: at, cursor: at, missed, owed: new Map() },
      [`${direct}/ann ready`],
    ])
    all.admit(missed, [missed])
    expect([all.behind(), all.work().length]).toEqual([undefined, 2])
  })

  it('takes its place along under a new name, keeps it over a registration and a snapshot, and loses it when removed', () => {
    const all = world('beginning')
    all.log.register('ann', { on: ['a.happened'] })
    expect(all.behind()?.cursor).toBe(0)
    const read = decodeState(all.encoded())
    expect(agentNamed(read, 'ann')?.behind).toEqual(all.behind())
    expect(encodeState(read)).toBe(all.encoded())
    all.log.rename('ann', 'bea')
    all.log.event('a.happened')
    expect([all.behind(), agentNamed(all.state, 'bea')?.behind?.cursor, all.work()]).toEqual([undefined, 0, []])
    all.log.remove('bea')
    all.log.register('bea', { on: ['a.happened'] })
    expect(agentNamed(all.state, 'bea')?.behind).toBeUndefined()
  })
})
