import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../../event/record.ts'
import type { Engine, ReadQuery } from '../engine.ts'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, record, reopened, sequencesOf } from './on-fresh-log.ts'

export function readSection(under: EngineUnderTest): void {
  describe('read', () => {
    const sequences = async (engine: Engine, query: Partial<ReadQuery>) =>
      sequencesOf(await engine.read({ limit: 100, ...query }))

    it('pages by position and limit, both ways, also from within a commit', () =>
      onFreshLog(under, async (engine) => {
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

    it('backwards from above the head begins at the head', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1', 3)])
        expect(await sequences(engine, { backwards: true, after: 4 })).toEqual([3, 2, 1])
        expect(await sequences(engine, { backwards: true, after: 99, limit: 2 })).toEqual([3, 2])
      }))

    it('finds by session, request, type and agent, alone and together, also inside commits of several sessions', () =>
      onFreshLog(under, async (engine, storage) => {
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
      }))

    it('finds the few among the many, page after page', () =>
      onFreshLog(under, async (engine) => {
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
        expect(await sequences(engine, { limit: 1_000 })).toEqual(dense(1, 1_000))
        expect(await sequences(engine, { limit: 1_000, after: 700 })).toEqual(dense(701, 1_500))
        expect(await sequences(engine, { limit: 1_000, backwards: true, after: 1_200 })).toEqual(
          dense(200, 1_199).toReversed(),
        )
      }))

    it('a page is the same when it is read again later', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 3), commit('w:2', 3)])
        const page = await engine.read({ after: 1, limit: 3 })
        await engine.append([commit('w:3', 3)])
        expect(await engine.read({ after: 1, limit: 3 })).toEqual(page)
        const again = await reopened(engine, storage)
        expect(await again.read({ after: 1, limit: 3 })).toEqual(page)
      }))

    it('G1 G2: reads beside appends are dense and hold whole commits, forwards, backwards and by session', () =>
      onFreshLog(under, async (engine) => {
        const isWhole = (found: readonly number[]) => found.length % 3 === 0
        let appends: Promise<unknown>[] = []
        for (let round = 0; round < 300; round++) {
          appends.push(engine.append([commit(`w:${round}`, 3)]))
          if (round % 20 === 19) await Promise.race(appends)
          const forwards = await sequences(engine, { limit: 1_000 })
          const backwards = await sequences(engine, { limit: 1_000, backwards: true })
          const ofSession = await sequences(engine, { limit: 999, session: 's', backwards: true })
          expect(forwards).toEqual(dense(1, forwards.length))
          expect(backwards).toEqual(dense((backwards[0] ?? 0) - backwards.length + 1, backwards[0] ?? 0).toReversed())
          expect(ofSession).toEqual(dense((ofSession[0] ?? 0) - ofSession.length + 1, ofSession[0] ?? 0).toReversed())
          for (const found of [forwards, backwards, ofSession])
            if (found.length < 999) expect(isWhole(found), `${found.length} records`).toBe(true)
          if (appends.length > 50) appends = [Promise.all(appends)]
        }
        await Promise.all(appends)
      }))

    it('nobody can change what was read', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([{ id: 'w:1', records: [record({ list: [1] })] }])
        const [read] = await engine.read({ limit: 1 })
        expect(Object.isFrozen(read)).toBe(true)
      }))

    it('G1 G2: any query gives what a plain filter over the whole log gives', async () => {
      const name = fc.constantFrom('a', 'b', 'c')
      const header = fc.record({
        session: name,
        request: name,
        type: fc.constantFrom('thing.happened', 'other.happened', 'third.happened'),
        agent: fc.option(fc.constantFrom('m', 'n'), { nil: undefined }),
      })
      const log = fc.array(fc.array(header, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 })
      const query = fc.record(
        {
          after: fc.integer({ min: 0, max: 40 }),
          session: name,
          request: name,
          types: fc.subarray(['thing.happened', 'other.happened', 'unheard.of']),
          agent: fc.constantFrom('m', 'n', 'nobody'),
          backwards: fc.boolean(),
          limit: fc.integer({ min: 1, max: 30 }),
        },
        { requiredKeys: ['limit'] },
      )
      await fc.assert(
        fc.asyncProperty(log, fc.array(query, { minLength: 10, maxLength: 30 }), (commits, queries) =>
          onFreshLog(under, async (engine, storage) => {
            await engine.append(
              commits.map((headers, index) => ({
                id: `w:${index}`,
                records: headers.map(({ agent, ...rest }) =>
                  record(index, agent === undefined ? rest : { ...rest, agent }),
                ),
              })),
            )
            const on = await reopened(engine, storage)
            const all = await everything(on)
            for (const one of queries) expect(await on.read(one), JSON.stringify(one)).toEqual(filtered(all, one))
          }),
        ),
        { numRuns: 25 },
      )
    }, 60_000)
  })
}

/** The contract of `read` in a few lines. */
function filtered(all: readonly LogRecord[], query: ReadQuery): readonly LogRecord[] {
  const { after, limit, session, request, types, agent, backwards = false } = query
  return (backwards ? all.toReversed() : all)
    .filter(({ sequence }) => after === undefined || (backwards ? sequence < after : sequence > after))
    .filter((found) => session === undefined || found.session === session)
    .filter((found) => request === undefined || found.request === request)
    .filter((found) => agent === undefined || found.agent === agent)
    .filter((found) => types === undefined || types.includes(found.type))
    .slice(0, limit)
}
