import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { isHeldByPause } from './pauses.ts'
import { agentNamed, initialState } from './state.ts'

const world = () => foldedLog({ initialState, takeOver, evolve, encodeState })

describe('a pause', () => {
  const paused = () => {
    const all = world()
    all.log.register('ann', { on: ['a.happened'] })
    return all
  }
  const isHeld = ({ state }: ReturnType<typeof world>, source: number) =>
    isHeldByPause(state, state.deliveries.find(source, state.agentIndex.get('ann') as number))

  it('B1 holds what has not begun, and what waits for another attempt', () => {
    const all = paused()
    const event = all.log.event('a.happened')
    const failed = all.log.event('a.happened')
    const run = all.log.delivery(failed, 'ann')
    run.step('one#0')
    expect([isHeld(all, event), isHeld(all, failed)]).toEqual([false, false])
    all.log.pauseAgent('ann')
    expect([isHeld(all, event), isHeld(all, failed)]).toEqual([true, false])
    run.retry(1, 5)
    expect(isHeld(all, failed)).toBe(true)
  })

  it('B2 does not hold an attempt that the log knows of: started, suspended, or owned by a new process', () => {
    const all = paused()
    const started = all.log.event('a.happened')
    const sleeping = all.log.event('a.happened')
    all.log.delivery(started, 'ann').start()
    all.log.delivery(sleeping, 'ann').sleep('@sleep#0', 50)
    all.log.pauseAgent('ann')
    all.log.claim('another')
    all.log.delivery(sleeping, 'ann').fire('@sleep#0')
    expect([isHeld(all, started), isHeld(all, sleeping)]).toEqual([false, false])
  })

  it('B1 holds a run that was started over, and one that was redriven with its journal', () => {
    const all = paused()
    const [restarted, dead] = [all.log.event('a.happened'), all.log.event('a.happened')]
    all.log.delivery(restarted, 'ann').step('one#0')
    all.log.delivery(dead, 'ann').step('one#0')
    all.log.pauseAgent('ann')
    all.log.delivery(restarted, 'ann').restart(1)
    all.log.delivery(dead, 'ann').die()
    all.log.delivery(dead, 'ann').redrive()
    expect([isHeld(all, restarted), isHeld(all, dead)]).toEqual([true, true])
  })

  it('is one: the first reason stands, and one resume ends it and says so', () => {
    const all = paused()
    const since = all.log.pauseAgent('ann')
    all.log.pauseAgent('ann')
    expect(agentNamed(all.state, 'ann')?.paused).toEqual({ since, why: 'maintenance' })
    all.log.resumeAgent('ann')
    all.log.resumeAgent('ann')
    expect(agentNamed(all.state, 'ann')?.paused).toBeUndefined()
    expect(all.marks().filter(({ kind }) => kind === 'resumed')).toEqual([{ kind: 'resumed', agent: 'ann' }])
  })

  it('of a name that nobody has, or that was removed, is nothing', () => {
    const all = paused()
    all.log.pauseAgent('nobody')
    all.log.pauseAgent('ann')
    all.log.remove('ann')
    all.log.pauseAgent('ann')
    all.log.register('ann', { on: ['a.happened'] })
    expect(agentNamed(all.state, 'ann')?.paused).toBeUndefined()
  })

  it('goes along with a rename into a new name, not into one that is registered', () => {
    const all = paused()
    all.log.register('ben', { on: ['b.happened'] })
    all.log.pauseAgent('ann')
    all.log.rename('ann', 'cas')
    expect([agentNamed(all.state, 'ann')?.paused, agentNamed(all.state, 'cas')?.paused]).toMatchObject([
      undefined,
      { why: 'maintenance' },
    ])
    all.log.rename('cas', 'ben')
    expect(agentNamed(all.state, 'ben')?.paused).toBeUndefined()
  })
})
