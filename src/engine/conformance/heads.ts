import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AppendOutcome, Commit, Engine, Guard } from '../engine.ts'
import type { EngineUnderTest } from './index.ts'
import { commit, dense, everything, onFreshLog, reopened, sequencesOf } from './on-fresh-log.ts'

export function headsSection(under: EngineUnderTest): void {
  describe('heads', () => {
    it('G4: a guard that does not hold writes nothing and tells the head and where it stands', () =>
      onFreshLog(under, async (engine) => {
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
      onFreshLog(under, async (engine) => {
        const guards = [{ head: 'a', notAfter: 0 }]
        const moving = engine.append([commit('w:1', 1, { moves: ['a'] }), commit('w:2', 1, { guards })])
        const after = engine.append([commit('w:3', 1, { guards })])
        const conflict: AppendOutcome = { status: 'conflict', head: 'a', at: 1 }
        expect(await moving).toEqual([{ status: 'appended', first: 1, last: 1 }, conflict])
        expect(await after).toEqual([conflict])
      }))

    it('G4: heads survive a reopen', () =>
      onFreshLog(under, async (engine, storage) => {
        await engine.append([commit('w:1', 4, { moves: ['a', 'b'] })])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('x:1', 1, { guards: [{ head: 'b', notAfter: 3 }] })])).toEqual([
          { status: 'conflict', head: 'b', at: 4 },
        ])
      }))

    it('G4: one commit may guard a head and move it: of many that do so at once, the first wins', () =>
      onFreshLog(under, async (engine) => {
        const claim = { guards: [{ head: 'lane', notAfter: 0 }], moves: ['lane'] }
        const outcomes = await Promise.all(dense(1, 20).map((index) => engine.append([commit(`w:${index}`, 2, claim)])))
        expect(outcomes.flat().map(({ status }) => status)).toEqual(['appended', ...Array(19).fill('conflict')])
        expect(outcomes.at(-1)).toEqual([{ status: 'conflict', head: 'lane', at: 2 }])
        expect(await engine.head()).toBe(2)
      }))

    it('G4: a commit that was refused moved nothing, also after a reopen', () =>
      onFreshLog(under, async (engine, storage) => {
        const guards = [{ head: 'a', notAfter: 0 }]
        await engine.append([commit('w:1', 1, { moves: ['a'] }), commit('w:2', 1, { guards, moves: ['b'] })])
        const again = await reopened(engine, storage)
        expect(await again.append([commit('x:1', 1, { guards: [{ head: 'b', notAfter: 0 }] })])).toEqual([
          { status: 'appended', first: 2, last: 2 },
        ])
      }))

    it('G1 G2 G4 G5 G8: any series of batches and reopens ends as a plain model says', async () => {
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
      const series = fc.array(fc.array(draft, { minLength: 1, maxLength: 4 }), { maxLength: 8 })
      await fc.assert(
        fc.asyncProperty(series, series, (before, after) =>
          onFreshLog(under, async (engine, storage) => {
            const model = new Model()
            await runs(engine, model, before.map(commitsOf))
            await runs(await reopened(engine, storage), model, after.map(commitsOf))
          }),
        ),
        { numRuns: 25 },
      )
    }, 60_000)
  })
}

interface Draft {
  readonly id: number
  readonly count: number
  readonly guard: Guard | undefined
  readonly move: string | undefined
  readonly key: { readonly name: string; readonly print: string } | undefined
}

function commitsOf(drafts: readonly Draft[]): readonly Commit[] {
  return drafts.map(({ id, count, guard, move, key }) =>
    commit(`w:${id}`, count, {
      ...(guard === undefined ? {} : { guards: [guard] }),
      ...(move === undefined ? {} : { moves: [move] }),
      ...(key === undefined ? {} : { key: { scope: 'x', ...key } }),
    }),
  )
}

/** Appends all batches without waiting, and compares outcomes, a tail and the log with the model. */
async function runs(engine: Engine, model: Model, batches: readonly (readonly Commit[])[]): Promise<void> {
  const tailed: number[] = []
  const from = model.ids.length
  const tail = engine.tail(from, (records) => void tailed.push(...sequencesOf(records)))
  const expected = batches.map((batch) => batch.map((one) => model.append(one)))
  expect(await Promise.all(batches.map((batch) => engine.append(batch)))).toEqual(expected)
  tail.stop()
  const records = await everything(engine)
  expect(sequencesOf(records)).toEqual(dense(1, model.ids.length))
  expect(records.map(({ data }) => (data as { id: string }).id)).toEqual(model.ids)
  expect(tailed).toEqual(dense(from + 1, model.ids.length))
}

/** The contract in a dozen lines. */
class Model {
  /** Whose record stands at each sequence. */
  readonly ids: string[] = []
  readonly #commits = new Map<string, { first: number; last: number }>()
  readonly #heads = new Map<string, number>()
  readonly #keys = new Map<string, { print: string; first: number; last: number }>()

  append(one: Commit): AppendOutcome {
    const known = this.#commits.get(one.id)
    if (known !== undefined) return { status: 'duplicate', ...known }
    const used = this.#keys.get(one.key?.name ?? '')
    if (used !== undefined) {
      const { print, first, last } = used
      return print === one.key?.print ? { status: 'duplicate', first, last } : { status: 'key-reused', first }
    }
    for (const { head, notAfter } of one.guards ?? []) {
      const at = this.#heads.get(head) ?? 0
      if (at > notAfter) return { status: 'conflict', head, at }
    }
    const place = { first: this.ids.length + 1, last: this.ids.length + one.records.length }
    for (const _ of one.records) this.ids.push(one.id)
    this.#commits.set(one.id, place)
    for (const head of one.moves ?? []) this.#heads.set(head, place.last)
    if (one.key !== undefined) this.#keys.set(one.key.name, { print: one.key.print, ...place })
    return { status: 'appended', ...place }
  }
}
