import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine.ts'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, onFreshStorage, reopened, sequencesOf } from './on-fresh-log.ts'

/** Every method that needs an open engine. */
const CALLS: Readonly<Record<string, (engine: Engine) => unknown>> = {
  append: (engine) => engine.append([commit('w:1')]),
  read: (engine) => engine.read({ limit: 1 }),
  tail: (engine) => engine.tail(0, () => {}),
  head: (engine) => engine.head(),
  readSnapshot: (engine) => engine.readSnapshot('kernel'),
  writeSnapshot: (engine) => engine.writeSnapshot('kernel', 0, Uint8Array.of()),
  trim: (engine) => engine.trim(0),
}

export function lifecycleSection(under: EngineUnderTest): void {
  describe('lifecycle', () => {
    for (const [name, call] of Object.entries(CALLS)) {
      it(`${name} fails with SPINE_CLOSED before open and after close, and works in between and after a reopen`, () =>
        onFreshStorage(under, async (storage) => {
          const engine = storage.engine()
          const closed = { code: 'SPINE_CLOSED', fix: expect.stringMatching(/\w/) }
          await expect(calling(engine, call)).rejects.toMatchObject(closed)
          await engine.open()
          await calling(engine, call)
          await engine.close()
          await expect(calling(engine, call)).rejects.toMatchObject(closed)
          await engine.open()
          await calling(engine, call)
        }))
    }

    it('closing waits for appends under way, and closing twice is fine, one after the other and at once', () =>
      onFreshLog(under, async (engine, storage) => {
        const appends = dense(1, 50).map((index) => engine.append([commit(`w:${index}`)]))
        await Promise.all([engine.close(), engine.close()])
        await engine.close()
        await Promise.all(appends)
        const again = await reopened(engine, storage)
        expect(sequencesOf(await everything(again))).toEqual(dense(1, 50))
      }))

    it('a second close waits for what the first one waits for', () =>
      onFreshLog(under, async (engine) => {
        let underWay = 50
        for (const index of dense(1, underWay)) void engine.append([commit(`w:${index}`)]).then(() => underWay--)
        const first = engine.close()
        await engine.close()
        // A turn for those who await the appends: what is asked is the disk, not the order of microtasks.
        await new Promise<void>((resolve) => setImmediate(resolve))
        expect(underWay).toBe(0)
        await first
      }))

    it('closing what was never opened is fine', () =>
      onFreshStorage(under, async (storage) => {
        await storage.engine().close()
      }))

    it('an engine that is open refuses to be opened, and goes on', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1')])
        await expect(engine.open()).rejects.toMatchObject({
          code: 'SPINE_ENGINE_LOCKED',
          fix: expect.stringMatching(/\w/),
        })
        expect(await engine.append([commit('w:2')])).toEqual([{ status: 'appended', first: 2, last: 2 }])
      }))

    it('two opens at once: one of them succeeds', () =>
      onFreshStorage(under, async (storage) => {
        const engine = storage.engine()
        const opened = await Promise.allSettled([engine.open(), engine.open()])
        expect(opened.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
        expect(await engine.append([commit('w:1')])).toEqual([{ status: 'appended', first: 1, last: 1 }])
      }))

    it('opening while it closes waits for its turn', () =>
      onFreshLog(under, async (engine) => {
        const append = engine.append([commit('w:1')])
        const closing = engine.close()
        await engine.open()
        await Promise.all([append, closing])
        expect(await engine.append([commit('w:2')])).toEqual([{ status: 'appended', first: 2, last: 2 }])
        expect(sequencesOf(await everything(engine))).toEqual([1, 2])
      }))

    it('an engine that is not shared refuses a second owner, and says what to do: SPINE_ENGINE_LOCKED', async ({
      annotate,
    }) => {
      await onFreshLog(under, async (engine, storage) => {
        if (engine.shared) {
          await annotate('a second owner is not refused: the engine declares that it is shared')
          return
        }
        const second = storage.engine()
        const error = await second.open().catch((caught: unknown) => caught)
        expect(error).toMatchObject({ code: 'SPINE_ENGINE_LOCKED', retryable: true, fix: expect.stringMatching(/\w/) })
        // The refused one must not have shaken the lock of the owner.
        await engine.append([commit('w:1')])
        await expect(storage.engine().open()).rejects.toMatchObject({ code: 'SPINE_ENGINE_LOCKED' })
        const next = await reopened(engine, storage)
        expect(await next.head()).toBe(1)
      })
    })

    it('an engine that is shared lets two append to one order', async ({ annotate }) => {
      await onFreshLog(under, async (engine, storage) => {
        if (!engine.shared) {
          await annotate('two do not append at once: the engine declares that it is not shared')
          return
        }
        const second = storage.engine()
        await second.open()
        const writers = [engine, second].map((writer, index) =>
          Promise.all(dense(1, 50).map((count) => writer.append([commit(`w${index}:${count}`)]))),
        )
        await Promise.all(writers)
        expect(sequencesOf(await everything(engine))).toEqual(dense(1, 100))
        expect(await everything(second)).toEqual(await everything(engine))
      })
    })

    it('has a name for people', () =>
      onFreshLog(under, async (engine) => {
        expect(engine.name).toMatch(/\w/)
      }))
  })
}

async function calling(engine: Engine, call: (engine: Engine) => unknown): Promise<void> {
  await call(engine)
}
