/** A branch that returns an event brings an event: what most people write, though an event holds a `Date`. */
import { agent, event, type SpineEvent } from 'event-spine'
import { crashEverywhere } from 'event-spine/testing'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Inquiry, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Given = event('approval.given', z.object({ by: z.string() }))

describeOnEachEngine('branches that return events', (world) => {
  it('live and after a restart, alone and inside of other values', async () => {
    const seen: unknown[] = []
    const a = agent('a', { on: Inquiry, retry: quickly(1) }, async (evt, ctx) => {
      const got = await ctx.gather({
        reply: (scope) => scope.waitFor(Given, { within: '1m', match: { by: 'Mia' } }),
        nested: async (scope) => ({
          'a/b~c': [await scope.waitFor(Given, { within: '1m', match: { by: 'Joe' } }), 1],
          evt,
        }),
        nothing: (scope) => scope.waitFor(Given, { within: 1, match: { by: 'nobody' } }),
        plain: () => ({ n: 1 }),
      })
      await ctx.waitFor(Given, { within: '1m', match: { by: 'the end' } })
      seen.push(got)
    })
    const one = await world.open({ agents: [a] })
    const asked = await one.publish(Inquiry, { text: 'x' }, { session: 's' })
    const given = await one.publish(Given, { by: 'Mia' }, { session: 's' })
    const again = await one.publish(Given, { by: 'Joe' }, { session: 's' })
    // Both have been recorded when the first process goes.
    await expect
      .poll(async () => (await world.records(one)).filter(({ type }) => type === 'spine.wait.opened').length)
      .toBe(4)
    await one.close()
    const two = await world.open({ agents: [a] })
    await two.publish(Given, { by: 'the end' }, { session: 's' })
    expect((await two.settled(asked.request)).status).toBe('done')
    const [got] = seen as { reply: SpineEvent; nested: { 'a/b~c': [SpineEvent, number]; evt: SpineEvent } }[]
    const taken = [got?.reply, got?.nested['a/b~c'][0]] as SpineEvent[]
    expect(taken.map(({ sequence }) => sequence)).toEqual([given.sequence, again.sequence])
    for (const each of [...taken, got?.nested.evt as SpineEvent]) {
      expect(each.time).toBeInstanceOf(Date)
      const [record] = (await world.records(two)).filter(({ sequence }) => sequence === each.sequence)
      expect(each).toStrictEqual({
        sequence: record?.sequence,
        id: each.id,
        type: record?.type,
        time: new Date(record?.time as number),
        session: 's',
        request: record?.request,
        cause: 0,
        source: undefined,
        priority: 'normal',
        data: record?.data,
      })
      expect(Object.isFrozen(each)).toBe(true)
    }
    expect(got).toMatchObject({ nothing: undefined, plain: { n: 1 } })
    expect(got?.nested.evt.sequence).toBe(asked.sequence)
  })

  it('a Date that is of no event is refused, with the way out', async () => {
    const a = agent('a', { on: Inquiry, retry: quickly(1) }, async (evt, ctx) => {
      await ctx.gather({ at: () => ({ evt, at: new Date(0) }) })
    })
    const spine = await world.open({ agents: [a] })
    const { deadLetters } = await spine.settled((await spine.publish(Inquiry, { text: 'x' })).request)
    expect((await spine.deadLetters.get(deadLetters[0] as string)).error).toMatchObject({
      code: 'SPINE_PAYLOAD_NOT_JSON',
      message: expect.stringContaining('at: a Date cannot be stored as JSON. Store date.toISOString() instead.'),
    })
  })
})

it('brings the same event wherever the process crashed', async () => {
  const report = await crashEverywhere(async (open) => {
    const replies: unknown[] = []
    const asks = agent('asks', { input: Question, output: Answer, retry: quickly(3) }, async (_evt, ctx) => {
      const { reply } = await ctx.gather({ reply: (scope) => scope.waitFor(Given, { within: '1m' }) })
      await ctx.step('after', () => 1)
      replies.push(reply?.time instanceof Date)
      return { answer: `${reply?.data.by} ${reply?.time instanceof Date}` }
    })
    const spine = await open({ agents: [asks] })
    const work = await spine.start(asks, { question: 'may I?' }, { session: 's', idempotencyKey: 'one' })
    await spine.publish(Given, { by: 'Mia' }, { session: 's', idempotencyKey: 'two' })
    const { answer } = await work.result()
    expect([answer, replies.includes(false)]).toEqual(['Mia true', false])
    return answer
  })
  expect(report.plays).toBeGreaterThan(5)
})
