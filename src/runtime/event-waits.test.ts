import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from '../coordination/decide.ts'
import { encodeState } from '../coordination/encode-state.ts'
import { evolve } from '../coordination/evolve.ts'
import { initialState } from '../coordination/state.ts'
import type { Engine, ReadQuery } from '../engine/engine.ts'
import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'
import { EventWaits, type WaitHost } from './event-waits.ts'

function world(host: Partial<WaitHost> = {}) {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, state } = folded
  log.register('clerk', { on: ['inquiry.received'] })
  const run = log.delivery(log.event('inquiry.received', { session: 's' }), 'clerk')
  run.openWait('@wait answer.given#0', 'answer.given')
  const place = { row: 1, source: run.source, command: '@wait answer.given#0' }
  let reads = 0
  const engine = {
    read: async () => {
      reads++
      return []
    },
  } as unknown as Engine
  const waits = new EventWaits({
    state,
    engine,
    clock: { now: () => 0, setTimer: () => ({ cancel: () => {} }) },
    isClosed: false,
    laneGuard: () => ({ head: 'lane/*', notAfter: 0 }),
    append: async () => ({ status: 'appended', first: 1, last: 1 }),
    passing: () => true,
    isRunning: () => false,
    lookAgainAt: () => {},
    ...host,
  })
  return { ...folded, waits, place, reads: () => reads }
}

it('sim seed 4: looks for nothing once the log has failed, and comes back', () => {
  const { waits, place, reads } = world({ isClosed: true })
  waits.look([place])
  expect([reads(), waits.isIdle]).toEqual([0, true])
})

it('looks once at the past of a wait, and not again while nothing comes', async () => {
  const { waits, place, reads } = world()
  waits.look([place, place])
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect([reads(), waits.isIdle]).toEqual([1, true])
})

it('V5 reads a session once for all who wait there, and once more for those that began meanwhile', async () => {
  const { waits, place, reads, log } = world()
  const places = [place]
  for (const key of ['2', '3', '4']) {
    const run = log.delivery(log.event('inquiry.received', { session: 's', key }), 'clerk')
    run.openWait('@wait answer.given#0', 'answer.given')
    places.push({ ...place, row: places.length + 1, source: run.source })
  }
  waits.look(places.slice(0, 2))
  waits.look(places.slice(2, 3))
  waits.look(places.slice(3))
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect([reads(), waits.isIdle]).toEqual([2, true])
})

it('V1, V2, V4 tries a read again that failed: the first match is found, whatever came meanwhile, and its time waits for it', async () => {
  const timers: (() => void)[] = []
  const matched: unknown[] = []
  let failures = 1
  const { waits, place, log, marks } = world({
    clock: {
      now: () => 0,
      setTimer: (_at, fire) => {
        timers.push(fire)
        return { cancel: () => {} }
      },
    },
    engine: {
      head: async () => 9,
      read: async () => {
        if (failures-- > 0) throw new Error('no disk')
        return [{ type: 'answer.given', session: 's', sequence: 3, cause: 0, data: null }]
      },
    } as unknown as Engine,
    append: async ({ records }) => {
      matched.push(...records.map(({ type, data }) => [type, data?.value]))
      return { status: 'appended', first: 1, last: 1 }
    },
  })
  const rest = () => new Promise((resolve) => setTimeout(resolve, 5))
  waits.look([place])
  await rest()
  marks()
  log.event('answer.given', { session: 's' })
  for (const mark of marks()) if (mark.kind === 'awaited') waits.came(mark.record)
  let expired = 0
  waits.expire(place, () => void expired++)
  await rest()
  expect([timers.length, expired, matched]).toEqual([1, 0, []])
  timers[0]?.()
  await rest()
  expect(matched).toEqual([['spine.wait.matched', { command: place.command, event: 3 }]])
  expect([expired, waits.isIdle]).toEqual([0, true])
})

it('V1 a delayed event that becomes due while the past is still being read is not overlooked', async () => {
  const matched: string[] = []
  let now = 0
  let letGo = () => {}
  const delayed = { type: 'answer.given', session: 's', sequence: 3, cause: 0, data: null, due: 10 }
  const full = Array.from({ length: limits.readRecordsMax }, (_, index) => ({
    ...delayed,
    type: index ? '' : delayed.type,
  }))
  const { waits, place, log } = world({
    clock: { now: () => now, setTimer: () => ({ cancel: () => {} }) },
    engine: {
      read: ({ after = 0 }: ReadQuery) =>
        after < 3 ? Promise.resolve(full) : new Promise((done) => (letGo = () => done([]))),
    } as unknown as Engine,
    append: async ({ records }) => {
      matched.push(...records.map(({ type }) => type))
      return { status: 'appended', first: 1, last: 1 }
    },
  })
  const rest = () => new Promise((resolve) => setTimeout(resolve, 5))
  log.event('number.drawn', { session: 's' })
  waits.look([place])
  await rest()
  now = 10
  waits.lookAgain(place)
  letGo()
  await rest()
  expect(matched).toEqual(['spine.wait.matched'])
})

describe('V4 a wait whose time is up', () => {
  const answer = { type: 'answer.given', sequence: 3, cause: 0, data: null } as unknown as LogRecord

  function overdue({ found = [], passing = () => true }: { found?: LogRecord[]; passing?: WaitHost['passing'] } = {}) {
    const matched: string[] = []
    const known = world({
      append: async ({ records }) => {
        matched.push(...records.map(({ type }) => type))
        return { status: 'appended', first: 1, last: 1 }
      },
      engine: {
        read: () => new Promise((resolve) => setTimeout(() => resolve(found), 20)),
        head: async () => 9,
      } as unknown as Engine,
      passing,
    })
    let expired = 0
    const expire = () => known.waits.expire(known.place, () => void expired++)
    return { ...known, matched, expire, expired: () => expired }
  }
  const rest = () => new Promise((resolve) => setTimeout(resolve, 40))

  it('is answered by what was there, though that is still being read', async () => {
    const { waits, place, expire, matched, expired } = overdue({ found: [answer] })
    waits.look([place])
    expire()
    await rest()
    expect([matched, expired(), waits.isIdle]).toEqual([['spine.wait.matched'], 0, true])
  })

  it('is answered by what the fold was still to come to', async () => {
    const known = overdue({
      passing: async () => {
        known.waits.came({ ...answer, session: 's', sequence: 99 })
        return true
      },
    })
    known.expire()
    await rest()
    expect([known.matched, known.expired()]).toEqual([['spine.wait.matched'], 0])
  })

  it('ends, once, when nothing was there', async () => {
    const { waits, place, expire, matched, expired } = overdue()
    waits.look([place])
    expire()
    expire()
    await rest()
    expect([matched, expired(), waits.isIdle]).toEqual([[], 1, true])
  })

  it('stays open when the spine has closed', async () => {
    const { expire, expired } = overdue({ passing: async () => false })
    expire()
    await rest()
    expect(expired()).toBe(0)
  })
})
