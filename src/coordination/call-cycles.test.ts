import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { findCallCycle } from './call-cycles.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const world = () => {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  for (const name of ['ann', 'ben', 'cas']) folded.log.register(name, { order: 'session' })
  const { log, state } = folded
  const rowOf = (source: number, agent: string) => state.deliveries.find(source, state.agentIndex.get(agent) as number)
  return {
    ...folded,
    start: (agent: string, session: string) => log.start(agent, { session }),
    of: (source: number, agent: string) => log.delivery(source, agent),
    cycleAt: (source: number, agent: string) => findCallCycle(state, rowOf(source, agent)),
    callerOf: (row: number) => state.deliveries.source[row] as number,
    cycles: () => folded.marks().filter(({ kind }) => kind === 'cycle').length,
  }
}

describe('H1: a call to what a caller of its own holds', () => {
  it('runs inside that hold, at any distance', () => {
    const { start, of, work, cycles } = world()
    const first = start('ann', 's')
    const second = of(first, 'ann').call('@call ben#0', 'ben')
    const third = of(second, 'ben').call('@call ann#0', 'ann')
    const fourth = of(third, 'ann').call('@call ben#0', 'ben')
    expect(work()).toEqual([`${first}/ann ready`, `${second}/ben ready`, `${third}/ann ready`, `${fourth}/ben ready`])
    expect(cycles()).toBe(0)
    of(third, 'ann').complete()
    expect(work()).toEqual([`${first}/ann ready`, `${second}/ben ready`])
  })

  it('holds for a handoff of the called work too', () => {
    const { start, of, work } = world()
    const first = start('ann', 's')
    const second = of(first, 'ann').call('@call ben#0', 'ben')
    const third = of(second, 'ben').handOff('ann')
    expect(work()).toEqual([`${first}/ann ready`, `${third}/ann ready`])
  })

  it('does not let strangers in', () => {
    const { start, of, work } = world()
    const first = start('ann', 's')
    const stranger = start('ann', 's')
    of(first, 'ann').call('@call ann#0', 'ann')
    expect(work()[1]).toBe(`${stranger}/ann queued`)
  })
})

describe('H2: a circle of waits', () => {
  it('gives up the youngest call, and names the way around', () => {
    const { start, of, cycleAt, callerOf, cycles, work, log } = world()
    const one = start('ann', 's')
    const two = start('ben', 't')
    const toBen = of(one, 'ann').call('@call ben#0', 'ben', { session: 't' })
    expect(cycleAt(toBen, 'ben')).toBeUndefined()
    const toAnn = of(two, 'ben').call('@call ann#0', 'ann', { session: 's' })
    expect(cycles()).toBe(2)
    for (const [source, agent] of [
      [toAnn, 'ann'],
      [toBen, 'ben'],
    ] as const) {
      const cycle = cycleAt(source, agent)
      expect(callerOf(cycle?.caller as number)).toBe(two)
      expect([cycle?.command, cycle?.chain]).toEqual(['@call ann#0', ['ben', 'ann', 'ben']])
    }
    // What the owner writes ends that call and frees the other side.
    log.record(
      'spine.step.recorded',
      { command: '@call ann#0', error: { code: 'SPINE_CALL_CYCLE', name: 'SpineError', message: 'round' } },
      { session: 't', request: `r${two}`, key: 't', cause: two, agent: 'ben' },
    )
    expect(work()).toEqual([`${one}/ann ready`, `${two}/ben ready`, `${toBen}/ben queued`])
    of(two, 'ben').complete()
    expect(work()).toEqual([`${one}/ann ready`, `${toBen}/ben ready`])
  })

  it('is found over three, and over a handoff that closes it', () => {
    const { start, of, cycleAt } = world()
    const [one, two, three] = [start('ann', 's'), start('ben', 't'), start('cas', 'u')]
    of(one, 'ann').call('@call ben#0', 'ben', { session: 't' })
    of(two, 'ben').call('@call cas#0', 'cas', { session: 'u' })
    const free = of(three, 'cas').call('@call ben#0', 'ben', { session: 'free' })
    const successor = of(free, 'ben').handOff('ann')
    // The successor is ordered by the session 'free': nobody waits there.
    expect(cycleAt(successor, 'ann')).toBeUndefined()
    const closing = of(three, 'cas').call('@call ann#0', 'ann', { session: 's' })
    expect(cycleAt(closing, 'ann')?.chain).toEqual(['cas', 'ann', 'ben', 'cas'])
  })

  it('is looked for again by a new owner', () => {
    const { start, of, log } = world()
    const [one, two] = [start('ann', 's'), start('ben', 't')]
    const toBen = of(one, 'ann').call('@call ben#0', 'ben', { session: 't' })
    const toAnn = of(two, 'ben').call('@call ann#0', 'ann', { session: 's' })
    const fresh = initialState()
    for (const record of log.records) evolve(fresh, record)
    expect(takeOver(fresh).waitingCalls.map(({ source }) => source)).toEqual([toBen, toAnn])
  })
})
