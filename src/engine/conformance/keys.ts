import { describe, expect, it } from 'vitest'
import type { Storage } from './index.ts'
import { commit, onFreshLog, reopened } from './on-fresh-log.ts'

export function keysSection(create: () => Storage): void {
  describe('idempotency keys', () => {
    const keyed = (id: string, print: string, scope = 'type', count = 1) =>
      commit(id, count, { key: { scope, name: 'k', print } })

    it('G4: the same key is the first commit again; with another print it is refused; scopes are apart', () =>
      onFreshLog(create, async (engine) => {
        expect(
          await engine.append([
            keyed('w:1', 'p', 'type', 2),
            keyed('w:2', 'p'),
            keyed('w:3', 'q'),
            keyed('w:4', 'q', 'other'),
          ]),
        ).toEqual([
          { status: 'appended', first: 1, last: 2 },
          { status: 'duplicate', first: 1, last: 2 },
          { status: 'key-reused', first: 1 },
          { status: 'appended', first: 3, last: 3 },
        ])
        expect(await engine.head()).toBe(3)
      }))

    it('G3: a duplicate is told only when the first is durable: both resolve, in any order of asking', () =>
      onFreshLog(create, async (engine) => {
        const all = await Promise.all(
          Array.from({ length: 50 }, (_, index) => engine.append([keyed(`w:${index}`, 'p')])),
        )
        const statuses = all.map(([outcome]) => outcome?.status)
        expect(statuses).toEqual(['appended', ...Array(49).fill('duplicate')])
      }))

    it('G8: for life: over a reopen, and past trimming', () =>
      onFreshLog(create, async (engine, storage) => {
        await engine.append([keyed('w:1', 'p'), commit('w:2', 2)])
        const again = await reopened(engine, storage)
        expect(await again.append([keyed('x:1', 'p'), keyed('x:2', 'q')])).toEqual([
          { status: 'duplicate', first: 1, last: 1 },
          { status: 'key-reused', first: 1 },
        ])
        await again.trim(3)
        expect(await again.append([keyed('x:3', 'p')])).toEqual([{ status: 'duplicate', first: 1, last: 1 }])
        await again.close()
      }))

    it('a refused commit uses up neither its key nor its id', () =>
      onFreshLog(create, async (engine) => {
        await engine.append([commit('w:1', 1, { moves: ['a'] })])
        const refused = { ...keyed('w:2', 'p'), guards: [{ head: 'a', notAfter: 0 }] }
        expect((await engine.append([refused]))[0]?.status).toBe('conflict')
        expect((await engine.append([keyed('w:2', 'p')]))[0]?.status).toBe('appended')
      }))
  })
}
