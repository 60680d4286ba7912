import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AppendOutcome, Commit } from '../engine.ts'
import type { Storage } from './index.ts'
import { commit, everything, onFreshLog, reopened } from './on-fresh-log.ts'

export function headsSection(create: () => Storage): void {
  describe('heads', () => {
    it('G4: a guard that does not hold writes nothing and tells the head and where it stands', () =>
      onFreshLog(create, async (engine) => {
        await engine.append([commit('w:1'), commit('w:2', 2, { moves: ['lane/*'] })])
        const late = commit('w:3', 1, { guards: [{ head: 'lane/*', notAfter: 2 }], moves: ['other'] })
        expect(await engine.append([late])).toEqual([{ status: 'conflict', head: 'lane/*', at: 3 }])
        expect(await engine.head()).toBe(3)
        const fine = commit('w:4', 1, {
          guards: [
            { head: 'lane/*', notAfter: 3 },
            { head: 'other', notAfter: 0 },
            { head: 'never moved', notAfter: 0 },
          ],
        })
        expect(await engine.append([fine])).toEqual([{ status: 'appended', first: 4, last: 4 }])
      }))

    it('G4: a guard sees the moves of the commit before it in the array, and of appends that have not resolved', () =>
      onFreshLog(create, async (engine) => {
        const guards = [{ head: 'a', notAfter: 0 }]
        const moving = engine.append([commit('w:1', 1, { moves: ['a'] }), commit('w:2', 1, { guards })])
        const after = engine.append([commit('w:3', 1, { guards })])
        const conflict: AppendOutcome = { status: 'conflict', head: 'a', at: 1 }
        expect(await moving).toEqual([{ status: 'appended', first: 1, last: 1 }, conflict])
        expect(await after).toEqual([conflict])
      }))

    it('heads survive a reopen', () =>
      onFreshLog(create, async (engine, storage) => {
        await engine.append([commit('w:1', 4, { moves: ['a', 'b'] })])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('x:1', 1, { guards: [{ head: 'b', notAfter: 3 }] })])).toEqual([
          { status: 'conflict', head: 'b', at: 4 },
        ])
        await again.close()
      }))

    it('G1 G2 G4 G5: any series of commits ends as a plain model says', async () => {
      const head = fc.constantFrom('a', 'b')
      const draft = fc.record({
        id: fc.integer({ min: 1, max: 12 }),
        count: fc.integer({ min: 1, max: 3 }),
        guard: fc.option(fc.record({ head, notAfter: fc.integer({ min: 0, max: 20 }) }), { nil: undefined }),
        move: fc.option(head, { nil: undefined }),
        key: fc.option(fc.record({ name: fc.constantFrom('k', 'l'), print: fc.constantFrom('p', 'q') }), {
          nil: undefined,
        }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(draft, { minLength: 1, maxLength: 4 }), { maxLength: 8 }), (batches) =>
          onFreshLog(create, async (engine) => {
            const model = new Model()
            const commits = batches.map((batch) =>
              batch.map(({ id, count, guard, move, key }) =>
                commit(`w:${id}`, count, {
                  ...(guard === undefined ? {} : { guards: [guard] }),
                  ...(move === undefined ? {} : { moves: [move] }),
                  ...(key === undefined ? {} : { key: { scope: 'x', ...key } }),
                }),
              ),
            )
            const expected = commits.map((batch) => batch.map((one) => model.append(one)))
            expect(await Promise.all(commits.map((batch) => engine.append(batch)))).toEqual(expected)
            const records = await everything(engine)
            expect(records.map(({ sequence }) => sequence)).toEqual(
              Array.from({ length: model.last }, (_, index) => index + 1),
            )
          }),
        ),
        { numRuns: 25 },
      )
    }, 60_000)
  })
}

/** The contract in a dozen lines. */
class Model {
  last = 0
  readonly #ids = new Map<string, { first: number; last: number }>()
  readonly #heads = new Map<string, number>()
  readonly #keys = new Map<string, { print: string; first: number; last: number }>()

  append(one: Commit): AppendOutcome {
    const known = this.#ids.get(one.id)
    if (known !== undefined) return { status: 'duplicate', ...known }
    for (const { head, notAfter } of one.guards ?? []) {
      const at = this.#heads.get(head) ?? 0
      if (at > notAfter) return { status: 'conflict', head, at }
    }
    const used = this.#keys.get(one.key?.name ?? '')
    if (used !== undefined) {
      const { print, first, last } = used
      return print === one.key?.print ? { status: 'duplicate', first, last } : { status: 'key-reused', first }
    }
    const place = { first: this.last + 1, last: this.last + one.records.length }
    this.last = place.last
    this.#ids.set(one.id, place)
    for (const head of one.moves ?? []) this.#heads.set(head, place.last)
    if (one.key !== undefined) this.#keys.set(one.key.name, { print: one.key.print, ...place })
    return { status: 'appended', ...place }
  }
}
