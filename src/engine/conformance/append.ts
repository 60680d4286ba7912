import { describe, expect, it } from 'vitest'
import { encodeOwn, type Json } from '../../kernel/json.ts'
import type { AppendOutcome } from '../engine.ts'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, record, reopened, sequencesOf } from './on-fresh-log.ts'

export function appendSection(under: EngineUnderTest): void {
  describe('append', () => {
    it('G1 G2: sequences are dense from 1, commits whole and in the order of the array', () =>
      onFreshLog(under, async (engine) => {
        expect(await engine.head()).toBe(0)
        const outcomes = await engine.append([commit('w:1', 2), commit('w:2'), commit('w:3', 3)])
        expect(outcomes).toEqual([
          { status: 'appended', first: 1, last: 2 },
          { status: 'appended', first: 3, last: 3 },
          { status: 'appended', first: 4, last: 6 },
        ])
        const records = await everything(engine)
        expect(sequencesOf(records)).toEqual([1, 2, 3, 4, 5, 6])
        const ids = records.map(({ data }) => (data as { id: string }).id)
        expect(ids).toEqual(['w:1', 'w:1', 'w:2', 'w:3', 'w:3', 'w:3'])
        expect(await engine.head()).toBe(6)
      }))

    it('G1: refused commits leave those around them whole', () =>
      onFreshLog(under, async (engine) => {
        const guards = [{ head: 'a', notAfter: 0 }]
        const outcomes = await engine.append([
          commit('w:1', 2, { moves: ['a'] }),
          commit('w:2', 5, { guards, moves: ['b'] }),
          commit('w:3', 3, { guards: [{ head: 'b', notAfter: 0 }] }),
        ])
        expect(outcomes.map(({ status }) => status)).toEqual(['appended', 'conflict', 'appended'])
        const ids = (await everything(engine)).map(({ data }) => (data as { id: string }).id)
        expect(ids).toEqual(['w:1', 'w:1', 'w:3', 'w:3', 'w:3'])
      }))

    it('G2: appends that are not awaited keep the order in which they were called', () =>
      onFreshLog(under, async (engine) => {
        const appends = dense(1, 200).map((index) => engine.append([commit(`w:${index}`)]))
        const firsts = (await Promise.all(appends)).map(([outcome]) => (outcome as { first: number }).first)
        expect(firsts).toEqual(dense(1, 200))
      }))

    it('G2: an empty array writes nothing', () =>
      onFreshLog(under, async (engine) => {
        expect(await engine.append([])).toEqual([])
        expect(await engine.head()).toBe(0)
      }))

    it('G2: density continues after a reopen', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 3)])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('x:1')])).toEqual([{ status: 'appended', first: 4, last: 4 }])
        expect(sequencesOf(await everything(again))).toEqual([1, 2, 3, 4])
      }))

    it('G5: a repeated id returns the first outcome, at once, in one array, and after a reopen', () =>
      onFreshLog(under, async (engine, storage) => {
        const first = engine.append([commit('w:1', 2)])
        const second = engine.append([commit('w:1', 2), commit('w:1', 2)])
        expect(await first).toEqual([{ status: 'appended', first: 1, last: 2 }])
        const duplicate: AppendOutcome = { status: 'duplicate', first: 1, last: 2 }
        expect(await second).toEqual([duplicate, duplicate])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('w:1', 2)])).toEqual([duplicate])
        expect(await again.head()).toBe(2)
      }))

    it('G5: a repeated id is a duplicate whatever has happened to its guards and its key since', () =>
      onFreshLog(under, async (engine, storage) => {
        const key = { scope: 'x', name: 'k', print: 'p' }
        const one = commit('w:1', 1, { guards: [{ head: 'a', notAfter: 0 }], moves: ['a'], key })
        const duplicate: AppendOutcome = { status: 'duplicate', first: 1, last: 1 }
        expect(await engine.append([one, one])).toEqual([{ status: 'appended', first: 1, last: 1 }, duplicate])
        const again = await reopened(engine, storage)
        expect(await again.append([one])).toEqual([duplicate])
      }))

    it('G5: an id is recognised after its commit was trimmed away, also after a reopen', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 2), commit('w:2')])
        await engine.trim(3)
        const duplicate: AppendOutcome = { status: 'duplicate', first: 1, last: 2 }
        expect(await engine.append([commit('w:1', 2)])).toEqual([duplicate])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('w:1', 2)])).toEqual([duplicate])
      }))

    it('gives back any JSON as it was', () =>
      onFreshLog(under, async (engine, storage) => {
        let nested: Json = 'bottom'
        for (let depth = 0; depth < 60; depth++) nested = depth % 2 === 0 ? [nested] : { nested }
        const values: Json[] = [
          null,
          0,
          -1.5,
          1e300,
          Number.MAX_SAFE_INTEGER,
          '',
          'ß 🙂 \u0000 "\\ \u2028',
          'half a pair: \ud800',
          true,
          [],
          {},
          { deep: [{ list: [1, 'two', null] }], 'a key.with $signs': { '': 0 } },
          nested,
          'x'.repeat(100_000),
        ]
        await engine.append([{ id: 'w:1', records: values.map((value) => record(value)) }])
        const again = await reopened(engine, storage)
        const records = await everything(again)
        expect(records.map(({ data }) => data)).toEqual(values)
      }))

    it('gives back every field of the header, and none that was not given', () =>
      onFreshLog(under, async (engine, storage) => {
        const full = record(null, {
          time: 1_800_000_000_001,
          type: 'other.happened',
          version: 3,
          session: 'ß 🙂 "\\ \u0000 session',
          request: "request'",
          key: 'key',
          cause: Number.MAX_SAFE_INTEGER,
          hops: 7,
          agent: 'agent',
          deadline: 1_800_000_000_002,
          due: 1_800_000_000_003,
          priority: 'background',
        })
        const { data: _, ...bare } = record(null, { session: 't' })
        // Both orders: what a commit shares between its records must not leak from its first to the others.
        await engine.append([
          { id: 'w:1', records: [full, bare] },
          { id: 'w:2', records: [bare, full] },
        ])
        const again = await reopened(engine, storage)
        const records = (await everything(again)).map(({ dataHash: _hash, ...rest }) => rest)
        const at = (sequence: number, header: object) => ({ ...header, sequence, data: null })
        expect(records).toStrictEqual([at(1, full), at(2, bare), at(3, bare), at(4, full)])
        expect(full.data).toEqual(encodeOwn(null))
        expect(await again.read({ session: full.session, limit: 9 })).toHaveLength(2)
      }))
  })
}
