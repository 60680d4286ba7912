import { agent, type Priority, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const publish = (spine: Spine, n: number, priority: Priority = 'normal', session = `s${n}`) =>
  spine.publish(Numbered, { n }, { session, priority })

describeOnEachEngine('priority', (world) => {
  it('the most urgent starts first, and what follows inherits the class', async () => {
    const started: number[] = []
    const seen: string[] = []
    const gate = deferred()
    const worker = agent(
      'worker',
      { on: Numbered, emits: [Booked], concurrency: 1, preempt: { at: 'never' } },
      async (evt, ctx) => {
        await ctx.step('work', async () => {
          started.push(evt.data.n)
          if (evt.data.n === 0) await gate.promise
        })
        ctx.emit(Booked, { service: `${evt.data.n} ${evt.priority} ${ctx.priority}` })
      },
    )
    const listener = agent('listener', { on: Booked, order: 'none' }, (evt) => {
      if (!seen.includes(evt.data.service)) seen.push(`${evt.data.service} ${evt.priority}`)
    })
    const spine = await world.open({ agents: [worker, listener] })
    await publish(spine, 0)
    await expect.poll(() => started).toEqual([0])
    const classes = ['background', 'low', 'normal', 'high', 'critical'] as const
    const published = await Promise.all(classes.map((priority, index) => publish(spine, index + 1, priority)))
    gate.resolve()
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(started).toEqual([0, 5, 4, 3, 2, 1])
    const last = seen.filter((line) => !line.startsWith('0'))
    expect(new Set(last)).toEqual(
      new Set(classes.map((priority, index) => `${index + 1} ${priority} ${priority} ${priority}`)),
    )
  })

  it('more urgent work takes a slot at once, and the preempted run resumes without repeating a recorded step', async () => {
    const log: string[] = []
    const reasons: string[] = []
    const gates = [deferred(), deferred()]
    const worker = agent('worker', { on: Numbered, concurrency: 2, retry: quickly(1) }, async (evt, ctx) => {
      const { n } = evt.data
      await ctx.step('first', () => void log.push(`${n} first`))
      await ctx.step('second', async ({ signal }) => {
        log.push(`${n} second`)
        if (n < 2 && log.filter((line) => line === `${n} second`).length === 1)
          await new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => {
              log.push(`${n} stopped`)
              reasons.push((signal.reason as { code: string }).code)
              reject(signal.reason)
            })
            void gates[n]?.promise.then(resolve)
          })
      })
      log.push(`${n} done ${ctx.attempt}`)
    })
    const spine = await world.open({ agents: [worker] })
    const low = [await publish(spine, 0, 'low'), await publish(spine, 1, 'low')]
    await expect.poll(() => log.filter((line) => line.endsWith('second'))).toHaveLength(2)
    const urgent = await publish(spine, 7, 'critical')
    expect((await spine.settled(urgent.request)).status).toBe('done')
    // The last to start made room.
    expect(reasons).toEqual(['SPINE_PREEMPTED'])
    expect(log.filter((line) => line.endsWith('stopped'))).toEqual(['1 stopped'])
    gates[0]?.resolve()
    for (const { request } of low) expect((await spine.settled(request)).status).toBe('done')
    expect(log.filter((line) => line === '1 first')).toEqual(['1 first'])
    expect(log.filter((line) => line === '1 second')).toHaveLength(2)
    expect(log).toContain('1 done 1')
    const preempted = (await world.records(spine)).filter(({ type }) => type === 'spine.delivery.preempted')
    expect(preempted).toMatchObject([{ cause: low[1]?.sequence, data: { by: urgent.sequence } }])
  })

  it('a step that still runs is joined, not repeated', async () => {
    const log: string[] = []
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, concurrency: 1 }, async (evt, ctx) => {
      const { n } = evt.data
      const value = await ctx.step('ask', async () => {
        log.push(`${n} asked`)
        if (n === 0) await gate.promise
        return n * 10
      })
      await ctx.step('tell', () => void log.push(`${n} got ${value}`))
    })
    const spine = await world.open({ agents: [worker] })
    const low = await publish(spine, 0, 'low')
    await expect.poll(() => log).toEqual(['0 asked'])
    const urgent = await publish(spine, 1, 'high')
    expect((await spine.settled(urgent.request)).status).toBe('done')
    expect((await spine.settled(low.request, { within: 30 })).status).toBe('open')
    gate.resolve()
    expect((await spine.settled(low.request)).status).toBe('done')
    expect(log).toEqual(['0 asked', '1 asked', '1 got 10', '0 got 0'])
  })

  it('an effect is finished, while the urgent run takes the reserve slot of the pool', async () => {
    const log: string[] = []
    const gate = deferred()
    const payer = agent('payer', { on: Numbered, pool: 'bank' }, async (evt, ctx) => {
      const { n } = evt.data
      await ctx.step(
        'pay',
        async ({ signal }) => {
          log.push(`${n} pays`)
          if (n === 0) await gate.promise
          if (signal.aborted) log.push(`${n} was told to stop`)
        },
        { effect: true },
      )
      await ctx.step('tell', () => void log.push(`${n} told`))
    })
    const spine = await world.open({ agents: [payer], pools: { bank: 1 } })
    const low = await publish(spine, 0, 'background')
    await expect.poll(() => log).toEqual(['0 pays'])
    const urgent = await publish(spine, 1, 'critical')
    expect((await spine.settled(urgent.request)).status).toBe('done')
    expect(log).toEqual(['0 pays', '1 pays', '1 told'])
    gate.resolve()
    expect((await spine.settled(low.request)).status).toBe('done')
    expect(log).toEqual(['0 pays', '1 pays', '1 told', '0 told'])
    expect((await world.records(spine)).map(({ type }) => type)).not.toContain('spine.delivery.preempted')
  })

  it("an agent that says 'step' makes room between its steps; one that says 'never' keeps its slot", async () => {
    const log: string[] = []
    const gates = { polite: deferred(), stubborn: deferred() }
    const working = (name: 'polite' | 'stubborn', at: 'step' | 'never') =>
      agent(name, { on: Numbered, pool: name, preempt: { at } }, async (evt, ctx) => {
        const { n } = evt.data
        await ctx.step('one', async ({ signal }) => {
          log.push(`${name} ${n} one`)
          if (n === 0) await gates[name].promise
          if (signal.aborted) log.push(`${name} ${n} stopped`)
        })
        await ctx.step('two', () => void log.push(`${name} ${n} two`))
      })
    const spine = await world.open({
      agents: [working('polite', 'step'), working('stubborn', 'never')],
      pools: { polite: 1, stubborn: 1 },
    })
    await publish(spine, 0, 'low')
    await expect.poll(() => log).toHaveLength(2)
    const urgent = await publish(spine, 1, 'critical')
    expect((await spine.settled(urgent.request, { within: 30 })).status).toBe('open')
    gates.polite.resolve()
    gates.stubborn.resolve()
    expect((await spine.settled(urgent.request)).status).toBe('done')
    const of = (name: string) => log.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length + 1))
    await expect.poll(() => of('polite')).toEqual(['0 one', '1 one', '1 two', '0 two'])
    expect(of('stubborn')).toEqual(['0 one', '0 two', '1 one', '1 two'])
  })

  it("'restart' begins from the top, and loses no attempt", async () => {
    const log: string[] = []
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, concurrency: 1, preempt: { then: 'restart' } }, async (evt, ctx) => {
      const { n } = evt.data
      await ctx.step('look', () => void log.push(`${n} looks`))
      await ctx.step('act', async ({ signal }) => {
        if (n !== 0 || log.includes('1 acts')) {
          log.push(`${n} acts`)
          return
        }
        await Promise.race([gate.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))])
      })
      log.push(`${n} attempt ${ctx.attempt}`)
    })
    const spine = await world.open({ agents: [worker] })
    const low = await publish(spine, 0, 'low')
    await expect.poll(() => log).toEqual(['0 looks'])
    await publish(spine, 1, 'high')
    expect((await spine.settled(low.request)).status).toBe('done')
    expect([...new Set(log.filter((line) => line.startsWith('0')))]).toEqual(['0 looks', '0 acts', '0 attempt 1'])
    expect(log.filter((line) => line === '0 looks')).toHaveLength(2)
  })

  it('what an urgent delivery waits for inherits its class: before it in its key, and whom it calls', async () => {
    const order: string[] = []
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, concurrency: 1, preempt: { at: 'never' } }, async (evt, ctx) => {
      await ctx.step('work', async () => {
        order.push(`${evt.session} ${evt.data.n}`)
        if (evt.data.n === 0) await gate.promise
      })
    })
    const spine = await world.open({ agents: [worker] })
    await publish(spine, 0, 'normal', 'first')
    await expect.poll(() => order).toHaveLength(1)
    await publish(spine, 1, 'high', 'high')
    await publish(spine, 2, 'background', 'slow')
    await publish(spine, 3, 'low', 'slow')
    const urgent = await publish(spine, 4, 'critical', 'slow')
    gate.resolve()
    expect((await spine.settled(urgent.request)).status).toBe('done')
    await expect.poll(() => order).toHaveLength(5)
    // While the end of one is on its way to the log, the slot is free for another key.
    expect(order.slice(0, 2)).toEqual(['first 0', 'slow 2'])
    expect(order.indexOf('slow 3')).toBeLessThan(order.indexOf('slow 4'))
  })

  it('a call is as urgent as whoever waits for it, whatever class it was given', async () => {
    const order: string[] = []
    const gate = deferred()
    const expert = agent(
      'expert',
      { input: Question, output: Answer, concurrency: 1, preempt: { at: 'never' } },
      async (evt, ctx) => {
        await ctx.step('think', async () => {
          order.push(evt.data.question)
          if (evt.data.question === 'first') await gate.promise
        })
        return { answer: ctx.priority }
      },
    )
    const asking = agent('asking', { on: Numbered, emits: [Booked] }, async (_evt, ctx) => {
      const { answer } = await ctx.call(expert, { question: 'urgent' }, { priority: 'background' })
      ctx.emit(Booked, { service: answer })
    })
    const spine = await world.open({ agents: [expert, asking] })
    await spine.start(expert, { question: 'first' })
    await expect.poll(() => order).toEqual(['first'])
    const others = await Promise.all(
      ['a', 'b'].map((question) => spine.start(expert, { question }, { priority: 'high' })),
    )
    const urgent = await publish(spine, 1, 'critical')
    const called = async () => (await world.records(spine)).filter(({ type }) => type === 'spine.call.requested').length
    await expect.poll(called).toBe(4)
    gate.resolve()
    expect((await spine.settled(urgent.request)).status).toBe('done')
    for (const { request } of others) expect((await spine.settled(request)).status).toBe('done')
    expect(order[1]).toBe('urgent')
  })

  it('setPriority moves queued work forward, and lets running work keep its slot', async () => {
    const order: number[] = []
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, concurrency: 1 }, async (evt, ctx) => {
      await ctx.step('work', async ({ signal }) => {
        if (order.at(-1) !== evt.data.n) order.push(evt.data.n)
        if (evt.data.n === 0)
          await Promise.race([gate.promise, new Promise((_, stop) => signal.addEventListener('abort', stop))])
      })
    })
    const spine = await world.open({ agents: [worker] })
    const first = await publish(spine, 0, 'low')
    await expect.poll(() => order).toEqual([0])
    await spine.requests.setPriority(first.request, 'critical', 'the customer is on the phone')
    const second = await publish(spine, 1, 'high')
    const third = await publish(spine, 2, 'background')
    await spine.requests.setPriority(third.request, 'critical')
    expect((await spine.settled(second.request, { within: 30 })).status).toBe('open')
    gate.resolve()
    for (const { request } of [first, second, third]) expect((await spine.settled(request)).status).toBe('done')
    expect(order).toEqual([0, 2, 1])
    await expect(spine.requests.setPriority(first.request, 'urgent' as never)).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
      value: 'urgent',
    })
  })

  it('low work ends under a storm of urgent work, and a run makes room three times at most', async () => {
    let tries = 0
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, concurrency: 1 }, async (evt, ctx) => {
      await ctx.step('work', async ({ signal }) => {
        if (evt.data.n !== 0) return
        tries++
        await new Promise<void>((resolve, stop) => {
          void gate.promise.then(resolve)
          signal.addEventListener('abort', () => stop(signal.reason))
        })
      })
    })
    const spine = await world.open({ agents: [worker] })
    const low = await publish(spine, 0, 'background')
    for (let n = 1; n <= 3; n++) {
      await expect.poll(() => tries).toBe(n)
      expect((await spine.settled((await publish(spine, n, 'critical')).request)).status).toBe('done')
    }
    await expect.poll(() => tries).toBe(4)
    const last = await publish(spine, 4, 'critical')
    expect((await spine.settled(last.request, { within: 30 })).status).toBe('open')
    gate.resolve()
    expect((await spine.settled(low.request)).status).toBe('done')
    expect((await spine.settled(last.request)).status).toBe('done')
    expect(tries).toBe(4)
  })

  it('of every 16 starts one goes to the oldest, so that low work starts under a stream of urgent work', async () => {
    const order: number[] = []
    const gate = deferred()
    const worker = agent('worker', { on: Numbered, concurrency: 1, preempt: { at: 'never' } }, async (evt, ctx) => {
      await ctx.step('work', async () => {
        order.push(evt.data.n)
        if (evt.data.n === 0) await gate.promise
      })
    })
    const spine = await world.open({ agents: [worker] })
    await publish(spine, 0)
    await expect.poll(() => order).toEqual([0])
    await publish(spine, 1, 'background')
    const urgent = []
    for (let n = 2; n < 42; n++) urgent.push(await publish(spine, n, 'critical'))
    gate.resolve()
    for (const { request } of urgent) expect((await spine.settled(request)).status).toBe('done')
    expect(order.indexOf(1)).toBeGreaterThan(1)
    expect(order.indexOf(1)).toBeLessThanOrEqual(16)
  })

  it('an unknown pool, priority or way to make room is said at creation', async () => {
    const lost = agent('lost', { on: Numbered, pool: 'modle' }, () => {})
    await expect(world.open({ agents: [lost], pools: { model: 1 } })).rejects.toMatchObject({
      code: 'SPINE_AGENT_INVALID',
      value: 'modle',
    })
    await expect(world.open({ agents: [], pools: { model: 0 } })).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
    })
    expect(() => agent('a', { on: Numbered, priority: 'urgent' as never }, () => {})).toThrow(/no priority/)
    expect(() => agent('a', { on: Numbered, preempt: { at: 'once' as never } }, () => {})).toThrow(/preempt.at/)
    const spine = await world.open({ agents: [] })
    await expect(spine.publish(Numbered, { n: 1 }, { priority: 'urgent' as never })).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
      value: 'urgent',
    })
  })
})
