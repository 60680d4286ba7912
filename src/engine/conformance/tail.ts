import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../../event/record.ts'
import type { Engine } from '../engine.ts'
import type { Storage } from './index.ts'
import { commit, onFreshLog } from './on-fresh-log.ts'

export function tailSection(create: () => Storage): void {
  describe('tail', () => {
    it('G6: sees every record once, in order, its own commits included, and before their append resolves', () =>
      onFreshLog(create, async (engine) => {
        const seen = follow(engine, 0)
        for (let index = 0; index < 20; index++) {
          const [outcome] = await engine.append([commit(`w:${index}`, 1 + (index % 3))])
          expect(seen.at(-1)).toBe((outcome as { last: number }).last)
        }
        expect(seen).toEqual(dense(1, seen.length))
      }))

    it('G6: a late one catches up from any position, then follows; two see the same', () =>
      onFreshLog(create, async (engine) => {
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
      onFreshLog(create, async (engine) => {
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

    it('is given nothing after it was stopped', () =>
      onFreshLog(create, async (engine) => {
        const seen: number[] = []
        const tail = engine.tail(0, (records) => seen.push(...sequences(records)))
        await engine.append([commit('w:1')])
        tail.stop()
        await engine.append([commit('w:2')])
        expect(seen).toEqual([1])
      }))
  })
}

function follow(engine: Engine, after: number): number[] {
  const seen: number[] = []
  engine.tail(after, (records) => seen.push(...sequences(records)))
  return seen
}

function sequences(records: readonly LogRecord[]): readonly number[] {
  return records.map(({ sequence }) => sequence)
}

function dense(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; !holds(); round++) {
    if (round > 10_000) throw new Error('the tail did not catch up')
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}
