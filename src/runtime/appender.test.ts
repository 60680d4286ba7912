import { expect, it } from 'vitest'
import { memory } from '../engine/memory/index.ts'
import type { Commit, Engine } from '../engine/engine.ts'
import { newRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import { Appender, type CommitDraft } from './appender.ts'
import { LogFold } from './log-fold.ts'

const place = { time: 1, session: 's', request: 'r', key: 's', cause: 0, hops: 0 }
const draft = (type: string): CommitDraft => ({ records: [newRecord(type, place, undefined)] })

/** A log that is busy for the first appends. */
async function world(busyFor: number) {
  const engine = memory()
  await engine.open()
  let left = busyFor
  const append: Engine['append'] = (commits: readonly Commit[]) =>
    left-- > 0 ? Promise.reject(new SpineError('SPINE_LOG_BUSY', 'busy')) : engine.append(commits)
  const busy = new Proxy(engine, {
    get: (target, name) => {
      if (name === 'append') return append
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const failures: unknown[] = []
  const fold = new LogFold(busy, { onRecord: () => {}, onFolded: () => {}, onBroken: (error) => failures.push(error) })
  await fold.start()
  const appender = new Appender(
    busy,
    fold,
    'w',
    (error) => failures.push(error),
    () => undefined,
  )
  const types = async () => (await engine.read({ limit: 100 })).map(({ type }) => type)
  return { appender, failures, types }
}

it('P3: a busy log refuses who publishes and lets the work of runs wait, in order; nothing has failed', async () => {
  const { appender, failures, types } = await world(3)
  const first = appender.append(draft('one.done'))
  const published = appender.append(draft('two.published'), true)
  const second = appender.append(draft('three.done'))
  await expect(published).rejects.toMatchObject({ code: 'SPINE_LOG_BUSY', outcome: 'refused' })
  const third = appender.append(draft('four.done'))
  expect(await Promise.all([first, second, third])).toMatchObject([{ first: 1 }, { first: 2 }, { first: 3 }])
  expect(await types()).toEqual(['one.done', 'three.done', 'four.done'])
  expect([failures, appender.isIdle]).toEqual([[], true])
  expect(await appender.append(draft('five.published'), true)).toMatchObject({ first: 4 })
})

it('P2: an abandoned append is told once, and what comes later too', async () => {
  const { appender } = await world(0)
  const told: unknown[] = []
  appender.post(draft('one.done'), (outcome, error) => told.push(outcome ?? error))
  const reason = new SpineError('SPINE_CLOSED', 'over')
  appender.abandon(reason)
  appender.post(draft('two.done'), (outcome, error) => told.push(outcome ?? error))
  await new Promise((resolve) => setImmediate(resolve))
  expect(told).toEqual([reason, reason])
})
