/** G1 to G4: the rule over counts against a model that knows nothing of counts, and what a run keeps of its gathers. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { decideDue, takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { branchPrefix, type GatherRule, isDecided, isGathering, isPlain, isReached, type Tally } from './gather.ts'
import { initialState, type RunState } from './state.ts'

const rules = (count: number): fc.Arbitrary<GatherRule> =>
  fc.oneof(
    fc.record({
      until: fc.constantFrom('all' as const, 'settled' as const),
      atLeast: count === 0 ? fc.constant(undefined) : fc.option(fc.integer({ min: 1, max: count }), { nil: undefined }),
    }),
    fc.record({
      until: fc.integer({ min: 1, max: count || 1 }).map((quorum) => ({ quorum })),
      atLeast: fc.constant(undefined),
    }),
  )

type Outcome = 'ok' | 'failed' | undefined

/** Every way in which the branches that are open may still end. */
function futures(outcomes: readonly Outcome[]): readonly (readonly Outcome[])[] {
  const open = outcomes.indexOf(undefined)
  if (open === -1) return [outcomes]
  return (['ok', 'failed'] as const).flatMap((end) => futures(outcomes.with(open, end)))
}

const tally = (outcomes: readonly Outcome[]): Tally => ({
  count: outcomes.length,
  ok: outcomes.filter((each) => each === 'ok').length,
  failed: outcomes.filter((each) => each === 'failed').length,
})

describe('the rule', () => {
  it("'settled' waits for every end; the others go on exactly when nothing that may come could change what is reached, and no success is missed", () => {
    const outcome = fc.constantFrom<Outcome>('ok', 'failed', undefined)
    const cases = fc
      .array(outcome, { maxLength: 7 })
      .chain((outcomes) => fc.tuple(fc.constant(outcomes), rules(outcomes.length)))
    fc.assert(
      fc.property(cases, ([outcomes, rule]) => {
        const ends = new Set(futures(outcomes).map((future) => isReached(rule, tally(future))))
        const now = isReached(rule, tally(outcomes))
        const isOver = outcomes.every((each) => each !== undefined)
        const isHopeless = !ends.has(true)
        const expected =
          rule.until === 'settled' ? isOver : rule.until === 'all' ? isOver || isHopeless : isOver || isHopeless || now
        expect(isDecided(rule, tally(outcomes))).toBe(expected)
      }),
      { numRuns: 2_000 },
    )
  })

  it('only the plain form of all fails with its branches', () => {
    expect(isPlain({ until: 'all', atLeast: undefined }, undefined)).toBe(true)
    expect(isPlain({ until: 'all', atLeast: undefined }, 5)).toBe(false)
    expect(isPlain({ until: 'all', atLeast: 1 }, 0)).toBe(false)
    expect(isPlain({ until: 'settled', atLeast: undefined }, 0)).toBe(false)
  })

  it('knows what stands in a branch that is a function', () => {
    expect(branchPrefix('@gather#0/a#0')).toBe('@gather#0/a/')
    expect(branchPrefix('@gather#0/a/@gather#2/b%2Fc#0')).toBe('@gather#0/a/@gather#2/b%2Fc/')
    for (const id of ['@gather#0', 'a#0', '@call a#0', '@gather#0/a/one#0']) expect(branchPrefix(id)).toBeUndefined()
  })
})

function world() {
  const folded = foldedLog({ initialState, takeOver, evolve, encodeState })
  const { log, marks, state } = folded
  log.register('inquiry', { on: ['inquiry.received'] })
  log.register('expert')
  const run = log.delivery(log.event('inquiry.received', { session: 's' }), 'inquiry')
  marks()
  const outcomes = () =>
    marks().flatMap((mark) =>
      mark.kind === 'outcome' ? [mark.command] : mark.kind === 'late' ? [`late ${mark.command}`] : [],
    )
  const names = () =>
    folded.journal(run.id).map(({ name, ended, ok }) => `${name}${ended === 0 ? ' open' : ok ? '' : ' failed'}`)
  const call = (command: string) => log.delivery(run.call(command, 'expert'), 'expert')
  const journal = () => [...state.runs.values()][0] as RunState
  return { ...folded, run, outcomes, names, call, journal }
}

describe('in the fold', () => {
  it('G1 G3 fires once, with the record that decides, after the outcome of its branch', () => {
    const { run, outcomes, journal, names } = world()
    run.gather('@gather#0', ['a#0', 'b#0'])
    run.step('a#0')
    expect([outcomes(), isGathering(journal())]).toEqual([['a#0'], true])
    const last = run.step('b#0')
    expect([outcomes(), isGathering(journal())]).toEqual([['b#0', '@gather#0'], false])
    expect(journal().commands.get('@gather#0')).toMatchObject({ ended: last, ok: true })
    run.step('b#0', { failed: true })
    run.gather('@gather#0', ['c#0'])
    expect([outcomes(), names()]).toEqual([[], ['@gather#0', 'a#0', 'b#0']])
  })

  it('G2 a branch that ended before counts from the start; a gather may fire with its own opening', () => {
    const { run, outcomes, journal } = world()
    run.step('a#0')
    run.step('b#0', { failed: true })
    outcomes()
    const opened = run.gather('@gather#0', ['a#0', 'b#0', 'c#0'], { until: { quorum: 1 } })
    expect(outcomes()).toEqual(['@gather#0'])
    expect(journal().commands.get('@gather#0')?.ended).toBe(opened)
    run.gather('@gather#1', [])
    expect(outcomes()).toEqual(['@gather#1'])
  })

  it('plain all fails with its first failure; the other forms end well', () => {
    const { run, names, call } = world()
    run.gather('@gather#0', ['a#0', 'b#0'])
    run.gather('@gather#1', ['a#0', '@call#0'], { atLeast: 1 })
    const callee = call('@call#0')
    run.step('a#0', { failed: true })
    expect(names()).toEqual(['@call#0 open', '@gather#0 failed', '@gather#1 open', 'a#0 failed'])
    callee.complete()
    expect(names()).toContain('@gather#1')
  })

  it('nested: one record fires all that it decides, inner before outer', () => {
    const { run, outcomes } = world()
    run.gather('@gather#0', ['a#0', 'b#0'], { until: { quorum: 1 } })
    run.gather('@gather#1', ['@gather#0', 'c#0'], { until: { quorum: 1 } })
    run.gather('@gather#2', ['@gather#1'])
    run.step('b#0')
    expect(outcomes()).toEqual(['b#0', '@gather#0', '@gather#1', '@gather#2'])
  })

  it('one record that ends several branches counts all of them', () => {
    const { log, run, outcomes, call, names } = world()
    call('@call#0')
    call('@call#1')
    run.gather('@gather#0', ['@call#0', '@call#1', 'a#0'], { until: 'settled' })
    run.gather('@gather#1', ['@call#0', '@call#1'], { until: 'settled' })
    outcomes()
    log.remove('expert')
    expect(outcomes().at(-1)).toBe('@gather#1')
    expect(names()).toEqual(['@call#0 failed', '@call#1 failed', '@gather#0 open', '@gather#1'])
  })

  it('fires when its time has come, once, and drops the timer when it fired before', () => {
    const { run, outcomes, state } = world()
    run.gather('@gather#0', ['a#0', 'b#0'], { due: 50 })
    run.gather('@gather#1', ['a#0'], { due: 50 })
    run.step('a#0')
    expect(outcomes()).toEqual(['a#0', '@gather#1'])
    expect(decideDue(state, 50)).toMatchObject([{ kind: 'fire-timer', command: '@gather#0' }])
    run.fire('@gather#0')
    run.fire('@gather#0')
    expect(outcomes()).toEqual(['@gather#0'])
  })

  it('tells of calls that came too late, those inside its branches too, and so does a takeover', () => {
    const { run, outcomes, state, call } = world()
    const first = call('@call#0')
    call('@call#1')
    call('@gather#0/made/@call#0')
    call('@call#2')
    run.gather('@gather#0', ['@call#0', '@call#1', '@gather#0/made#0'], { until: { quorum: 1 } })
    outcomes()
    expect(takeOver(decodeState(encodeState(state))).late).toEqual([])
    first.complete()
    expect(outcomes()).toEqual(['@call#0', '@gather#0', 'late @gather#0'])
    expect(takeOver(decodeState(encodeState(state))).late).toMatchObject([{ command: '@gather#0' }])
  })

  it("'finish': its late calls outlive a run that ends well, and nobody is told of their end", () => {
    const { run, outcomes, call, work, delivery } = world()
    const first = call('@call#0')
    const late = call('@call#1')
    const other = call('@call#2')
    run.gather('@gather#0', ['@call#0', '@call#1'], { until: { quorum: 1 }, onLate: 'finish' })
    first.complete()
    expect(outcomes()).not.toContain('late @gather#0')
    run.complete()
    expect(work()).toEqual([`${late.id} ready`])
    expect(delivery(late.id)).toMatchObject({ caller: '', call: 0 })
    expect(delivery(other.id)).toBeUndefined()
    outcomes()
    late.complete()
    expect([work(), outcomes()]).toEqual([[], []])
  })

  it("'finish': one that was on its way to the log when its run ended is dropped, as the end says: sim seed 7278", () => {
    const { run, call, work } = world()
    call('@call#0').complete()
    call('@call#1')
    run.gather('@gather#0', ['@call#0', '@call#1'], { until: { quorum: 1 }, onLate: 'finish' })
    run.complete({ dropped: ['@call#1'] })
    expect(work()).toEqual([])
  })

  it("'finish': they end with a run that does not end well", () => {
    const { run, call, work } = world()
    call('@call#0').complete()
    call('@call#1')
    run.gather('@gather#0', ['@call#0', '@call#1'], { until: { quorum: 1 }, onLate: 'finish' })
    run.cancel()
    expect(work()).toEqual([])
  })
})

describe('G4 a new attempt', () => {
  it('tries every failed branch of a gather that rejected, and opens the gather again', () => {
    const { run, names, outcomes } = world()
    run.step('good#0')
    run.gather('@gather#0', ['good#0', 'bad#0', 'worse#0'])
    run.step('bad#0', { failed: true })
    run.step('worse#0', { failed: true })
    run.step('cleanup#0')
    run.retry(1, 50)
    // Its failures came before the last success, so it was caught, as far as the record tells.
    expect(names()).toEqual(['@gather#0 failed', 'bad#0 failed', 'cleanup#0', 'good#0', 'worse#0 failed'])
    run.retry(2, 60, { upTo: 99, failed: 'bad#0' })
    expect(names()).toEqual(['cleanup#0', 'good#0'])
    run.gather('@gather#0', ['good#0', 'bad#0', 'worse#0'])
    run.step('bad#0')
    outcomes()
    run.step('worse#0')
    expect(outcomes()).toEqual(['worse#0', '@gather#0'])
  })

  it('keeps a gather that was given to the handler and counted nothing that is tried again', () => {
    const { run, names } = world()
    run.gather('@gather#0', ['a#0', 'b#0'], { until: 'settled' })
    run.step('a#0', { failed: true })
    run.step('b#0')
    run.step('bad#0', { failed: true })
    run.retry(1, 50)
    expect(names()).toEqual(['@gather#0', 'a#0 failed', 'b#0'])
    run.retry(2, 60, { upTo: 99, failed: 'a#0' })
    expect(names()).toEqual(['b#0'])
  })

  it('opens anew one that fired with the failure which is tried again', () => {
    const { run, names } = world()
    run.gather('@gather#0', ['a#0', 'b#0'], { until: 'settled' })
    run.gather('@gather#1', ['@gather#0'])
    run.step('b#0')
    run.step('a#0', { failed: true })
    run.step('after#0')
    run.retry(1, 50, { upTo: 99, failed: 'a#0' })
    expect(names()).toEqual(['after#0', 'b#0'])
  })

  it('keeps one whose late branch failed after it had fired', () => {
    const { run, names } = world()
    run.gather('@gather#0', ['a#0', 'b#0'], { until: { quorum: 1 } })
    run.step('a#0')
    run.step('b#0', { failed: true })
    run.retry(1, 50)
    expect(names()).toEqual(['@gather#0', 'a#0'])
  })

  it('opens anew what was open, and a gather over that', () => {
    const { run, names, outcomes, call } = world()
    const callee = call('@call#0')
    run.gather('@gather#0', ['@call#0', 'a#0'], { until: 'settled', due: 80 })
    run.gather('@gather#1', ['@gather#0'])
    run.retry(1, 50)
    expect(names()).toEqual(['@call#0 open'])
    outcomes()
    callee.complete()
    expect(outcomes()).toEqual(['@call#0'])
  })

  it('enters a failed function branch again, and tries what failed inside it', () => {
    const { run, names } = world()
    run.step('@gather#0/made/good#0')
    run.step('@gather#0/made/bad#0', { failed: true })
    run.gather('@gather#0', ['@gather#0/made#0', 'other#0'])
    run.step('@gather#0/made#0', { failed: true })
    run.step('cleanup#0')
    run.retry(1, 50, { upTo: 99, failed: '@gather#0/made#0' })
    expect(names()).toEqual(['@gather#0/made/good#0', 'cleanup#0'])
  })

  it('starts over without gathers; a redrive has those that had fired', () => {
    const { run, names, journal } = world()
    run.gather('@gather#0', ['a#0'])
    run.step('a#0')
    run.gather('@gather#1', ['b#0'])
    run.die()
    run.redrive()
    expect(names()).toEqual(['@gather#0', 'a#0'])
    run.restart(1)
    expect([names(), journal().gathers]).toEqual([[], undefined])
  })
})

describe('any run', () => {
  it('G1 G2 every gather has the end that a model gives it, whatever the order of ends', () => {
    const branches = ['a#0', 'b#0', 'c#0', 'd#0', '@gather#0', '@gather#1']
    const gathers = fc.array(
      fc.record({
        over: fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 5 }),
        until: fc.constantFrom('all' as const, 'settled' as const, { quorum: 1 }, { quorum: 2 }),
      }),
      { minLength: 1, maxLength: 3 },
    )
    const ends = fc.shuffledSubarray(
      ['a#0', 'b#0', 'c#0', 'd#0'].flatMap((name) => [`${name} ok`, `${name} failed`]),
      { minLength: 1 },
    )
    fc.assert(
      fc.property(gathers, ends, fc.nat(8), (wanted, order, openAt) => {
        const { run, journal } = world()
        const model = new Map<string, { ended: number; ok: boolean }>()
        const opened: { name: string; over: readonly string[]; until: (typeof wanted)[number]['until'] }[] = []
        const settle = (sequence: number) => {
          for (const { name, over, until } of opened) {
            if (model.has(name)) continue
            const known = over.map((branch) => model.get(branch)).filter((each) => each !== undefined)
            const counts = {
              count: over.length,
              ok: known.filter(({ ok }) => ok).length,
              failed: known.filter(({ ok }) => !ok).length,
            }
            const needed = until === 'all' || until === 'settled' ? over.length : until.quorum
            const all = counts.ok + counts.failed === counts.count
            const over2 =
              until === 'settled' ? all : all || counts.ok >= needed || counts.count - counts.failed < needed
            if (over2) model.set(name, { ended: sequence, ok: until !== 'all' || counts.failed === 0 })
          }
        }
        const open = () => {
          for (const [index, { over, until }] of wanted.entries()) {
            // A gather holds only what was asked for before it.
            const names = over
              .map((branch) => branches[branch] as string)
              .filter((name) => !/^@gather#[1-9]?/.test(name) || Number(name.slice(8)) < index)
            const gather = { name: `@gather#${index}`, over: names, until }
            opened.push(gather)
            settle(run.gather(gather.name, names, { until }))
          }
        }
        for (const [index, end] of order.entries()) {
          if (index === openAt % order.length) open()
          const [name, how] = end.split(' ') as [string, string]
          const sequence = run.step(name, { failed: how === 'failed' })
          if (!model.has(name)) model.set(name, { ended: sequence, ok: how === 'ok' })
          settle(sequence)
        }
        for (const { name } of opened) {
          const { ended, ok } = journal().commands.get(name) as { ended: number; ok: boolean }
          const expected = model.get(name) ?? { ended: 0, ok: false }
          expect({ name, ended, ok }).toEqual({ name, ...expected })
        }
      }),
      { numRuns: 300 },
    )
  })
})
