import { describe, expect, it } from 'vitest'
import type { Storage } from './index.ts'
import { commit, everything, onFreshLog, reopened } from './on-fresh-log.ts'

export function snapshotsAndTrimSection(create: () => Storage): void {
  describe('snapshots and trim', () => {
    it('the later snapshot of a name stays, whatever comes after it, also over a reopen', () =>
      onFreshLog(create, async (engine, storage) => {
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
        await again.close()
      }))

    it('trims whole commits; below the cut is SPINE_TRIMMED with the oldest; order, heads and density go on', () =>
      onFreshLog(create, async (engine, storage) => {
        await engine.append([commit('w:1', 2, { moves: ['a'] }), commit('w:2', 3), commit('w:3', 2)])
        await engine.trim(5)
        expect((await engine.read({ limit: 10 })).map(({ sequence }) => sequence)).toEqual([3, 4, 5, 6, 7])
        await expect(engine.read({ after: 0, limit: 10 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED', limit: 3 })
        expect((await engine.read({ after: 2, limit: 1 }))[0]?.sequence).toBe(3)
        const again = await reopened(engine, storage)
        await expect(again.read({ after: 1, limit: 10 })).rejects.toMatchObject({ code: 'SPINE_TRIMMED', limit: 3 })
        expect(await again.append([commit('x:1', 1, { guards: [{ head: 'a', notAfter: 1 }] }), commit('x:2')])).toEqual(
          [
            { status: 'conflict', head: 'a', at: 2 },
            { status: 'appended', first: 8, last: 8 },
          ],
        )
        await again.trim(100)
        expect(await again.head()).toBe(8)
        expect(await again.append([commit('x:3')])).toEqual([{ status: 'appended', first: 9, last: 9 }])
        const third = await reopened(again, storage)
        await third.trim(100)
        const fourth = await reopened(third, storage)
        expect(await fourth.append([commit('y:1')])).toEqual([{ status: 'appended', first: 10, last: 10 }])
        await expect(everything(fourth)).rejects.toMatchObject({ code: 'SPINE_TRIMMED' })
        await fourth.close()
      }))
  })
}
