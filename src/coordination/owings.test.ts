/** What is owed to requests by agents that are behind: OW1 to OW5. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { LogBuilder } from '../../test/support/log-builder.ts'
import { randomChoices, writeHistory } from '../../test/support/random-history.ts'
import { readState } from '../../test/support/state-view.ts'
import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'
import { ROOT } from './budgets.ts'
import { decideDue, takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { agentNamed, initialState, type SpineState } from './state.ts'

const S = { session: 's' }

/** `'slow'` and `'late'` are behind, and are given `a.happened`; `'plan'` holds what it does for newer `a.happened`. */
function world(options: { readonly holds?: boolean; readonly behind?: readonly string[] } = {}) {
  const { holds = true, behind = ['slow'] } = options
  const all = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, state } = all
  if (holds) log.register('plan', { on: ['b.happened'], freshness: { newer: ['a.happened'], then: 'hold' } })
  for (const name of behind) {
    log.register(name, { on: ['a.happened'] })
    log.putBehind(name)
  }
  const requestOf = (event: number) => log.at(event).request
  return {
    ...all,
    requestOf,
    admit: (name: string, ...events: readonly number[]) => log.admit(name, log.head, events),
    give: (event: number, usd: number) => {
      const { session, request, key, hops } = log.at(event)
      return log.record('spine.budget.given', { amounts: { usd } }, { session, request, key, hops })
    },
    stale: () => [...state.turns.stale.values()].map(({ isSuperseded }) => (isSuperseded ? 'superseded' : 'held')),
    isKnown: (event: number) => state.requests.find(requestOf(event)) !== 0,
    spent: (event: number) => state.budgets.of(requestOf(event))?.pools.get(ROOT)?.spent.get('usd'),
    /** It is the same, and folds on the same, when it is read back. */
    reread: () => {
      const read = decodeState(all.encoded())
      expect(encodeState(read)).toBe(all.encoded())
      return read
    },
  }
}

describe('a request that is owed something', () => {
  it('OW1 OW2 does not end its turn before the delivery that it was owed has ended', () => {
    const all = world()
    all.log.event('b.happened', S)
    const newer = all.log.event('a.happened', S)
    expect(all.stale()).toEqual(['held'])
    all.admit('slow', newer)
    expect(all.stale()).toEqual(['held'])
    all.marks()
    all.log.delivery(newer, 'slow').complete()
    expect(all.stale()).toEqual([])
    expect(all.marks().map(({ kind }) => kind)).toEqual(expect.arrayContaining(['rest', 'fresh']))
    expect(all.isKnown(newer)).toBe(false)
  })

  it('OW4 supersedes what the agent holds that is to be given it, while there may be no room for it yet', () => {
    const all = world({ behind: [] })
    all.log.register('plan', {
      on: ['a.happened', 'b.happened'],
      freshness: { newer: ['a.happened'], then: 'hold' },
    })
    all.log.event('b.happened', S)
    all.log.putBehind('plan')
    const newer = all.log.event('a.happened', S)
    expect(all.stale()).toEqual(['superseded'])
    all.reread()
    all.admit('plan', newer)
    expect([all.stale(), all.work().length]).toEqual([['superseded'], 2])
  })

  it('also where its other work ends first, and where it is left out', () => {
    const all = world()
    all.log.register('quick', { on: ['a.happened'] })
    all.log.event('b.happened', S)
    const newer = all.log.event('a.happened', S)
    all.log.delivery(newer, 'quick').complete()
    expect(all.stale()).toEqual(['held'])
    all.admit('slow')
    expect([all.stale(), all.isKnown(newer)]).toEqual([[], false])
  })

  it('waits for each agent that is behind', () => {
    const all = world({ behind: ['slow', 'late'] })
    all.log.event('b.happened', S)
    all.log.event('a.happened', S)
    all.admit('slow')
    expect(all.stale()).toEqual(['held'])
    all.reread()
    all.admit('late')
    expect(all.stale()).toEqual([])
  })

  it('keeps its budget, and what it has spent of it', () => {
    for (const isHeard of [true, false]) {
      const all = world({ holds: false })
      if (isHeard) all.log.register('quick', { on: ['a.happened'] })
      const event = all.log.event('a.happened', S)
      expect(all.isKnown(event)).toBe(isHeard)
      all.give(event, 5)
      if (isHeard) {
        const run = all.log.delivery(event, 'quick')
        run.startCosted('pay#0', 3, true)
        run.complete()
      }
      expect(all.spent(event)).toBe(isHeard ? 3 : undefined)
      expect(all.state.budgets.of(all.requestOf(event))?.pools.get(ROOT)?.limits.get('usd')).toBe(5)
      all.reread()
      all.admit('slow', event)
      const late = all.log.delivery(event, 'slow')
      late.startCosted('pay#0', 1, true)
      expect(all.spent(event)).toBe(isHeard ? 4 : 1)
      late.complete()
      expect([all.spent(event), all.isKnown(event)]).toEqual([undefined, false])
    }
  })

  it('spends from the pool of whoever emitted the event, also after that has closed', () => {
    const all = world({ holds: false })
    all.log.register('desk', { on: ['b.happened'] })
    all.log.register('expert', {})
    const root = all.log.event('b.happened', S)
    all.give(root, 9)
    const desk = all.log.delivery(root, 'desk')
    const call = desk.call('expert#0', 'expert', { budget: { usd: 2 } })
    const expert = all.log.delivery(call, 'expert')
    const event = expert.emit('a.happened')
    expert.complete()
    desk.complete()
    all.reread()
    all.admit('slow', event)
    const row = all.state.deliveries.find(event, all.state.agentIndex.get('slow') as number)
    expect(all.state.budgets.poolOf(row)).toBe(call)
    expect(all.state.budgets.of(all.requestOf(root))?.pools.get(call)?.limits.get('usd')).toBe(2)
  })

  it('fires a join once', () => {
    const all = world({ holds: false })
    all.log.register('pair', { on: ['a.happened', 'c.happened'], join: { per: 'request', atLeast: 1 } })
    const event = all.log.event('a.happened', S)
    all.log.delivery(event, 'pair').complete()
    all.admit('slow', event)
    all.log.delivery(event, 'slow').emit('c.happened')
    expect(all.work()).toEqual([`${event}/slow ready`])
  })

  it('has the class that someone gave it meanwhile', () => {
    const all = world()
    const event = all.log.event('a.happened', S)
    all.log.prioritize(all.requestOf(event), 'high')
    all.admit('slow', event)
    expect(all.state.deliveries.priority[all.state.deliveries.find(event, 1)]).toBe(1)
  })

  it('expires when it is time, and is owed nothing more', () => {
    const all = world()
    all.log.event('b.happened', S)
    const event = all.log.event('a.happened', { ...S, deadline: 5_000 })
    const request = all.requestOf(event)
    expect(decideDue(all.state, 5_000)).toEqual([{ kind: 'expire-request', request, deadline: 5_000 }])
    const reread = all.reread()
    takeOver(reread)
    expect(decideDue(reread, 5_000)).toEqual([{ kind: 'expire-request', request, deadline: 5_000 }])
    all.log.expireRequest(request, 5_000)
    expect([all.stale(), all.isKnown(event), all.state.owings.size]).toEqual([[], false, 0])
  })

  const ends: readonly (readonly [string, (all: ReturnType<typeof world>, event: number) => void])[] = [
    ['it is cancelled', (all, event) => all.log.cancelRequest(all.requestOf(event))],
    ['the agent is removed', ({ log }) => log.remove('slow')],
    ['the agent is registered to look on', ({ log }) => log.register('slow', { on: ['a.happened'], observes: true })],
    [
      'the agent is registered to join',
      ({ log }) => log.register('slow', { on: ['a.happened', 'c.happened'], join: { per: 'session' } }),
    ],
    [
      'the agent is renamed into one that has what comes',
      ({ log }) => {
        log.register('heir', { on: ['c.happened'] })
        log.rename('slow', 'heir')
      },
    ],
    [
      'the agent does not hear of it any more, and has come past it',
      (all) => {
        all.log.register('slow', { on: ['c.happened'] })
        all.admit('slow')
      },
    ],
  ]
  for (const [when, end] of ends)
    it(`is owed nothing any more when ${when}`, () => {
      const all = world()
      all.log.event('b.happened', S)
      const event = all.log.event('a.happened', S)
      all.give(event, 5)
      end(all, event)
      expect([all.stale(), all.isKnown(event), all.state.owings.size]).toEqual([[], false, 0])
      expect(all.state.budgets.requests.size).toBe(0)
      all.reread()
    })

  it('is owed by the heir of a name', () => {
    const all = world()
    all.log.event('b.happened', S)
    const event = all.log.event('a.happened', S)
    all.log.rename('slow', 'heir')
    expect(all.stale()).toEqual(['held'])
    all.reread()
    all.admit('heir', event)
    all.log.delivery(event, 'heir').complete()
    expect([all.stale(), all.state.owings.size]).toEqual([[], 0])
  })

  it('is owed nothing by what only looks on, nor of what was there before the agent', () => {
    const all = world({ behind: [] })
    const before = all.log.event('a.happened', S)
    all.log.register('late', { on: ['a.happened'], from: 'beginning' })
    expect([agentNamed(all.state, 'late')?.behind?.cursor, all.isKnown(before)]).toEqual([0, false])
    all.log.remove('late')
    all.log.register('watch', { on: ['*'], observes: true })
    all.log.putBehind('watch')
    const missed = all.log.event('a.happened', S)
    expect([agentNamed(all.state, 'watch')?.behind?.missed, all.isKnown(missed)]).toEqual([missed, false])
  })

  it('is not remembered where it has nothing to lose', () => {
    const all = world({ holds: false })
    const event = all.log.event('a.happened', S)
    expect([all.isKnown(event), all.state.owings.size]).toEqual([false, 0])
  })

  it('OW3 is at rest when too much is owed; the agent is given it all the same', () => {
    const all = world()
    all.state.marks = undefined
    all.log.event('b.happened', S)
    const first = all.log.event('a.happened', S)
    for (let n = 1; n < limits.pendingInMemoryMax; n++) all.log.event('a.happened', { session: 'other' })
    expect([all.stale(), all.state.owings.size]).toEqual([['held'], limits.pendingInMemoryMax])
    all.log.event('a.happened', { session: 'other' })
    expect([all.stale(), all.state.owings.size]).toEqual([[], limits.pendingInMemoryMax])
    all.log.admit('slow', first, [first])
    expect(all.work()).toContain(`${first}/slow ready`)
  }, 30_000)

  it('OW1 OW2 hold whatever happens, and for whoever reads it back', () => {
    let owed = 0
    let onlyOwed = 0
    fc.assert(
      fc.property(randomChoices(60), (choices) => {
        const state = initialState()
        const log: LogBuilder = new LogBuilder((record: LogRecord) => {
          evolve(state, record)
          const flaws = flawsOf(state)
          if (flaws.length > 0) throw new Error(`${record.sequence} ${record.type}: ${flaws.join(', ')}`)
          owed += state.owings.size
          for (const request of state.owings.keys())
            onlyOwed += state.requests.open[state.requests.find(request)] === 0 ? 1 : 0
        })
        writeHistory(log, () => readState(encodeState(state)), [])
        log.register('dot', { on: ['b.happened'], freshness: { newer: ['a.happened'], then: 'hold' } })
        for (const name of ['ann', 'ben']) log.putBehind(name)
        writeHistory(log, () => readState(encodeState(state)), choices)
        expect(encodeState(decodeState(encodeState(state)))).toBe(encodeState(state))
      }),
      { numRuns: 300 },
    )
    expect(owed).toBeGreaterThan(1_000)
    expect(onlyOwed).toBeGreaterThan(100)
  })
})

function flawsOf({ owings, agents, requests, turns, joins }: SpineState): readonly string[] {
  const flaws: string[] = []
  const owed = agents.flatMap(({ behind }) => [...(behind?.owed.values() ?? [])])
  for (const each of owed) {
    const slot = requests.find(each.request)
    if (slot === 0 || requests.atRest[slot] === 1) flaws.push(`${each.request} is at rest`)
    if (owings.get(each.request)?.has(each) !== true) flaws.push(`${each.event} is not known`)
    if (each.event <= each.by.cursor || each.event > each.by.missed) flaws.push(`${each.event} is out of place`)
  }
  if (owed.length !== [...owings.values()].reduce((sum, each) => sum + each.size, 0)) flaws.push('the counts differ')
  const isOver = (request: string) => requests.find(request) === 0 || requests.atRest[requests.find(request)] === 1
  for (const { requests: held, isSuperseded } of turns.stale.values())
    for (const request of isSuperseded ? [] : held)
      if (isOver(request)) flaws.push(`somebody is held for ${request}, which is at rest`)
  for (const [request] of joins.fired())
    if (isOver(request) && !owings.has(request)) flaws.push(`${request} is remembered`)
  for (const slot of requests.slots())
    if (requests.atRest[slot] === 0 && requests.open[slot] === 0 && !owings.has(requests.id[slot] as string))
      flaws.push(`${requests.id[slot]} never comes to rest`)
  return flaws
}
