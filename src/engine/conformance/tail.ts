/** What tails are given. Real time: one listener is slow by keeping the event loop to itself. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../../event/record.ts'
import type { Engine } from '../engine.ts'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, reopened, sequencesOf } from './on-fresh-log.ts'

export function tailSection(under: EngineUnderTest): void {
  describe('tail', () => {
    it('G6: sees every record once, in order, its own commits included, and before their append resolves', () =>
      onFreshLog(under, async (engine) => {
        const seen = follow(engine, 0)
        for (let index = 0; index < 20; index++) {
          const [outcome] = await engine.append([commit(`w:${index}`, 1 + (index % 3))])
          expect(seen.at(-1)).toBe((outcome as { last: number }).last)
        }
        expect(seen).toEqual(dense(1, seen.length))
      }))

    it('G6: sees before append resolves also when appends are not awaited', () =>
      onFreshLog(under, async (engine) => {
        const seen = follow(engine, 0)
        const late = dense(1, 100).map(async (index) => {
          const [outcome] = await engine.append([commit(`w:${index}`, 2)])
          return (seen.at(-1) ?? 0) < (outcome as { last: number }).last
        })
        expect((await Promise.all(late)).filter(Boolean)).toEqual([])
        expect(seen).toEqual(dense(1, 200))
      }))

    it('G6: a late one catches up from any position, then follows; two see the same', () =>
      onFreshLog(under, async (engine) => {
        for (let index = 0; index < 30; index++) await engine.append([commit(`w:${index}`, 100)])
        const fromStart = follow(engine, 0)
        const fromWithin = follow(engine, 1_050)
        for (let index = 30; index < 60; index++) await engine.append([commit(`w:${index}`, 2)])
        const head = await engine.head()
        await until(() => fromStart.at(-1) === head && fromWithin.at(-1) === head)
        expect(fromStart).toEqual(dense(1, head))
        expect(fromWithin).toEqual(dense(1_051, head))
      }))

    it('G6: one that begins while appends are under way misses nothing and repeats nothing', () =>
      onFreshLog(under, async (engine) => {
        const appends: Promise<unknown>[] = []
        const tails: number[][] = []
        for (let index = 0; index < 100; index++) {
          appends.push(engine.append([commit(`w:${index}`, 3)]))
          if (index % 10 === 0) {
            tails.push(follow(engine, 0))
            await Promise.resolve()
          }
        }
        await Promise.all(appends)
        const head = await engine.head()
        await until(() => tails.every((seen) => seen.at(-1) === head))
        for (const seen of tails) expect(seen).toEqual(dense(1, head))
      }))

    it('G6: tails begun anywhere, at any moment, see exactly what lies above their start', async () => {
      const step = fc.oneof(
        fc.record({ append: fc.integer({ min: 1, max: 5 }) }),
        fc.record({ tailFrom: fc.double({ min: 0, max: 1, noNaN: true }) }),
        fc.constantFrom('wait for the appends' as const, 'let others run' as const),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) =>
          onFreshLog(under, async (engine) => {
            const tails: { from: number; seen: number[] }[] = []
            let appends: Promise<unknown>[] = []
            for (const [index, one] of steps.entries()) {
              if (one === 'wait for the appends') await Promise.all(appends.splice(0))
              else if (one === 'let others run') await new Promise<void>((resolve) => setImmediate(resolve))
              else if ('append' in one) appends = [...appends, engine.append([commit(`w:${index}`, one.append)])]
              else {
                const from = Math.floor((await engine.head()) * one.tailFrom)
                tails.push({ from, seen: follow(engine, from) })
              }
            }
            await Promise.all(appends)
            const head = await engine.head()
            await until(() => tails.every(({ from, seen }) => from === head || seen.at(-1) === head))
            for (const { from, seen } of tails) expect(seen).toEqual(dense(from + 1, head))
          }),
        ),
        { numRuns: 25 },
      )
    }, 60_000)

    it('G6: one whose listener is slow loses nothing, neither while it catches up nor when it is live', () =>
      onFreshLog(under, async (engine) => {
        for (let index = 0; index < 30; index++) await engine.append([commit(`w:${index}`, 100)])
        const seen: number[] = []
        engine.tail(0, (records) => {
          // Not a timer: a listener is slow by keeping the event loop to itself.
          const end = performance.now() + 5
          while (performance.now() < end);
          seen.push(...sequencesOf(records))
        })
        const appends = dense(1, 50).map(async (index) => {
          await new Promise<void>((resolve) => setImmediate(resolve))
          await engine.append([commit(`x:${index}`, 3)])
        })
        await Promise.all(appends)
        const head = await engine.head()
        await until(() => seen.at(-1) === head)
        expect(seen).toEqual(dense(1, head))
      }))

    it('G6: one that begins above the head is given nothing until then', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1', 3)])
        const seen = follow(engine, 5)
        await engine.append([commit('w:2', 1)])
        await engine.append([commit('w:3', 4)])
        await until(() => seen.at(-1) === 8)
        expect(seen).toEqual([6, 7, 8])
      }))

    it('G6: one that begins inside a listener, where that one stands, is not given the same records', () =>
      onFreshLog(under, async (engine) => {
        const seen: number[] = []
        let hasBegun = false
        engine.tail(0, (records) => {
          if (hasBegun) return
          hasBegun = true
          engine.tail(records.at(-1)?.sequence ?? 0, (more) => seen.push(...sequencesOf(more)))
        })
        await engine.append([commit('w:1', 3)])
        await engine.append([commit('w:2', 2)])
        expect(seen).toEqual([4, 5])
      }))

    it('G6: a listener may append', () =>
      onFreshLog(under, async (engine) => {
        const answers: Promise<unknown>[] = []
        const seen: number[] = []
        engine.tail(0, (records) => {
          seen.push(...sequencesOf(records))
          if (answers.length < 10) answers.push(engine.append([commit(`answer:${answers.length}`)]))
        })
        await engine.append([commit('w:1')])
        while (answers.length < 10) await Promise.all([...answers])
        await Promise.all(answers)
        expect(seen).toEqual(dense(1, 11))
      }))

    it('G4 G6: what was refused is not seen', () =>
      onFreshLog(under, async (engine) => {
        const seen = follow(engine, 0)
        const guards = [{ head: 'a', notAfter: 0 }]
        await engine.append([
          commit('w:1', 1, { moves: ['a'] }),
          commit('w:2', 1, { guards }),
          commit('w:1'),
          commit('w:3'),
        ])
        await engine.append([commit('w:4', 1, { guards })])
        expect(seen).toEqual([1, 2])
      }))

    it('G6: gives the records that read gives; only a hash may be missing', () =>
      onFreshLog(under, async (engine) => {
        const tailed: LogRecord[] = []
        engine.tail(0, (records) => tailed.push(...records))
        await engine.append([commit('w:1', 2), commit('w:2')])
        const withoutHash = (records: readonly LogRecord[]) => records.map(({ dataHash: _, ...rest }) => rest)
        expect(withoutHash(tailed)).toEqual(withoutHash(await everything(engine)))
      }))

    it('begins again after a reopen where the reader stood', () =>
      onFreshLog(under, async (engine, storage) => {
        const seen = follow(engine, 0)
        await engine.append([commit('w:1', 3)])
        const again = await reopened(engine, storage)
        const more = follow(again, 2)
        await again.append([commit('w:2')])
        await until(() => more.at(-1) === 4)
        expect(seen).toEqual([1, 2, 3])
        expect(more).toEqual([3, 4])
      }))

    it('one that begins below the oldest retained record is told so: SPINE_TRIMMED', () =>
      onFreshLog(under, async (engine) => {
        await engine.append([commit('w:1', 2), commit('w:2')])
        await engine.trim(3)
        // Not silence: a reader that is given nothing cannot know that it has lost something.
        expect(() => engine.tail(0, () => {})).toThrow(expect.objectContaining({ code: 'SPINE_TRIMMED', limit: 3 }))
        expect(() => engine.tail(1, () => {})).toThrow(expect.objectContaining({ code: 'SPINE_TRIMMED', limit: 3 }))
        const seen = follow(engine, 2)
        await until(() => seen.at(-1) === 3)
      }))

    it('is given nothing after it was stopped: live, catching up, or from within the listener of another', () =>
      onFreshLog(under, async (engine) => {
        const seen: number[] = []
        const tail = engine.tail(0, (records) => seen.push(...sequencesOf(records)))
        await engine.append([commit('w:1')])
        tail.stop()
        tail.stop()
        await engine.append([commit('w:2')])
        expect(seen).toEqual([1])

        const catchingUp: number[] = []
        engine.tail(0, (records) => catchingUp.push(...sequencesOf(records))).stop()
        engine.tail(2, () => other.stop())
        const stoppedByAnother: number[] = []
        const other = engine.tail(2, (records) => stoppedByAnother.push(...sequencesOf(records)))
        await engine.append([commit('w:3')])
        await engine.append([commit('w:4')])
        await new Promise<void>((resolve) => setImmediate(resolve))
        expect(catchingUp).toEqual([])
        expect(stoppedByAnother).toEqual([])
      }))

    it('is given nothing after the engine was closed', () =>
      onFreshLog(under, async (engine, storage) => {
        const seen = follow(engine, 0)
        const again = await reopened(engine, storage)
        await again.append([commit('w:1')])
        expect(seen).toEqual([])
      }))
  })
}

function follow(engine: Engine, after: number): number[] {
  const seen: number[] = []
  engine.tail(after, (records) => seen.push(...sequencesOf(records)))
  return seen
}

/** Turns of the event loop, not ms: nothing here waits for another process. */
async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; !holds(); round++) {
    if (round > 20_000) throw new Error('the tail did not catch up')
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}
