import { describe, expect, it } from 'vitest'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, record, reopened, sequencesOf } from './on-fresh-log.ts'

export function snapshotsAndTrimSection(under: EngineUnderTest): void {
  describe('snapshots', () => {
    it('the later snapshot of a name stays, whatever comes after it, also over a reopen', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 9)])
        expect(await engine.readSnapshot('kernel')).toBeUndefined()
        await engine.writeSnapshot('kernel', 5, Uint8Array.of(5, 0, 255))
        await engine.writeSnapshot('kernel', 3, Uint8Array.of(3))
        await engine.writeSnapshot('other', 1, Uint8Array.of())
        expect(await engine.readSnapshot('kernel')).toEqual({ at: 5, state: Uint8Array.of(5, 0, 255) })
        await engine.writeSnapshot('kernel', 7, Uint8Array.of(7))
        const again = await reopened(engine, storage)
        expect(await again.readSnapshot('kernel')).toEqual({ at: 7, state: Uint8Array.of(7) })
        expect(await again.readSnapshot('other')).toEqual({ at: 1, state: Uint8Array.of() })
      }))

    it('one of the same sequence replaces', () =>
      onFreshLog(under, async (engine) => {
        await engine.writeSnapshot('kernel', 5, Uint8Array.of(1))
        await engine.writeSnapshot('kernel', 5, Uint8Array.of(2))
        expect(await engine.readSnapshot('kernel')).toEqual({ at: 5, state: Uint8Array.of(2) })
      }))

    it('keeps the bytes that it was given: a part of a larger array, and whatever becomes of either array', () =>
      onFreshLog(under, async (engine) => {
        const given = Uint8Array.of(9, 1, 2, 9).subarray(1, 3)
        await engine.writeSnapshot('kernel', 1, given)
        given.fill(7)
        const read = await engine.readSnapshot('kernel')
        expect(read?.state).toEqual(Uint8Array.of(1, 2))
        read?.state.fill(8)
        expect(await engine.readSnapshot('kernel')).toEqual({ at: 1, state: Uint8Array.of(1, 2) })
      }))

    it('a large one comes back whole', () =>
      onFreshLog(under, async (engine, storage) => {
        const state = new Uint8Array(3_000_000).map((_, index) => index % 251)
        await engine.writeSnapshot('kernel', 1, state)
        const again = await reopened(engine, storage)
        expect(Buffer.compare((await again.readSnapshot('kernel'))?.state ?? Uint8Array.of(), state)).toBe(0)
      }))
  })

  describe('trim', () => {
    it('G1 G2 G4: whole commits; below the cut is SPINE_TRIMMED with the oldest; order, heads and density go on', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 2, { moves: ['a'] }), commit('w:2', 3), commit('w:3', 2)])
        await engine.trim(5)
        expect(sequencesOf(await engine.read({ limit: 10 }))).toEqual([3, 4, 5, 6, 7])
        await expect(engine.read({ after: 0, limit: 10 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED', limit: 3 })
        expect(sequencesOf(await engine.read({ after: 2, limit: 1 }))).toEqual([3])
        const again = await reopened(engine, storage)
        await expect(again.read({ after: 1, limit: 10 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED', limit: 3 })
        expect(await again.append([commit('x:1', 1, { guards: [{ head: 'a', notAfter: 1 }] }), commit('x:2')])).toEqual(
          [
            { status: 'conflict', head: 'a', at: 2 },
            { status: 'appended', first: 8, last: 8 },
          ],
        )
        expect(sequencesOf(await everything(again))).toEqual([3, 4, 5, 6, 7, 8])
      }))

    it('G2: density goes on when nothing is left, over two reopens', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 5)])
        await engine.trim(100)
        expect(await engine.head()).toBe(5)
        expect(await everything(engine)).toEqual([])
        const again = await reopened(engine, storage)
        expect(await again.head()).toBe(5)
        await again.trim(100)
        const third = await reopened(again, storage)
        expect(await third.append([commit('y:1')])).toEqual([{ status: 'appended', first: 6, last: 6 }])
        expect(sequencesOf(await everything(third))).toEqual([6])
        await expect(third.read({ after: 4, limit: 10 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED', limit: 6 })
      }))

    it.each([
      ['at its beginning', 3, 3],
      ['inside it', 4, 3],
      ['at its last record', 5, 3],
      ['behind it', 6, 6],
    ])('G1: a cut %s leaves a commit whole or takes it whole', (_where, before, oldest) =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1', 2), commit('w:2', 3), commit('w:3', 2)])
        await engine.trim(before)
        expect((await engine.read({ limit: 1 }))[0]?.sequence).toBe(oldest)
        // A later trim further below gives nothing back and takes nothing.
        await engine.trim(1)
        expect((await engine.read({ limit: 1 }))[0]?.sequence).toBe(oldest)
      }),
    )

    it('the error says what to do', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1'), commit('w:2')])
        await engine.trim(2)
        await expect(engine.read({ after: 0, limit: 1 })).rejects.toMatchObject({
          code: 'SPINE_TRIMMED',
          value: 0,
          fix: expect.stringMatching(/\w/),
        })
      }))

    it('reads by session and backwards end at the cut', () =>
      onFreshLog(under, async (engine) => {
        const inSessions = (id: string) => ({
          id,
          records: [record(id, { session: 'a' }), record(id, { session: 'b', request: 'q' })],
        })
        await engine.append([inSessions('w:1'), inSessions('w:2'), inSessions('w:3')])
        await engine.trim(3)
        expect(sequencesOf(await engine.read({ session: 'a', limit: 10 }))).toEqual([3, 5])
        expect(sequencesOf(await engine.read({ session: 'b', limit: 10 }))).toEqual([4, 6])
        expect(sequencesOf(await engine.read({ request: 'q', limit: 10, backwards: true }))).toEqual([6, 4])
        expect(sequencesOf(await engine.read({ limit: 10, backwards: true }))).toEqual([6, 5, 4, 3])
        expect(await engine.read({ limit: 10, backwards: true, after: 3 })).toEqual([])
      }))

    it('snapshots stay', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1'), commit('w:2')])
        await engine.writeSnapshot('kernel', 1, Uint8Array.of(1))
        await engine.trim(3)
        expect(await engine.readSnapshot('kernel')).toEqual({ at: 1, state: Uint8Array.of(1) })
      }))

    it('reads beside trims find what is retained, dense; what is not is SPINE_TRIMMED, and never damage', () =>
      onFreshLog(under, async (engine) => {
        await engine.append(dense(1, 1_000).map((index) => commit(`w:${index}`)))
        let trims: Promise<unknown>[] = []
        for (let round = 1; round <= 120; round++) {
          trims.push(engine.trim(round * 6))
          const ends = [
            engine.read({ limit: 1_000 }),
            engine.read({ limit: 1_000, backwards: true }).then((found) => found.toReversed()),
          ]
          for (const found of (await Promise.all(ends)).map(sequencesOf))
            expect(found).toEqual(dense(found[0] ?? 1, found.at(-1) ?? 0))
          const from = Math.max(0, round * 6 - 12)
          const atCut = await engine.read({ after: from, limit: 10 }).catch((error: unknown) => error)
          if (Array.isArray(atCut)) expect(sequencesOf(atCut)).toEqual(dense(from + 1, from + 10))
          else expect(atCut).toMatchObject({ code: 'SPINE_TRIMMED' })
          if (trims.length > 10) trims = [Promise.all(trims)]
        }
        await Promise.all(trims)
      }))

    it('G2: appends that are under way are not harmed', () =>
      onFreshLog(under, async (engine) => {
        const appends = [engine.append([commit('w:1', 2)]), engine.append([commit('w:2', 2)])]
        const trimmed = engine.trim(3)
        appends.push(engine.append([commit('w:3', 2)]))
        const outcomes = (await Promise.all(appends)).flat()
        await trimmed
        expect(outcomes.map((outcome) => (outcome as { last: number }).last)).toEqual([2, 4, 6])
        expect(sequencesOf(await everything(engine))).toEqual([3, 4, 5, 6])
      }))
  })
}
