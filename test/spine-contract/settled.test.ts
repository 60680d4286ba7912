import { agent, type Waiting } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('settled says why work is not done', (world) => {
  const one = async (waiting: Promise<{ readonly waiting: readonly Waiting[] }>, name: string) =>
    (await waiting).waiting.find((each) => each.agent === name)

  it('suspended: until when it sleeps, and for whose reply it waits', async () => {
    const Slow = agent('slow', { input: Question, output: Answer })
    const Other = agent('other', { input: Question, output: Answer })
    const sleepy = async (): Promise<{ answer: string }> => new Promise(() => {})
    const top = agent('top', { on: Inquiry }, async (evt, ctx) => {
      if (evt.data.text === 'sleep') await ctx.sleep('10m')
      else if (evt.data.text === 'call') await ctx.call(Slow, { question: 'x' })
      else {
        const calls = [
          ctx.call(Slow, { question: 'a' }),
          ctx.call(Slow, { question: 'b' }),
          ctx.call(Other, { question: 'c' }),
        ]
        await Promise.race([ctx.sleep('1h'), Promise.all(calls)])
      }
    })
    const spine = await world.open({ agents: [top, Slow.handle(sleepy), Other.handle(sleepy)] })
    const asked = async (text: string) => {
      const { request } = await spine.publish(Inquiry, { text })
      const top = () => one(spine.settled(request, { within: 20 }), 'top')
      await expect.poll(async () => (await top())?.why).toBe('suspended')
      return top()
    }
    const sleeping = await asked('sleep')
    expect(sleeping).toMatchObject({ why: 'suspended', detail: expect.stringContaining('sleeping until 20') })
    expect(sleeping?.until?.getTime()).toBeGreaterThan(Date.now() + 500_000)
    const called = await asked('call')
    expect(called).toMatchObject({
      why: 'suspended',
      detail: "waiting for a call of 'slow'",
      on: [expect.stringMatching(/^\d+\/slow$/)],
    })
    const many = await asked('many')
    expect(many?.detail).toMatch(/^sleeping until .*, waiting for calls of 'slow' \(2\), 'other'$/)
    expect(many?.on).toHaveLength(3)
  })

  it('backing off until when, behind whom of its key, with all slots taken', async () => {
    const gate = deferred()
    const failing = agent('failing', { on: Numbered, retry: { attempts: 3, backoff: '10m' } }, async () => {
      throw new Error('down')
    })
    const ordered = agent('ordered', { on: Numbered, concurrency: 1 }, async (_evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => null))
    })
    const spine = await world.open({ agents: [failing, ordered] })
    const first = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    const second = await spine.publish(Numbered, { n: 2 }, { session: 's' })
    const third = await spine.publish(Numbered, { n: 3 }, { session: 't' })
    const failed = await one(spine.settled(first.request, { within: 20 }), 'failing')
    expect(failed).toMatchObject({
      why: 'backing off',
      detail: expect.stringContaining('attempt 2 is due'),
      until: expect.any(Date),
    })
    expect(await one(spine.settled(first.request, { within: 0 }), 'ordered')).toEqual({
      agent: 'ordered',
      why: 'running',
      since: first.sequence,
    })
    expect(await one(spine.settled(second.request, { within: 0 }), 'ordered')).toMatchObject({
      why: 'behind its key',
      detail: `'${first.sequence}/ordered' of key 's' goes first`,
      on: [`${first.sequence}/ordered`],
    })
    expect(await one(spine.settled(third.request, { within: 0 }), 'ordered')).toMatchObject({ why: 'slots busy' })
    gate.resolve()
  })

  it('a blocked key: behind which dead letter; dead letters are those of the request, over a restart', async () => {
    const blocking = agent('blocking', { on: Numbered, onFailure: 'block', retry: quickly(1) }, async (evt) => {
      if (evt.data.n === 1) throw new Error('poison')
    })
    const before = await world.open({ agents: [blocking] })
    const first = await before.publish(Numbered, { n: 1 }, { session: 's' })
    const second = await before.publish(Numbered, { n: 2 }, { session: 's' })
    const other = await before.publish(Numbered, { n: 1 }, { session: 't' })
    const letter = `${first.sequence}/blocking`
    const blocked = { why: 'key blocked', detail: `key 's' stands still behind dead letter '${letter}'`, on: [letter] }
    const { deadLetters } = await before.settled(first.request)
    expect(deadLetters).toEqual([letter])
    expect(await one(before.settled(second.request, { within: 20 }), 'blocking')).toMatchObject(blocked)
    await before.close()
    const after = await world.open({ agents: [blocking] })
    expect(await one(after.settled(second.request, { within: 20 }), 'blocking')).toMatchObject(blocked)
    expect((await after.settled(first.request)).deadLetters).toEqual([letter])
    expect((await after.settled(other.request)).deadLetters).toEqual([`${other.sequence}/blocking`])
    await after.deadLetters.discard(letter)
    expect((await after.settled(second.request)).status).toBe('done')
    expect((await after.settled(first.request)).deadLetters).toEqual([])
  })
})
