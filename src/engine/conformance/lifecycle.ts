import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine.ts'
import type { Storage } from './index.ts'
import { commit, everything, onFreshLog, reopened } from './on-fresh-log.ts'

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

export function lifecycleSection(create: () => Storage): void {
  describe('lifecycle', () => {
    for (const [name, call] of Object.entries(CALLS)) {
      it(`${name} fails with SPINE_CLOSED before open and after close, and works in between and after a reopen`, async () => {
        const storage = create()
        const engine = storage.engine()
        await expect(calling(engine, call)).rejects.toMatchObject({ code: 'SPINE_CLOSED' })
        await engine.open()
        await calling(engine, call)
        await engine.close()
        await expect(calling(engine, call)).rejects.toMatchObject({ code: 'SPINE_CLOSED' })
        await engine.open()
        await calling(engine, call)
        await engine.close()
        await storage.remove()
      })
    }

    it('closing waits for appends under way, and closing twice is fine', () =>
      onFreshLog(create, async (engine, storage) => {
        const appends = Array.from({ length: 50 }, (_, index) => engine.append([commit(`w:${index}`)]))
        await engine.close()
        await engine.close()
        await Promise.all(appends)
        const again = await reopened(engine, storage)
        expect(await everything(again)).toHaveLength(50)
        await again.close()
      }))

    it(
      'an engine that is not shared refuses a second owner: SPINE_ENGINE_LOCKED',
      () =>
        onFreshLog(create, async (engine, storage) => {
          const second = storage.engine()
          if (engine.shared) {
            await second.open()
            await second.close()
            return
          }
          await expect(second.open()).rejects.toMatchObject({ code: 'SPINE_ENGINE_LOCKED', retryable: true })
          await engine.append([commit('w:1')])
        }),
      20_000,
    )

    it('names itself, and the durability that it can prove', () =>
      onFreshLog(create, async (engine) => {
        const { level, evidence } = engine.durability()
        expect(['none', 'process-crash', 'power-loss']).toContain(level)
        expect(evidence.length).toBeGreaterThan(10)
        expect(engine.name).not.toBe('')
      }))
  })
}

async function calling(engine: Engine, call: (engine: Engine) => unknown): Promise<void> {
  await call(engine)
}
