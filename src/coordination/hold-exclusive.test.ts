import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { priorityOf } from '../event/priority.ts'
import { findCallCycle } from './call-cycles.ts'
import { takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { blockersOf } from './blockers-of.ts'
import { initialState } from './state.ts'

function world() {
  const all = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, state } = all
  for (const name of ['ann', 'ben']) log.register(name, { on: [`${name}.wanted`], exclusive: 'x' })
  log.register('cas', { order: 'none', exclusive: 'x' })
  log.register('dot', { order: 'none', exclusive: 'y' })
  const rowOf = (source: number, agent: string) => state.deliveries.find(source, state.agentIndex.get(agent) as number)
  const wanted = (name: string, session = 's') => {
    const source = log.event(`${name}.wanted`, { session })
    return { source, records: log.delivery(source, name), name }
  }
  return {
    ...all,
    rowOf,
    wanted,
    /** Who keeps it from starting. */
    behind: (source: number, agent: string) =>
      blockersOf(state, rowOf(source, agent)).map((row) => state.deliveries.source[row]),
    urgency: (source: number, agent: string) => priorityOf(state.deliveries.urgency[rowOf(source, agent)] as number),
  }
}

describe('E2: who holds', () => {
  it('nobody before the log tells that somebody was entered, and then whoever that is, in its session only', () => {
    const { wanted, behind } = world()
    const [ann, ben, elsewhere] = [wanted('ann'), wanted('ben'), wanted('ben', 't')]
    expect([behind(ann.source, 'ann'), behind(ben.source, 'ben')]).toEqual([[], []])
    ben.records.start()
    expect(behind(ann.source, 'ann')).toEqual([ben.source])
    expect([behind(ben.source, 'ben'), behind(elsewhere.source, 'ben')]).toEqual([[], []])
  })

  it.each<[string, (work: ReturnType<ReturnType<typeof world>['wanted']>) => void]>([
    ['a step', ({ records }) => records.step('one#0')],
    ['an effect that starts', ({ records }) => records.startEffect('one#0')],
    ['a sleep', ({ records }) => records.sleep('@sleep#0', 50)],
    ['a failed attempt', ({ records }) => records.retry(1, 50)],
    ['a call', ({ records }) => records.call('@call dot#0', 'dot')],
    ['a pause', ({ records }) => records.pauseForBudget('one#0')],
    ['making room', ({ records }) => records.preempt(1)],
  ])('%s holds, through a claim and a restart, to the end', (_, begin) => {
    const { wanted, behind, log } = world()
    const [ann, ben] = [wanted('ann'), wanted('ben')]
    begin(ann)
    expect(behind(ben.source, 'ben')).toEqual([ann.source])
    log.claim('another')
    ann.records.restart(1)
    expect(behind(ben.source, 'ben')).toEqual([ann.source])
    ann.records.complete()
    expect(behind(ben.source, 'ben')).toEqual([])
  })

  it('what was registered when it opened counts, and a snapshot knows it', () => {
    const { wanted, behind, log, state, rowOf } = world()
    const [ann, ben] = [wanted('ann'), wanted('ben')]
    ann.records.step('one#0')
    log.register('ben', { on: ['ben.wanted'], version: '2' })
    expect(behind(ben.source, 'ben')).toEqual([ann.source])
    const later = wanted('ben')
    expect(blockersOf(state, rowOf(later.source, 'ben'))).toEqual([])
    const read = decodeState(encodeState(state))
    expect(encodeState(read)).toBe(encodeState(state))
    expect(read.exclusives.size).toBe(state.exclusives.size)
    ann.records.complete()
    ben.records.complete()
    later.records.complete()
    expect(state.exclusives.size).toBe(0)
  })
})

describe('E3: an end', () => {
  it('marks those that wait, the most urgent first, then in order', () => {
    const { wanted, marks, log } = world()
    const holder = wanted('ann')
    holder.records.step('one#0')
    const first = log.start('cas', { session: 's' })
    const second = log.start('cas', { session: 's' })
    const urgent = log.start('cas', { session: 's', priority: 'high' })
    log.start('cas', { session: 't' })
    marks()
    holder.records.complete()
    const ready = marks().flatMap((mark) => (mark.kind === 'let in' ? [mark.source] : []))
    expect(ready).toEqual([urgent, first, second])
  })

  it('of one that never began does too: it may have been in the way here', () => {
    const { wanted, marks, log } = world()
    const [ann, ben] = [wanted('ann'), wanted('ben')]
    marks()
    log.cancelRequest(`r${ann.source}`)
    expect(marks().flatMap((mark) => (mark.kind === 'let in' ? [mark.source] : []))).toEqual([ben.source])
  })
})

describe('E1: a hold lets in', () => {
  it('what was called from inside, at any distance, and no stranger', () => {
    const { wanted, behind, log } = world()
    const ann = wanted('ann')
    const throughDot = ann.records.call('@call dot#0', 'dot')
    const inner = log.delivery(throughDot, 'dot').call('@call cas#0', 'cas')
    const stranger = log.start('cas', { session: 's' })
    expect(behind(inner, 'cas')).toEqual([])
    expect(behind(stranger, 'cas')).toEqual([ann.source])
    const sibling = ann.records.call('@call cas#0', 'cas')
    log.delivery(inner, 'cas').step('one#0')
    expect(behind(sibling, 'cas')).toEqual([inner])
  })

  it('whatever comes while its holder stands still for a newer turn, and the holder again when that has ended', () => {
    const { wanted, behind, log } = world()
    log.register('bob', { on: ['bob.wanted'], exclusive: 'x', freshness: { newer: ['turn.came'], then: 'hold' } })
    log.register('reader', { on: ['turn.came'] })
    const bob = wanted('bob')
    bob.records.step('one#0')
    const turn = log.event('turn.came', { session: 's' })
    const ofTurn = log.delivery(turn, 'reader').call('@call cas#0', 'cas')
    const stranger = log.start('cas', { session: 's' })
    expect([behind(ofTurn, 'cas'), behind(stranger, 'cas')]).toEqual([[], []])
    bob.records.step('late#0')
    expect(behind(ofTurn, 'cas')).toEqual([])
    log.delivery(stranger, 'cas').step('one#0')
    log.delivery(ofTurn, 'cas').complete()
    log.delivery(turn, 'reader').complete()
    expect(behind(bob.source, 'bob')).toEqual([stranger])
    bob.records.step('later#0')
    expect(behind(bob.source, 'bob')).toEqual([stranger])
    log.delivery(stranger, 'cas').complete()
    bob.records.step('last#0')
    expect(behind(log.start('cas', { session: 's' }), 'cas')).toEqual([bob.source])
  })
})

describe('E4: waits for a hold', () => {
  it('lend their class, whether they came before the hold or after it, or are given it later', () => {
    const { wanted, urgency, log } = world()
    const ann = wanted('ann')
    log.start('cas', { session: 's', priority: 'high' })
    expect(urgency(ann.source, 'ann')).toBe('normal')
    ann.records.step('one#0')
    expect(urgency(ann.source, 'ann')).toBe('high')
    const late = log.start('cas', { session: 's' })
    log.prioritize(`r${late}`, 'critical')
    expect(urgency(ann.source, 'ann')).toBe('critical')
    log.prioritize(`r${ann.source}`, 'background')
    expect(urgency(ann.source, 'ann')).toBe('critical')
  })

  it('lend it to what the holder calls, also by the very call that tells of the hold', () => {
    const { wanted, urgency, log } = world()
    const ann = wanted('ann')
    log.start('cas', { session: 's', priority: 'critical' })
    const called = ann.records.call('@call dot#0', 'dot')
    expect([urgency(ann.source, 'ann'), urgency(called, 'dot')]).toEqual(['critical', 'critical'])
  })

  it('in a circle are found, when the hold comes or when the call does', () => {
    const { state, rowOf, marks, log } = world()
    const one = log.start('cas', { session: 's' })
    const two = log.start('dot', { session: 's' })
    const toDot = log.delivery(one, 'cas').call('@call dot#0', 'dot')
    expect(findCallCycle(state, rowOf(toDot, 'dot'))).toBeUndefined()
    marks()
    const toCas = log.delivery(two, 'dot').call('@call cas#0', 'cas')
    const cycles = marks().flatMap((mark) => (mark.kind === 'cycle' ? [mark.source] : []))
    expect(cycles.toSorted()).toEqual([toDot, toCas])
    expect(findCallCycle(state, rowOf(toCas, 'cas'))?.chain).toEqual(['dot', 'cas', 'dot'])
  })
})
