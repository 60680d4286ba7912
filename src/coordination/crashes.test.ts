import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { isCrashLoop, startMode } from './crashes.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

const world = () => {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  folded.log.register('inquiry', { on: ['inquiry.received'] })
  folded.log.register('helper')
  folded.log.claim('first')
  const { state } = folded
  const rowOf = (source: number) => state.deliveries.find(source, state.agentIndex.get('inquiry') as number)
  return {
    ...folded,
    crashes: (source: number) => state.deliveries.crashes[rowOf(source)] as number,
    mode: (source: number) => startMode(state, rowOf(source), state.lanes.get('*')),
    isLoop: (source: number) => isCrashLoop(state, rowOf(source)),
    event: (session: string) => folded.log.event('inquiry.received', { session }),
  }
}

describe('K1: what was started when its process died', () => {
  it('counts a crash at the next claim, and starts carefully', () => {
    const { log, event, crashes, mode } = world()
    const started = event('a')
    const waiting = event('b')
    log.delivery(started, 'inquiry').start()
    expect([mode(started), mode(waiting)]).toEqual(['plain', 'plain'])
    log.claim('second')
    expect([crashes(started), crashes(waiting)]).toEqual([1, 0])
    // Both are older than the claim that nobody released for.
    expect([mode(started), mode(waiting)]).toEqual(['careful', 'careful'])
    const later = event('c')
    expect(mode(later)).toBe('plain')
  })

  it('counts nothing after a release, and nothing twice', () => {
    const { log, event, crashes, mode } = world()
    const started = event('a')
    log.delivery(started, 'inquiry').start()
    log.release()
    log.claim('second')
    expect([crashes(started), mode(started)]).toEqual([0, 'plain'])
    log.claim('third')
    expect(crashes(started)).toBe(0)
  })

  it.each([
    ['a call', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.call('@call helper#0', 'helper')],
    ['a timer', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.sleep('@sleep#0', 9_999)],
    ['a retry', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.retry(1, 9_999)],
    ['a pause', (run: ReturnType<ReturnType<typeof world>['log']['delivery']>) => run.pause()],
  ])('does not count a run that waits for %s', (_, wait) => {
    const { log, event, crashes } = world()
    const source = event('a')
    const run = log.delivery(source, 'inquiry')
    run.start()
    wait(run)
    log.claim('second')
    expect(crashes(source)).toBe(0)
  })

  it('counts a run whose effect had started, without its having been named', () => {
    const { log, event, crashes } = world()
    const source = event('a')
    log.delivery(source, 'inquiry').startEffect('book#0')
    log.claim('second')
    expect(crashes(source)).toBe(1)
  })
})

describe('K2: a loop of crashes', () => {
  it('runs alone after two, is over after three alone, and spares who ran beside it', () => {
    const { log, event, crashes, mode, isLoop } = world()
    const [culprit, neighbour] = [event('a'), event('b')]
    for (const expected of ['careful', 'alone'] as const) {
      log.delivery(culprit, 'inquiry').start()
      log.delivery(neighbour, 'inquiry').start()
      log.claim('next')
      expect([mode(culprit), mode(neighbour)]).toEqual([expected, expected])
    }
    for (const count of [3, 4, 5]) {
      expect(isLoop(culprit)).toBe(false)
      log.delivery(culprit, 'inquiry').start()
      log.claim('next')
      expect([crashes(culprit), crashes(neighbour)]).toEqual([count, 2])
    }
    expect([isLoop(culprit), isLoop(neighbour)]).toEqual([true, false])

    const fresh = initialState()
    for (const record of log.records) evolve(fresh, record)
    const { crashLoops, ready } = takeOver(fresh)
    expect(crashLoops.map(({ source }) => source)).toEqual([culprit])
    expect(ready.map(({ source }) => source)).toEqual([neighbour])
  })
})

describe('K3: progress', () => {
  it('clears the count', () => {
    const { log, event, crashes, mode } = world()
    const source = event('a')
    const run = log.delivery(source, 'inquiry')
    run.start()
    log.claim('second')
    run.start()
    log.claim('third')
    expect([crashes(source), mode(source)]).toEqual([2, 'alone'])
    run.step('extract#0')
    expect([crashes(source), mode(source)]).toEqual([0, 'careful'])
  })
})

describe('K4: coming to rest', () => {
  it('clears the count: a caller that waits through the deaths of others is no suspect', () => {
    const { log, event, crashes, isLoop } = world()
    const source = event('a')
    const run = log.delivery(source, 'inquiry')
    for (let life = 0; life < 20; life++) {
      run.start()
      if (life % 3 === 2) run.rest()
      log.claim(`life ${life}`)
    }
    expect([crashes(source), isLoop(source)]).toEqual([2, false])
  })
})
