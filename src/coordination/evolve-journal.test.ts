/** Journals of runs: steps, effects, timers, attempts, dead letters. */
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { decideDue, takeOver } from './decide.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { initialState } from './state.ts'

function world() {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, marks, state } = folded
  log.register('inquiry', { on: ['inquiry.received'] })
  log.register('expert')
  const run = log.delivery(log.event('inquiry.received', { session: 's' }), 'inquiry')
  marks()
  const names = () =>
    folded.journal(run.id).map(({ name, ended, ok }) => `${name}${ended === 0 ? ' open' : ok ? '' : ' failed'}`)
  const outcomes = () => marks().flatMap((mark) => (mark.kind === 'outcome' ? [mark.command] : []))
  const due = (now: number) => decideDue(state, now).map((decision) => decision.kind)
  const letters = () => folded.view().deadLetters.map(({ id }) => id)
  return { ...folded, run, names, outcomes, due, letters }
}

describe('what a run records', () => {
  it('is an outcome at once, in the order of the log', () => {
    const { run, names, outcomes } = world()
    run.step('b#0')
    run.step('a#0', { failed: true })
    expect(names()).toEqual(['a#0 failed', 'b#0'])
    expect(outcomes()).toEqual(['b#0', 'a#0'])
  })

  it('tells where the run stands, once', () => {
    const { run, delivery } = world()
    expect(delivery(run.id)?.run).toBeNull()
    run.step('a#0', { basis: 3, version: '7' })
    run.step('b#0', { basis: 9, version: '8' })
    expect(delivery(run.id)?.run).toMatchObject({ basis: 3, version: '7' })
  })

  it('F3 the first outcome of a step wins', () => {
    const { run, journal, outcomes } = world()
    const first = run.step('a#0')
    run.step('a#0', { failed: true })
    expect(journal(run.id)).toMatchObject([{ name: 'a#0', ended: first, ok: true }])
    expect(outcomes()).toEqual(['a#0'])
  })
})

describe('an effect', () => {
  it('is open from its start to its outcome, and a repeated start changes nothing', () => {
    const { run, names, journal, outcomes, log } = world()
    run.startEffect('pay#0')
    expect(names()).toEqual(['pay#0 open'])
    run.startEffect('pay#0')
    const end = run.step('pay#0')
    run.startEffect('pay#0')
    run.step('pay#0', { failed: true })
    expect(journal(run.id)).toMatchObject([{ name: 'pay#0', kind: 'effect', ended: end, ok: true }])
    expect(outcomes()).toEqual(['pay#0'])
    expect(log.head).toBeGreaterThan(end)
  })

  it('that has started stays in the journal when the attempt fails, and its late outcome counts', () => {
    const { run, names, outcomes } = world()
    run.startEffect('pay#0')
    run.retry(1, 50)
    expect(names()).toEqual(['pay#0 open'])
    run.step('pay#0')
    expect([names(), outcomes()]).toEqual([['pay#0'], ['pay#0']])
  })
})

describe('a timer', () => {
  it('fires when it is due, once, and gives the run an outcome', () => {
    const { run, due, names, outcomes } = world()
    run.sleep('@sleep#0', 50)
    expect(due(49)).toEqual([])
    expect(due(50)).toEqual(['fire-timer'])
    expect(names()).toEqual(['@sleep#0 open'])
    run.fire('@sleep#0')
    run.fire('@sleep#0')
    expect([names(), outcomes(), due(99)]).toEqual([['@sleep#0'], ['@sleep#0'], []])
  })

  it('that nobody set does not fire', () => {
    const { run, outcomes, names } = world()
    run.fire('@sleep#0')
    run.step('a#0')
    run.fire('@sleep#0')
    expect([outcomes(), names()]).toEqual([['a#0'], ['a#0']])
  })

  it('goes on through a failed attempt', () => {
    const { run, due, names } = world()
    run.sleep('@sleep#0', 50)
    run.retry(1, 10)
    expect(due(10)).toEqual(['start'])
    expect([due(50), names()]).toEqual([['fire-timer'], ['@sleep#0 open']])
  })
})

describe('a failed attempt', () => {
  it('is due again at the recorded time, not before', () => {
    const { run, work, delivery, due } = world()
    run.retry(3, 50)
    expect(work()).toEqual([`${run.id} backoff`])
    expect(delivery(run.id)).toMatchObject({ attempt: 3, due: 50 })
    expect([due(49), due(50), due(99)]).toEqual([[], ['start'], []])
  })

  it('forgets the failures after the last success, and keeps the caught ones before it', () => {
    const { run, names } = world()
    run.step('caught#0', { failed: true })
    run.step('good#0')
    run.step('bad#0', { failed: true })
    run.startEffect('pay#0')
    run.step('worse#0', { failed: true })
    run.retry(1, 50)
    expect(names()).toEqual(['caught#0 failed', 'good#0', 'pay#0 open'])
  })

  it('counts by the sequence of outcomes, not by the order in which they were asked for', () => {
    const { run, names } = world()
    run.startEffect('first#0')
    run.startEffect('second#0')
    run.step('second#0', { failed: true })
    run.step('first#0')
    run.retry(1, 50)
    expect(names()).toEqual(['first#0', 'second#0 failed'])
    run.retry(2, 60)
    expect(names()).toEqual(['first#0', 'second#0 failed'])
  })

  it('forgets everything when nothing succeeded, the failures of calls too', () => {
    const { run, names, log } = world()
    run.step('a#0', { failed: true })
    log.delivery(run.call('@call expert#0', 'expert'), 'expert').die()
    run.retry(1, 50)
    expect(names()).toEqual([])
    const again = log.delivery(run.call('@call expert#0', 'expert'), 'expert')
    again.complete()
    expect(names()).toEqual(['@call expert#0'])
  })

  it('a fired timer and a reply are successes too', () => {
    const { run, names, log } = world()
    const call = log.delivery(run.call('@call expert#0', 'expert'), 'expert')
    run.sleep('@sleep#0', 5)
    run.step('caught#0', { failed: true })
    run.fire('@sleep#0')
    run.step('caught#1', { failed: true })
    call.complete()
    run.step('bad#0', { failed: true })
    run.retry(1, 50)
    expect(names()).toEqual(['@call expert#0', '@sleep#0', 'caught#0 failed', 'caught#1 failed'])
  })
})

describe('a dead letter', () => {
  it('P7 keeps the journal; a redrive opens the delivery again with it, and with fresh attempts', () => {
    const { run, names, letters, work, delivery, log } = world()
    run.step('good#0')
    run.step('bad#0', { failed: true })
    run.retry(4, 50)
    run.step('worse#0', { failed: true })
    run.die()
    expect([work(), letters()]).toEqual([[], [run.id]])
    run.redrive()
    expect([work(), letters(), names()]).toEqual([[`${run.id} ready`], [], ['good#0']])
    expect(delivery(run.id)).toMatchObject({
      attempt: 0,
      request: `r${run.source}`,
      session: 's',
      key: 's',
      deadline: 0,
    })
    expect(log.at(run.source).session).toBe('s')
  })

  it('P7 redrive and discard are idempotent, and a letter can be dealt with again after another death', () => {
    const { run, letters, work } = world()
    run.redrive()
    run.discard()
    expect(work()).toEqual([`${run.id} ready`])
    run.die()
    run.redrive()
    run.redrive()
    run.discard()
    expect([work(), letters()]).toEqual([[`${run.id} ready`], []])
    run.die()
    run.discard()
    run.discard()
    run.redrive()
    expect([work(), letters()]).toEqual([[], []])
  })

  it('shows no callee and asks its calls again after a redrive: they ended with the run that made them', () => {
    const { run, names, log, view, outcomes } = world()
    const call = log.delivery(run.call('@call expert#0', 'expert'), 'expert')
    run.die()
    // Takes the rows that were freed.
    log.event('inquiry.received')
    log.event('inquiry.received')
    expect(view().deadLetters[0]?.run?.commands.filter(({ callee }) => callee !== '')).toEqual([])
    run.redrive()
    expect(names()).toEqual([])
    outcomes()
    call.complete()
    expect(outcomes()).toEqual([])
    const again = log.delivery(run.call('@call expert#0', 'expert'), 'expert')
    again.complete()
    expect([names(), outcomes()]).toEqual([['@call expert#0'], ['@call expert#0']])
  })

  it('P9 a sleep that was under way at its death still ends after a redrive, wherever the delivery has its row', () => {
    const { run, log, due } = world()
    run.sleep('@sleep#0', 50)
    run.die()
    log.event('inquiry.received')
    run.redrive()
    expect(due(49)).toEqual([])
    expect(due(50)).toEqual(['fire-timer'])
  })

  it('P9 as does one that became due while it lay there', () => {
    const { run, due } = world()
    run.sleep('@sleep#0', 50)
    run.die()
    expect(due(60)).toEqual([])
    run.redrive()
    expect(due(60)).toEqual(['fire-timer'])
  })

  it('is told to whoever called, once; its redrive owes nobody a reply', () => {
    const { run, log, delivery, outcomes } = world()
    const call = log.delivery(run.call('@call expert#0', 'expert'), 'expert')
    call.die()
    expect(outcomes()).toEqual(['@call expert#0'])
    call.redrive()
    expect(delivery(call.id)).toMatchObject({ caller: '', call: 0 })
    call.complete()
    expect(outcomes()).toEqual([])
  })
})
