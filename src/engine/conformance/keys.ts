import { describe, expect, it } from 'vitest'
import type { EngineUnderTest } from './index.ts'
import { commit, onFreshLog, reopened } from './on-fresh-log.ts'

export function keysSection(under: EngineUnderTest): void {
  describe('idempotency keys', () => {
    const keyed = (id: string, print: string, scope = 'type', count = 1) =>
      commit(id, count, { key: { scope, name: 'k', print } })

    it('G4: the same key is the first commit again; with another print it is refused; scopes are apart', () =>
      onFreshLog(under, async (engine) => {
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

    it('G4: a repetition is recognised though the head that it guards has moved since', () =>
      onFreshLog(under, async (engine) => {
        const guarded = (id: string) => ({ ...keyed(id, 'p'), guards: [{ head: 'a', notAfter: 0 }] })
        await engine.append([guarded('w:1'), commit('w:2', 1, { moves: ['a'] })])
        expect(
          await engine.append([guarded('w:3'), { ...guarded('w:4'), key: { scope: 'type', name: 'new', print: 'p' } }]),
        ).toEqual([
          { status: 'duplicate', first: 1, last: 1 },
          { status: 'conflict', head: 'a', at: 2 },
        ])
      }))

    it('G3: a duplicate is told only when the first is durable: both resolve, in any order of asking', () =>
      onFreshLog(under, async (engine) => {
        const all = await Promise.all(
          Array.from({ length: 50 }, (_, index) => engine.append([keyed(`w:${index}`, 'p')])),
        )
        const statuses = all.map(([outcome]) => outcome?.status)
        expect(statuses).toEqual(['appended', ...Array(49).fill('duplicate')])
      }))

    it('G8: for life: over a reopen, and past trimming', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([keyed('w:1', 'p'), commit('w:2', 2)])
        const again = await reopened(engine, storage)
        expect(await again.append([keyed('x:1', 'p'), keyed('x:2', 'q')])).toEqual([
          { status: 'duplicate', first: 1, last: 1 },
          { status: 'key-reused', first: 1 },
        ])
        await again.trim(3)
        expect(await again.append([keyed('x:3', 'p')])).toEqual([{ status: 'duplicate', first: 1, last: 1 }])
      }))

    it('G4: a refused commit uses up neither its key nor its id', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1', 1, { moves: ['a'] })])
        const refused = { ...keyed('w:2', 'p'), guards: [{ head: 'a', notAfter: 0 }] }
        expect((await engine.append([refused]))[0]?.status).toBe('conflict')
        expect((await engine.append([keyed('w:2', 'p')]))[0]?.status).toBe('appended')
      }))

    it('G4: what a key refused has moved no head', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([
          keyed('w:1', 'p'),
          { ...keyed('w:2', 'p'), moves: ['a'] },
          { ...keyed('w:3', 'q'), moves: ['a'] },
        ])
        const guarded = commit('w:4', 1, { guards: [{ head: 'a', notAfter: 0 }] })
        expect(await engine.append([guarded])).toEqual([{ status: 'appended', first: 2, last: 2 }])
      }))

    it('G8: scope and name are apart, whatever stands in them', () =>
      onFreshLog(under, async (engine, storage) => {
        const parts = ['a', 'b', 'a/b', 'a:b', '"', '","', "'", '', ' ', 'A', 'ß', '🙂', '\u0000', 'a\u0000']
        const keys = parts.flatMap((scope) => parts.map((name) => ({ scope, name, print: 'p' })))
        const commits = keys.map((key, index) => commit(`w:${index}`, 1, { key }))
        const statuses = (await engine.append(commits)).map(({ status }) => status)
        expect(statuses).toEqual(keys.map(() => 'appended'))
        const again = await reopened(engine, storage)
        const repeated = await again.append(keys.map((key, index) => commit(`x:${index}`, 1, { key })))
        expect(repeated).toEqual(keys.map((_, index) => ({ status: 'duplicate', first: index + 1, last: index + 1 })))
      }))
  })
}
