import { describe, expect, it } from 'vitest'
import type { AppendOutcome } from '../engine.ts'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, reopened, sequencesOf } from './on-fresh-log.ts'

/**
 * What can be seen of durability from inside one process. That a kill or a loss of power takes nothing that was
 * acknowledged is for a test that owns the process: each engine brings its own.
 */
export function durabilitySection(under: EngineUnderTest): void {
  describe('durability', () => {
    it('G3: what was acknowledged is at once in the head, in reads and for every tail', () =>
      onFreshLog(under, async (engine) => {
        for (let index = 0; index < 10; index++) {
          const [outcome] = (await engine.append([commit(`w:${index}`, 2)])) as [AppendOutcome & { last: number }]
          expect(await engine.head()).toBe(outcome.last)
          expect((await engine.read({ backwards: true, limit: 1 }))[0]?.sequence).toBe(outcome.last)
        }
      }))

    it('G3: an outcome that rests on a commit is not told before that commit is', () =>
      onFreshLog(under, async (engine) => {
        const told: string[] = []
        const key = { scope: 'x', name: 'k', print: 'p' }
        const first = commit('w:1', 1, { key, moves: ['a'] })
        const tell = (name: string) => (outcomes: readonly AppendOutcome[]) =>
          void told.push(`${name} ${outcomes[0]?.status}`)
        await Promise.all([
          engine.append([first]).then(tell('first')),
          engine.append([first]).then(tell('same id')),
          engine.append([commit('w:2', 1, { key })]).then(tell('same key')),
          engine.append([commit('w:3', 1, { key: { ...key, print: 'q' } })]).then(tell('other print')),
          engine.append([commit('w:4', 1, { guards: [{ head: 'a', notAfter: 0 }] })]).then(tell('guarded')),
        ])
        expect(told).toEqual([
          'first appended',
          'same id duplicate',
          'same key duplicate',
          'other print key-reused',
          'guarded conflict',
        ])
      }))

    it('G3: appends are acknowledged in the order in which they were called', () =>
      onFreshLog(under, async (engine) => {
        const told: number[] = []
        await Promise.all(
          dense(1, 100).map((index) => engine.append([commit(`w:${index}`)]).then(() => void told.push(index))),
        )
        expect(told).toEqual(dense(1, 100))
      }))

    it('gives its evidence, the same on every open', async ({ annotate }) => {
      await onFreshLog(under, async (engine, storage) => {
        const { level, evidence } = engine.durability()
        expect(['none', 'process-crash', 'power-loss']).toContain(level)
        expect(evidence.length).toBeGreaterThan(10)
        const again = await reopened(engine, storage)
        expect(again.durability()).toEqual({ level, evidence })
        await again.append([commit('w:1', 3)])
        if (level === 'none') {
          await annotate(`that the log outlives its engine object is not asked: durability 'none' (${evidence})`)
          return
        }
        const third = await reopened(again, storage)
        expect(sequencesOf(await everything(third))).toEqual([1, 2, 3])
      })
    })
  })
}
