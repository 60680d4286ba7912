import { agent, Permanent } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('what a death does to its key', (world) => {
  const failing = (onFailure: 'skip' | 'block' | 'park', done: number[], broken: { is: boolean }) =>
    agent('counter', { on: Numbered, onFailure, retry: quickly(1) }, async (evt, ctx) => {
      await ctx.step('count', () => {
        if (evt.data.n === 1 && broken.is) throw new Permanent('one is broken')
        done.push(evt.data.n)
      })
    })

  it("block: the key halts, others go on, and the redrive brings it back in order; it is listed, and 'settled' says so", async () => {
    const done: number[] = []
    const broken = { is: true }
    const spine = await world.open({ agents: [failing('block', done, broken)] })
    const [first, second] = await Promise.all([1, 2, 3].map((n) => spine.publish(Numbered, { n }, { session: 's' })))
    const other = await spine.publish(Numbered, { n: 9 }, { session: 't' })
    expect((await spine.settled(other.request)).status).toBe('done')
    const { status, deadLetters } = await spine.settled(first?.request as string)
    expect([status, done]).toEqual(['failed', [9]])
    const waiting = await spine.settled(second?.request as string, { within: 20 })
    expect(waiting).toMatchObject({ status: 'open', waiting: [{ agent: 'counter', why: 'key blocked' }] })
    expect(spine.agents.list()[0]?.heldKeys).toEqual([{ key: 's', how: 'block', deadLetters, waiting: 2 }])
    broken.is = false
    await spine.deadLetters.redrive(deadLetters[0] as string)
    expect((await spine.settled(second?.request as string)).status).toBe('done')
    await until(() => done.length === 4)
    expect(done).toEqual([9, 1, 2, 3])
    expect(spine.agents.list()[0]?.heldKeys).toEqual([])
  })

  it('block: a discard lets the key go on, also after a restart', async () => {
    const done: number[] = []
    const broken = { is: true }
    const one = await world.open({ agents: [failing('block', done, broken)] })
    const [first, second] = await Promise.all([1, 2].map((n) => one.publish(Numbered, { n }, { session: 's' })))
    const { deadLetters } = await one.settled(first?.request as string)
    await one.close()
    const two = await world.open({ agents: [failing('block', done, broken)] })
    expect((await two.settled(second?.request as string, { within: 20 })).status).toBe('open')
    await two.deadLetters.discard(deadLetters[0] as string, 'given up')
    expect((await two.settled(second?.request as string)).status).toBe('done')
    expect(done).toEqual([2])
  })

  it('park: later ones of the key join the dead letters, and one redrive brings all back in order', async () => {
    const done: number[] = []
    const broken = { is: true }
    const spine = await world.open({ agents: [failing('park', done, broken)] })
    const published = await Promise.all([1, 2, 3].map((n) => spine.publish(Numbered, { n }, { session: 's' })))
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('failed')
    const later = await spine.publish(Numbered, { n: 4 }, { session: 's' })
    expect((await spine.settled(later.request)).status).toBe('failed')
    expect(done).toEqual([])
    const letters = await spine.deadLetters.list()
    expect(letters.map(({ error }) => error.code)).toEqual([
      'SPINE_HANDLER_FAILED',
      'SPINE_KEY_PARKED',
      'SPINE_KEY_PARKED',
      'SPINE_KEY_PARKED',
    ])
    broken.is = false
    await spine.deadLetters.redrive(letters[2]?.id as string)
    await until(() => done.length === 4)
    expect(done).toEqual([1, 2, 3, 4])
    expect(await spine.deadLetters.list()).toEqual([])
  })

  it('peer bug 11: one poisoned key does not stop other keys', async () => {
    const done: number[] = []
    const spine = await world.open({ agents: [failing('skip', done, { is: true })] })
    const poisoned = [1, 1, 1].map(() => spine.publish(Numbered, { n: 1 }, { session: 'poisoned' }))
    const healthy = Array.from({ length: 20 }, (_, n) =>
      spine.publish(Numbered, { n: n + 10 }, { session: `h${n % 4}` }),
    )
    for (const { request } of await Promise.all(healthy)) expect((await spine.settled(request)).status).toBe('done')
    for (const { request } of await Promise.all(poisoned)) expect((await spine.settled(request)).status).toBe('failed')
    expect(done).toHaveLength(20)
  })
})

describeOnEachEngine('calls that meet held keys', (world) => {
  const Ann = agent('ann', { input: Question, output: Answer, order: 'session', retry: quickly(1) })
  const Ben = agent('ben', { input: Question, output: Answer, order: 'session', concurrency: 1, retry: quickly(1) })

  it('a call to a key that its own caller holds runs inside that hold', async () => {
    const ann = Ann.handle(async (evt, ctx) =>
      evt.data.question === 'leaf' ? { answer: 'leaf' } : ctx.call(Ben, { question: evt.data.question }),
    )
    const ben = Ben.handle(async (_evt, ctx) => {
      const { answer } = await ctx.call(Ann, { question: 'leaf' })
      return { answer: `ben asked ${answer}` }
    })
    const spine = await world.open({ agents: [ann, ben] })
    const handle = await spine.start(Ann, { question: 'root' }, { session: 's' })
    expect(await handle.result({ within: '5s' })).toEqual({ answer: 'ben asked leaf' })
  })

  it('peer bug 12: a chain of calls to one agent with one slot finishes, several levels deep', async () => {
    const Deep = agent('deep', { input: Question, output: Answer, order: 'session', concurrency: 1 })
    const deep = Deep.handle(async (evt, ctx) => {
      const level = Number(evt.data.question)
      if (level === 0) return { answer: 'bottom' }
      const { answer } = await ctx.call(Deep, { question: String(level - 1) })
      return { answer: `${answer}.${level}` }
    })
    const spine = await world.open({ agents: [deep] })
    const handle = await spine.start(Deep, { question: '5' })
    expect(await handle.result({ within: '5s' })).toEqual({ answer: 'bottom.1.2.3.4.5' })
  })

  it('a circle of calls is broken at its youngest call, which says the way around; the other one gets its reply', async () => {
    const caught: string[] = []
    const ann = Ann.handle(async (evt, ctx) => {
      if (evt.data.question !== 'cross') return { answer: 'ann is free' }
      await ctx.sleep(20)
      return ctx.call(Ben, { question: 'plain' }, { session: 'of ben' })
    })
    const ben = Ben.handle(async (evt, ctx) => {
      if (evt.data.question !== 'cross') return { answer: 'ben is free' }
      await ctx.sleep(80)
      try {
        return await ctx.call(Ann, { question: 'plain' }, { session: 'of ann' })
      } catch (error) {
        await ctx.step(
          'note',
          () => void caught.push(`${(error as { code: string }).code} ${(error as Error).message}`),
        )
        return { answer: 'did without' }
      }
    })
    const spine = await world.open({ agents: [ann, ben] })
    const one = await spine.start(Ann, { question: 'cross' }, { session: 'of ann' })
    const two = await spine.start(Ben, { question: 'cross' }, { session: 'of ben' })
    expect(await two.result({ within: '5s' })).toEqual({ answer: 'did without' })
    expect(await one.result({ within: '5s' })).toEqual({ answer: 'ben is free' })
    expect(caught).toEqual([
      expect.stringContaining('SPINE_CALL_CYCLE The call waits for its own caller: ben → ann → ben.'),
    ])
    // It says in which generation the call was asked: a run that starts over meanwhile is not given it (seed 6700033).
    const rejected = (await world.records(spine)).find(
      ({ type, data }) => type === 'spine.step.recorded' && 'error' in (data as object),
    )
    expect(rejected?.data).toMatchObject({ error: { code: 'SPINE_CALL_CYCLE' }, generation: 0 })
  })

  it('strangers who wait for one key are no circle', async () => {
    const ann = Ann.handle(async (_evt, ctx) => {
      await ctx.sleep(5)
      return ctx.call(Ben, { question: 'a' }, { session: 'shared' })
    })
    const ben = Ben.handle(async (_evt, ctx) => {
      await ctx.sleep(5)
      return { answer: 'in turn' }
    })
    const spine = await world.open({ agents: [ann, ben] })
    const handles = await Promise.all(
      ['a', 'b', 'c', 'd'].map((session) => spine.start(Ann, { question: 'q' }, { session })),
    )
    for (const handle of handles) expect(await handle.result({ within: '5s' })).toEqual({ answer: 'in turn' })
  })
})

describeOnEachEngine('an agent that is renamed', (world) => {
  it('takes its dead letters along', async () => {
    const broken = { is: true }
    const named = (name: string) =>
      agent(name, { on: Numbered, emits: [Booked], onFailure: 'block', retry: quickly(1) }, async (_evt, ctx) => {
        await ctx.step('count', () => {
          if (broken.is) throw new Error('broken')
        })
        ctx.emit(Booked, { service: name })
      })
    const one = await world.open({ agents: [named('before')] })
    const { request } = await one.publish(Numbered, { n: 1 }, { session: 's' })
    await one.settled(request)
    await one.close()
    const two = await world.open({ agents: [] })
    await two.agents.rename('before', 'after')
    await two.close()
    broken.is = false
    const three = await world.open({ agents: [named('after')] })
    const [letter] = await three.deadLetters.list()
    expect(letter?.agent).toBe('after')
    await three.deadLetters.redrive(letter?.id as string)
    expect((await three.settled(request)).status).toBe('done')
    expect(await three.waitFor(Booked, { request, within: '1s' })).toMatchObject({ data: { service: 'after' } })
  })
})

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds() && turn < 1_000; turn++) await new Promise((resolve) => setTimeout(resolve, 2))
}
