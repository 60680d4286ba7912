import { describe, expect, it } from 'vitest'
import type { Engine, ReadQuery } from '../engine.ts'
import type { Storage } from './index.ts'
import { commit, onFreshLog, record, reopened } from './on-fresh-log.ts'

export function readSection(create: () => Storage): void {
  describe('read', () => {
    const sequences = async (engine: Engine, query: Partial<ReadQuery>) =>
      (await engine.read({ limit: 100, ...query })).map(({ sequence }) => sequence)

    it('pages by position and limit, both ways, also from within a commit', () =>
      onFreshLog(create, async (engine) => {
        await engine.append([commit('w:1', 3), commit('w:2'), commit('w:3', 4)])
        expect(await sequences(engine, {})).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
        expect(await sequences(engine, { after: 1, limit: 4 })).toEqual([2, 3, 4, 5])
        expect(await sequences(engine, { after: 6 })).toEqual([7, 8])
        expect(await sequences(engine, { after: 8 })).toEqual([])
        expect(await sequences(engine, { after: 99 })).toEqual([])
        expect(await sequences(engine, { backwards: true, limit: 3 })).toEqual([8, 7, 6])
        expect(await sequences(engine, { backwards: true, after: 7 })).toEqual([6, 5, 4, 3, 2, 1])
        expect(await sequences(engine, { backwards: true, after: 1 })).toEqual([])
      }))

    it('finds by session, request, type and agent, alone and together, also inside commits of several sessions', () =>
      onFreshLog(create, async (engine, storage) => {
        await engine.append([
          {
            id: 'w:1',
            records: [record(1, { session: 'a', request: 'x' }), record(2, { session: 'b', request: 'x', agent: 'm' })],
          },
          { id: 'w:2', records: [record(3, { session: 'b', request: 'y', type: 'other.happened' })] },
          {
            id: 'w:3',
            records: [
              record(4, { session: 'c', request: 'z', agent: 'm' }),
              record(5, { session: 'a', request: 'y', agent: 'n' }),
              record(6, { session: 'b', request: 'x' }),
            ],
          },
        ])
        const on = await reopened(engine, storage)
        expect(await sequences(on, { session: 'a' })).toEqual([1, 5])
        expect(await sequences(on, { session: 'b' })).toEqual([2, 3, 6])
        expect(await sequences(on, { session: 'b', backwards: true, limit: 2 })).toEqual([6, 3])
        expect(await sequences(on, { request: 'x' })).toEqual([1, 2, 6])
        expect(await sequences(on, { request: 'y', session: 'a' })).toEqual([5])
        expect(await sequences(on, { types: ['other.happened'] })).toEqual([3])
        expect(await sequences(on, { types: ['other.happened', 'thing.happened'], after: 2, limit: 2 })).toEqual([3, 4])
        expect(await sequences(on, { agent: 'm' })).toEqual([2, 4])
        expect(await sequences(on, { agent: 'm', session: 'c' })).toEqual([4])
        expect(await sequences(on, { session: 'nobody' })).toEqual([])
        await on.close()
      }))

    it('finds the few among the many, page after page', () =>
      onFreshLog(create, async (engine) => {
        const commits = Array.from({ length: 1_500 }, (_, index) => ({
          id: `w:${index}`,
          records: [
            record(index, { session: `s${index % 100}`, type: index % 500 === 0 ? 'rare.happened' : 'thing.happened' }),
          ],
        }))
        await engine.append(commits)
        expect(await sequences(engine, { types: ['rare.happened'] })).toEqual([1, 501, 1_001])
        expect(await sequences(engine, { types: ['rare.happened'], backwards: true, limit: 2 })).toEqual([1_001, 501])
        expect(await sequences(engine, { session: 's7', limit: 3, after: 8 })).toEqual([108, 208, 308])
      }))
  })
}
