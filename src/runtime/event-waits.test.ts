import { expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { takeOver } from '../coordination/decide.ts'
import { encodeState } from '../coordination/encode-state.ts'
import { evolve } from '../coordination/evolve.ts'
import { initialState } from '../coordination/state.ts'
import type { Engine } from '../engine/engine.ts'
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
