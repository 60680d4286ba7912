import { describe, expect, it } from 'vitest'
import type { Json } from '../../kernel/json.ts'
import { encodeOwn } from '../../kernel/json.ts'
import type { AppendOutcome } from '../engine.ts'
import type { Storage } from './index.ts'
import { commit, everything, onFreshLog, record, reopened } from './on-fresh-log.ts'

export function appendSection(create: () => Storage): void {
  describe('append', () => {
    it('G1 G2: sequences are dense from 1, commits whole and in the order of the array', () =>
      onFreshLog(create, async (engine) => {
        expect(await engine.head()).toBe(0)
        const outcomes = await engine.append([commit('w:1', 2), commit('w:2'), commit('w:3', 3)])
        expect(outcomes).toEqual([
          { status: 'appended', first: 1, last: 2 },
          { status: 'appended', first: 3, last: 3 },
          { status: 'appended', first: 4, last: 6 },
        ])
        const records = await everything(engine)
        expect(records.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6])
        expect(records.map(({ data }) => (data as { id: string }).id)).toEqual([
          'w:1',
          'w:1',
          'w:2',
          'w:3',
          'w:3',
          'w:3',
        ])
        expect(await engine.head()).toBe(6)
      }))

    it('G2: appends that are not awaited keep the order in which they were called', () =>
      onFreshLog(create, async (engine) => {
        const appends = Array.from({ length: 200 }, (_, index) => engine.append([commit(`w:${index}`)]))
        const firsts = (await Promise.all(appends)).map(([outcome]) => (outcome as { first: number }).first)
        expect(firsts).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
      }))

    it('G2: density continues after a reopen', () =>
      onFreshLog(create, async (engine, storage) => {
        await engine.append([commit('w:1', 3)])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('x:1')])).toEqual([{ status: 'appended', first: 4, last: 4 }])
        expect((await everything(again)).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
        await again.close()
      }))

    it('G5: a repeated id returns the first outcome, at once, in one array, and after a reopen', () =>
      onFreshLog(create, async (engine, storage) => {
        const first = engine.append([commit('w:1', 2)])
        const second = engine.append([commit('w:1', 2), commit('w:1', 2)])
        expect(await first).toEqual([{ status: 'appended', first: 1, last: 2 }])
        const duplicate: AppendOutcome = { status: 'duplicate', first: 1, last: 2 }
        expect(await second).toEqual([duplicate, duplicate])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('w:1', 2)])).toEqual([duplicate])
        expect(await again.head()).toBe(2)
        await again.close()
      }))

    it('gives back what was written: every field of the header, and any JSON', () =>
      onFreshLog(create, async (engine, storage) => {
        const values: Json[] = [
          null,
          0,
          -1.5,
          '',
          'ß 🙂 \u0000 "\\',
          true,
          [],
          {},
          { deep: [{ list: [1, 'two', null] }] },
          'x'.repeat(100_000),
        ]
        const full = record(
          { all: true },
          {
            time: 5,
            type: 'other.happened',
            version: 3,
            session: 'a',
            request: 'b',
            key: 'c',
            cause: 1,
            hops: 7,
            agent: 'd',
            deadline: 9,
          },
        )
        const { data: _, ...bare } = record(null)
        await engine.append([{ id: 'w:1', records: [...values.map((value) => record(value)), full, bare] }])
        const again = await reopened(engine, storage)
        const records = await everything(again)
        expect(records.slice(0, values.length).map(({ data }) => data)).toEqual(values)
        const { data, ...header } = full
        expect(records.at(-2)).toMatchObject({ ...header, data: { all: true }, sequence: values.length + 1 })
        expect(records.at(-1)?.data).toBeNull()
        expect(records[0]).not.toHaveProperty('agent')
        expect(data).toEqual(encodeOwn({ all: true }))
        await again.close()
      }))
  })
}
