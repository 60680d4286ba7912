import { quorum, SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { Collector, missingOf, once, openings, typesOf, Worker, worker } from '../support/gathering.ts'
import { Numbered } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('gather all', (world) => {
  it('gives the values by key, and in order of an array, of calls, steps and functions', async () => {
    const { left, settled } = await once<unknown[]>(world, async (ctx, left) => {
      const byKey = await ctx.gather({
        called: ctx.call(Worker, { question: 'one' }),
        stepped: ctx.step('two', () => 2),
        made: async (scope) => (await scope.call(Worker, { question: 'three' })).answer,
      })
      const inOrder = await ctx.gather([ctx.step('four', () => 4), ctx.call(Worker, { question: 'five' })])
      left([byKey, inOrder, await ctx.gather({}), await ctx.gather([])])
    })
    expect(settled.status).toBe('done')
    expect(left).toEqual([{ called: { answer: 'one' }, stepped: 2, made: 'three' }, [4, { answer: 'five' }], {}, []])
  })

  it("rejects with the branch's error, and cancels the calls that are still open", async () => {
    const { left, settled, records } = await once<string>(world, async (ctx, left) => {
      try {
        await ctx.gather({ bad: ctx.call(Worker, { question: 'fail' }), slow: ctx.call(Worker, { question: 'hang' }) })
      } catch (error) {
        left((error as Error).message)
        await ctx.sleep(20)
      }
    })
    expect(settled.deadLetters).toEqual([expect.stringContaining('/worker')])
    expect(left).toContain('no answer to fail')
    const cancelled = records.filter(({ type }) => type === 'spine.delivery.cancelled')
    expect(cancelled.map(({ agent, data }) => [agent, data])).toEqual([
      ['worker', { why: expect.stringMatching(/^late for @gather#0 of \d+\/collector$/) }],
    ])
  })

  it('writes one opening and no record for firing', async () => {
    const { records } = await once<null>(world, async (ctx) => {
      await ctx.gather([ctx.call(Worker, { question: 'a' }), ctx.call(Worker, { question: 'b' })])
    })
    expect(typesOf(records).filter((type) => type !== 'spine.delivery.completed')).toEqual([
      'number.drawn',
      'spine.call.requested',
      'spine.call.requested',
      'spine.gather.opened',
    ])
    expect(openings(records)[0]?.data).toMatchObject({
      command: '@gather#0',
      branches: ['@call worker#0', '@call worker#1'],
      until: 'all',
    })
  })
})

describeOnEachEngine('gather in the forms that never reject', (world) => {
  it("'settled' waits for all, and says which failed", async () => {
    const { left } = await once<unknown>(world, async (ctx, left) => {
      const { values, missing, reached } = await ctx.gather(
        { good: ctx.call(Worker, { question: 'a' }), bad: ctx.call(Worker, { question: 'fail' }) },
        { until: 'settled' },
      )
      left({ values, reached, missing: missingOf(missing) })
    })
    expect(left).toEqual({
      values: { good: { answer: 'a' } },
      reached: true,
      missing: [expect.stringMatching(/^bad failed: .*no answer to fail/)],
    })
  })

  it("'first' takes the first success, and cancels the rest", async () => {
    const { left, settled, records } = await once<unknown>(world, async (ctx, left) => {
      const result = await ctx.gather(
        [
          ctx.call(Worker, { question: 'hang' }),
          ctx.call(Worker, { question: 'fail' }),
          ctx.call(Worker, { question: 'slow' }),
        ],
        { until: 'first' },
      )
      left({ ...result, missing: missingOf(result.missing) })
    })
    expect(left).toEqual({
      values: [{ answer: 'slow' }],
      reached: true,
      missing: ['0 cancelled', expect.stringMatching(/^1 failed/)],
    })
    expect(settled.deadLetters).toEqual([expect.stringContaining('/worker')])
    expect(openings(records)[0]?.data).toMatchObject({ until: { quorum: 1 } })
  })

  it('a quorum counts successes, and gives up as soon as it is out of reach', async () => {
    const { left } = await once<unknown[]>(world, async (ctx, left) => {
      const two = await ctx.gather(
        ['fail', 'a', 'b'].map((question) => ctx.call(Worker, { question })),
        { until: quorum(2) },
      )
      const never = await ctx.gather(
        ['fail 1', 'fail 2', 'hang'].map((question) => ctx.call(Worker, { question })),
        { until: quorum(2) },
      )
      left([two.values, two.reached, never.values, never.reached, never.missing.map(({ reason }) => reason)])
    })
    expect(left).toEqual([[{ answer: 'a' }, { answer: 'b' }], true, [], false, ['failed', 'failed', 'cancelled']])
  })

  it('within: goes on with what is there when the time has come', async () => {
    const { left, settled, records } = await once<unknown>(world, async (ctx, left) => {
      const result = await ctx.gather(
        { quick: ctx.call(Worker, { question: 'a' }), slow: ctx.call(Worker, { question: 'hang' }) },
        { within: 60, atLeast: 1 },
      )
      left(result)
    })
    expect(left).toEqual({
      values: { quick: { answer: 'a' } },
      missing: [{ branch: 'slow', reason: 'late' }],
      reached: true,
    })
    expect(settled.status).toBe('done')
    expect(typesOf(records)).toContain('spine.timer.fired')
    expect(openings(records)[0]?.data).toMatchObject({ atLeast: 1, due: expect.any(Number) })
  })
})

describeOnEachEngine('branches that are functions', (world) => {
  it('have names of their own, and are parallel, nested as deep as they like', async () => {
    const { left, records } = await once<unknown>(world, async (ctx, left) => {
      left(
        await ctx.gather({
          'a/b': async (scope) => {
            const first = await scope.step('draft', () => 1)
            const inner = await scope.gather({
              x: (deeper) => deeper.step('draft', () => 2),
              y: scope.step('other', () => 3),
            })
            return { first, inner }
          },
          a: async (scope) => (await scope.step('draft', () => 4)) + (await scope.step('draft', () => 5)),
          nothing: () => undefined,
        }),
      )
    })
    expect(left).toEqual({ 'a/b': { first: 1, inner: { x: 2, y: 3 } }, a: 9 })
    const commands = records.flatMap(({ type, data }) =>
      type === 'spine.step.recorded' ? [(data as { command: string }).command] : [],
    )
    expect(commands.sort()).toEqual([
      '@gather#0/a#0',
      '@gather#0/a%2Fb#0',
      '@gather#0/a%2Fb/@gather#0/x#0',
      '@gather#0/a%2Fb/@gather#0/x/draft#0',
      '@gather#0/a%2Fb/draft#0',
      '@gather#0/a%2Fb/other#0',
      '@gather#0/a/draft#0',
      '@gather#0/a/draft#1',
      '@gather#0/nothing#0',
    ])
  })

  it('reject with what they throw, and what they return is JSON', async () => {
    const { left } = await once<unknown>(world, async (ctx, left) => {
      const { missing } = await ctx.gather(
        {
          thrown: () => {
            throw new RangeError('at once')
          },
          later: async (scope) => {
            await scope.sleep(1)
            throw new Error('later')
          },
          strange: () => 10n,
        },
        { until: 'settled' },
      )
      left(
        missing.map(({ branch, error }) => [branch, error?.name, (error as { code?: string }).code ?? error?.message]),
      )
    })
    expect(left).toEqual([
      ['thrown', 'RangeError', 'at once'],
      ['later', 'Error', 'later'],
      ['strange', 'SpineError', 'SPINE_PAYLOAD_NOT_JSON'],
    ])
  })

  it('that are late are told by their signal, go no further, and change nothing', async () => {
    const went: string[] = []
    const { left, records, settled } = await once<unknown>(world, async (ctx, left) => {
      const result = await ctx.gather(
        {
          quick: ctx.sleep(15),
          slow: async (scope) => {
            await scope.step(
              'wait',
              ({ signal }) =>
                new Promise((resolve) => signal.addEventListener('abort', () => resolve(scope.signal.aborted))),
            )
            went.push('too far')
            ctx.session.set({ changed: true })
            await scope.call(Worker, { question: 'never asked' })
          },
        },
        { until: 'first' },
      )
      await ctx.step('go on', () => new Promise((resolve) => setTimeout(resolve, 10)))
      left(result)
    })
    expect(settled.status).toBe('done')
    expect(left).toEqual({ values: {}, missing: [{ branch: 'slow', reason: 'cancelled' }], reached: true })
    expect(went).toEqual([])
    expect(typesOf(records)).not.toContain('spine.call.requested')
    expect(typesOf(records)).not.toContain('spine.session.patched')
    // Its step heard the signal, and what it brought is on the log, though nobody counted it.
    expect(records.map(({ data }) => data)).toContainEqual({ command: '@gather#0/slow/wait#0', value: true })
  })
})

describeOnEachEngine('gathers in gathers', (world) => {
  it('count as branches, and one record fires both', async () => {
    const { left, records } = await once<unknown>(world, async (ctx, left) => {
      const inner = ctx.gather([ctx.call(Worker, { question: 'hang' }), ctx.call(Worker, { question: 'a' })], {
        until: 'first',
      })
      const { values, reached } = await ctx.gather({ inner, b: ctx.step('b', () => 1) }, { until: 'settled' })
      left({ values, reached })
    })
    expect(left).toEqual({
      values: {
        inner: { values: [{ answer: 'a' }], missing: [{ branch: 0, reason: 'cancelled' }], reached: true },
        b: 1,
      },
      reached: true,
    })
    expect(openings(records).map(({ data }) => (data as { branches: unknown }).branches)).toEqual([
      ['@call worker#0', '@call worker#1'],
      ['@gather#0', 'b#0'],
    ])
  })

  it('are cancelled with the one around them', async () => {
    const { settled, records } = await once<unknown>(world, async (ctx) => {
      const inner = ctx.gather([ctx.call(Worker, { question: 'hang' }), ctx.call(Worker, { question: 'hang' })])
      await ctx.gather([inner, ctx.sleep(10)], { until: 'first' })
      await ctx.sleep(30)
    })
    expect(settled.status).toBe('done')
    expect(typesOf(records).filter((type) => type === 'spine.delivery.cancelled')).toHaveLength(2)
  })
})

describeOnEachEngine('what a gather costs', (world) => {
  it('calls of one turn and the gather over them are one commit, and firing is none', async () => {
    const engine = world.engine()
    const commits: string[][] = []
    const append = engine.append.bind(engine)
    engine.append = (batch) => {
      for (const { records } of batch) commits.push(records.map(({ type }) => type.replace('spine.', '')))
      return append(batch)
    }
    const collector = Collector.handle(async (_evt, ctx) => {
      const calls = Array.from({ length: 3 }, (_, n) => ctx.call(Worker, { question: `${n}` }))
      await ctx.gather({
        all: ctx.gather(calls, { until: 'settled', within: '1m' }),
        made: (scope) => scope.call(Worker, { question: 'made' }),
      })
    })
    const spine = await world.open({ engine, agents: [collector, worker] })
    await spine.settled((await spine.publish(Numbered, { n: 1 })).request)
    const called = 'call.requested'
    const ended = 'delivery.completed'
    expect(commits.filter(([type]) => !/^(agent|lane|runs)/.test(type as string))).toEqual([
      ['number.drawn'],
      [called, called, called, 'gather.opened', called, 'gather.opened'],
      [ended],
      [ended],
      [ended],
      [ended],
      // The end of the function. Neither gather adds one.
      ['step.recorded'],
      [ended],
    ])
  })

  it('256 branches, and no more', async () => {
    const { left } = await once<unknown>(world, async (ctx, left) => {
      const steps = (count: number) => Array.from({ length: count }, (_, n) => ctx.step(`s${n}`, () => n))
      const values = await ctx.gather(steps(256))
      const refused = await ctx.gather(Array.from({ length: 257 }, () => () => 1)).catch((error: unknown) => error)
      left([values.reduce((sum, value) => sum + value, 0), (refused as SpineError).code, (refused as SpineError).limit])
    })
    expect(left).toEqual([32640, 'SPINE_OPTION_INVALID', 256])
  })
})

describeOnEachEngine('mistakes', (world) => {
  it('are refused before anything of the gather is recorded, with the value and the way out', async () => {
    const other: { promise?: Promise<unknown> } = {}
    const { left, records } = await once<unknown>(world, async (ctx, left) => {
      const own = () => ctx.step('own', () => 1)
      other.promise ??= own()
      const entered: string[] = []
      const enter = () => entered.push('entered')
      const wrong = [
        () => ctx.gather({ theirs: Promise.resolve(1), enter }),
        () => ctx.gather({ derived: ctx.sleep(1).then(() => 1), enter }),
        () => ctx.gather({ value: 7 as never }),
        () => ctx.gather(null as never),
        () => ctx.gather(new Map([['enter', enter]]) as never),
        () => ctx.gather(ctx.sleep(1) as never),
        () => {
          const twice = ctx.sleep(1)
          return ctx.gather([twice, twice])
        },
        () => ctx.gather([enter], { until: quorum(2) }),
        () => ctx.gather([], { until: 'first' }),
        () => ctx.gather([enter], { until: { quorum: 0.5 } }),
        () => ctx.gather([enter], { until: 'sometimes' as never }),
        () => ctx.gather([enter], { until: 'first', atLeast: 1 }),
        () => ctx.gather([enter], { until: 'settled', atLeast: 2 }),
        () => ctx.gather([enter], { until: 'settled', atLeast: 0 }),
        () => ctx.gather([enter], { within: 'soon' as never }),
        () => ctx.gather([enter], { onLate: 'forget' as never }),
        () => ctx.gather({ ['k'.repeat(200)]: enter }),
      ]
      const codes: string[] = []
      for (const gather of wrong) {
        const error = await gather().catch((caught: unknown) => caught)
        codes.push(SpineError.is(error) && error.fix !== undefined ? error.code : String(error))
      }
      left([codes, entered])
    })
    const [codes, entered] = left as [string[], string[]]
    expect(codes).toEqual([
      ...Array.from({ length: 7 }, () => 'SPINE_GATHER_BRANCH'),
      ...Array.from({ length: 7 }, () => 'SPINE_OPTION_INVALID'),
      'SPINE_DURATION_INVALID',
      'SPINE_OPTION_INVALID',
      'SPINE_OPTION_INVALID',
    ])
    expect(entered).toEqual([])
    expect(openings(records)).toEqual([])
  })

  it('quorum() refuses what is no number of successes', () => {
    for (const wrong of [0, -1, 1.5, Number.NaN, 257, '2' as never])
      expect(() => quorum(wrong)).toThrow(expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }))
  })

  it('what no retry can mend is not retried', async () => {
    const { settled, spine } = await once<unknown>(world, async (ctx) => {
      await ctx.gather([ctx.sleep(1)], { until: quorum(2) })
    })
    expect(settled.status).toBe('failed')
    expect(await spine.deadLetters.list()).toMatchObject([{ attempts: 1, error: { code: 'SPINE_OPTION_INVALID' } }])
  })

  it('a foreign promise names its branch, and ends in the dead letters at once', async () => {
    const { settled, spine } = await once<unknown>(world, async (ctx) => {
      await ctx.gather({ price: Promise.resolve(1) })
    })
    expect(settled.status).toBe('failed')
    const [letter] = await spine.deadLetters.list()
    expect(letter).toMatchObject({ attempts: 1, error: { code: 'SPINE_GATHER_BRANCH' } })
    expect(letter?.error.message).toContain("Branch 'price' of a gather of collector")
  })
})
