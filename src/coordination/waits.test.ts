import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { randomChoices, writeHistory } from '../../test/support/random-history.ts'
import { decodeState } from './decode-state.ts'
import { takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState, type SpineState } from './state.ts'

function world() {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, marks } = folded
  log.register('clerk', { on: ['inquiry.received', 'answer.given'] })
  const run = log.delivery(log.event('inquiry.received', { session: 's' }), 'clerk')
  marks()
  const told = () =>
    marks().flatMap((mark) =>
      mark.kind === 'awaited'
        ? [`awaited ${mark.record.sequence}`]
        : mark.kind === 'waiting' || mark.kind === 'outcome'
          ? [`${mark.kind} ${mark.command}`]
          : [],
    )
  return { ...folded, run, told }
}

describe('a wait', () => {
  it('W2 is told of every event of its session and type from its opening on, and of no other', () => {
    const { log, run, told } = world()
    log.event('answer.given', { session: 's' })
    run.openWait('@wait answer.given#0', 'answer.given', { due: 50 })
    expect(told()).toEqual(['waiting @wait answer.given#0'])
    const first = log.event('answer.given', { session: 's' })
    log.event('answer.given', { session: 't' })
    log.event('inquiry.received', { session: 's' })
    const second = log.event('answer.given', { session: 's' })
    expect(told()).toEqual([`awaited ${first}`, `awaited ${second}`])
    run.matchWait('@wait answer.given#0', first)
    expect(told()).toEqual(['outcome @wait answer.given#0'])
    log.event('answer.given', { session: 's' })
    expect(told()).toEqual([])
  })

  it('W2 costs one mark an event, however many wait; the index gives those it may be for, that waited when it came', () => {
    const { log, marks, state } = world()
    const questions = [0, 1, 2].map((n) => log.event('inquiry.received', { session: `q${n}` }))
    const runs = questions.map((question) => log.delivery(question, 'clerk'))
    for (const [n, run] of runs.entries()) run.openWait('@wait a#0', 'answer.given', { cause: n === 0 ? 7 : 8 })
    const place = { type: 'answer.given', session: 'q1', cause: 8, sequence: state.at + 1 }
    const waiting = (event: Partial<typeof place>) =>
      [...state.waits.waiting({ ...place, ...event })].map(({ row }) => state.deliveries.source[row])
    expect([waiting({}), waiting({ cause: 7 }), waiting({ sequence: questions[0] as number })]).toEqual([
      [questions[1]],
      [],
      [],
    ])
    expect([state.waits.hears('answer.given'), state.waits.hears('answer')]).toEqual([true, false])
    const crowd = [0, 1, 2].map((n) =>
      log.delivery(log.event('inquiry.received', { session: 's', key: `${n}` }), 'clerk'),
    )
    for (const run of crowd) run.openWait('@wait a#0', 'answer.given')
    marks()
    log.event('answer.given', { session: 's' })
    expect(marks().filter(({ kind }) => kind === 'awaited')).toHaveLength(1)
  })

  it('ends once: by its event or by its time, whichever is first on the log', () => {
    for (const ends of [
      ['match', 'expire', 'match'],
      ['expire', 'match', 'expire'],
    ]) {
      const { log, run, told, journal } = world()
      run.openWait('@wait answer.given#0', 'answer.given', { due: 50 })
      const event = log.event('answer.given', { session: 's' })
      told()
      const at = ends.map((end) =>
        end === 'match' ? run.matchWait('@wait answer.given#0', event) : run.expireWait('@wait answer.given#0'),
      )
      expect(told()).toEqual(['outcome @wait answer.given#0'])
      expect(journal(run.id)[0]).toMatchObject({ kind: 'wait', ended: at[0], ok: true })
    }
  })

  it('is set aside with its run in the dead letters, and goes on with a redrive; a takeover finds it, too', () => {
    const { log, run, told, state } = world()
    run.openWait('@wait answer.given#0', 'answer.given')
    run.die()
    told()
    log.event('answer.given', { session: 's' })
    expect([told(), state.waits.size]).toEqual([[], 0])
    run.redrive()
    expect([told(), state.waits.size]).toEqual([['waiting @wait answer.given#0'], 1])
    expect(takeOver(state).waits).toMatchObject([{ source: run.source, command: '@wait answer.given#0' }])
  })

  it('is dropped when its run starts over', () => {
    const { run, state } = world()
    run.openWait('@wait answer.given#0', 'answer.given')
    run.restart(1)
    expect(state.waits.size).toBe(0)
  })

  it('W4 what it took is not given to the same agent again, unless that has begun', () => {
    const { log, run, work } = world()
    const fresh = log.delivery(log.event('answer.given', { session: 's' }), 'clerk')
    fresh.take(run.source)
    expect(work()).toEqual([`${run.id} ready`])
    const begun = log.delivery(log.event('answer.given', { session: 't' }), 'clerk')
    begun.step('one#0')
    begun.take(run.source)
    expect(work()).toContain(`${begun.id} ready`)
  })

  it('W3 is in the index exactly while it and its delivery are open, whatever happens; so, too, when read back', () => {
    const openWaits = (state: SpineState) => {
      let count = 0
      for (const { commands } of state.runs.values())
        for (const { kind, ended, wait } of commands.values())
          if (kind === 'wait' && ended === 0 && wait?.isLate !== true) count++
      return count
    }
    let most = 0
    fc.assert(
      fc.property(randomChoices(60), (choices) => {
        const { log, view, state } = foldedLog({ initialState, takeOver, evolve, encodeState })
        writeHistory(log, view, choices)
        expect(state.waits.size).toBe(openWaits(state))
        expect(decodeState(encodeState(state)).waits.size).toBe(state.waits.size)
        most = Math.max(most, state.waits.size)
      }),
      { numRuns: 400 },
    )
    expect(most).toBeGreaterThan(1)
  })
})

describe('a delayed delivery', () => {
  it('is in no queue until it is due, and takes its place in the order then', () => {
    const { log, work, run } = world()
    run.complete()
    const late = log.delivery(log.event('answer.given', { session: 's', due: 9_000 }), 'clerk')
    const soon = log.delivery(log.event('answer.given', { session: 's' }), 'clerk')
    expect(work()).toEqual([`${late.id} delayed`, `${soon.id} ready`])
    late.endDelay()
    expect(work()).toEqual([`${late.id} queued`, `${soon.id} ready`])
    soon.complete()
    late.endDelay()
    expect(work()).toEqual([`${late.id} ready`])
  })

  it('becomes due for a new owner, too', () => {
    const { log, state } = world()
    log.event('answer.given', { session: 's', due: 9_000 })
    takeOver(state)
    expect(state.due?.next).toBe(9_000)
  })
})
