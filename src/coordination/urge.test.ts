import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { type Priority, priorityOf } from '../event/priority.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

function world() {
  const all = foldedLog({ initialState, takeOver, evolve, encodeState })
  all.log.register('ann', { on: ['a.happened'] })
  all.log.register('expert', {})
  const rowOf = (source: number, agent = 'ann') =>
    all.state.deliveries.find(source, all.state.agentIndex.get(agent) as number)
  return {
    ...all,
    urgency: (source: number, agent?: string): Priority =>
      priorityOf(all.state.deliveries.urgency[rowOf(source, agent)] as number),
    own: (source: number, agent?: string): Priority =>
      priorityOf(all.state.deliveries.priority[rowOf(source, agent)] as number),
  }
}

describe('urgency', () => {
  it('B1 is what the record says, unless the agent or someone says otherwise', () => {
    const { log, own } = world()
    const high = log.event('a.happened', { priority: 'high' })
    const plain = log.event('a.happened')
    expect([own(high), own(plain)]).toEqual(['high', 'normal'])
    log.prioritize(`r${plain}`, 'critical')
    expect(own(plain)).toBe('critical')
    log.register('bob', { on: ['b.happened'], priority: 'background' })
    const calm = log.event('b.happened', { priority: 'critical' })
    log.prioritize(`r${calm}`, 'high')
    expect(own(calm, 'bob')).toBe('background')
  })

  it('B1 a class that was given holds for what follows, until the request is at rest', () => {
    const { log, own } = world()
    const root = log.event('a.happened', { session: 's1' })
    log.prioritize(`r${root}`, 'low')
    const call = log.delivery(root, 'ann').call('@call expert#0', 'expert')
    expect(own(call, 'expert')).toBe('low')
    log.delivery(call, 'expert').complete()
    log.delivery(root, 'ann').complete()
    const later = log.event('a.happened', { request: `r${root}` })
    expect(own(later)).toBe('normal')
  })

  it('B2 whatever stands before an urgent one in its key is as urgent, and nothing behind it is', () => {
    const { log, urgency, own, marks } = world()
    const place = { session: 's1' }
    const first = log.event('a.happened', { ...place, priority: 'background' })
    const second = log.event('a.happened', place)
    marks()
    const urgent = log.event('a.happened', { ...place, priority: 'critical' })
    const last = log.event('a.happened', { ...place, priority: 'low' })
    const other = log.event('a.happened', { session: 's2', priority: 'low' })
    expect([first, second, urgent, last, other].map((source) => urgency(source))).toEqual([
      'critical',
      'critical',
      'critical',
      'low',
      'low',
    ])
    expect(own(first)).toBe('background')
    const urged = marks().filter(({ kind }) => kind === 'urged')
    expect(urged.map((mark) => ('source' in mark ? mark.source : 0)).sort()).toEqual([first, second])
  })

  it('B2 what is called is as urgent as whoever waits for it, also when that becomes urgent later, and over several calls', () => {
    const { log, urgency } = world()
    log.register('second', {})
    const root = log.event('a.happened', { session: 's1', priority: 'low' })
    const call = log.delivery(root, 'ann').call('@call expert#0', 'expert', { priority: 'background' })
    const inner = log.delivery(call, 'expert').call('@call second#0', 'second', { priority: 'background' })
    expect([urgency(call, 'expert'), urgency(inner, 'second')]).toEqual(['low', 'low'])
    log.event('a.happened', { session: 's1', priority: 'high' })
    expect([urgency(root), urgency(call, 'expert'), urgency(inner, 'second')]).toEqual(['high', 'high', 'high'])
  })

  it('B3 stays when whoever waited is gone; a class that is lowered takes what was not inherited', () => {
    const { log, urgency } = world()
    const place = { session: 's1' }
    const first = log.event('a.happened', { ...place, priority: 'low' })
    const urgent = log.event('a.happened', { ...place, priority: 'critical' })
    log.cancelRequest(`r${urgent}`)
    expect(urgency(first)).toBe('critical')
    const next = log.event('a.happened', { ...place, priority: 'high' })
    log.prioritize(`r${first}`, 'background')
    expect([urgency(first), urgency(next)]).toEqual(['high', 'high'])
  })

  it('is the same in a state that is read back, and in a dead letter that is redriven', () => {
    const { log, own } = world()
    const source = log.event('a.happened', { priority: 'high' })
    log.delivery(source, 'ann').die()
    log.delivery(source, 'ann').redrive()
    expect(own(source)).toBe('high')
  })
})
