/** Answers that come in another order than the questions, and waits that a gather went on without. */
import { agent, event, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, deferred, Inquiry, Numbered } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Asked = event('approval.asked', z.object({ order: z.string() }))
const Given = event('approval.given', z.object({ by: z.string() }))

async function all(spine: Spine, type: string) {
  const records = []
  for await (const record of spine.log.read({ types: [type] })) records.push(record)
  return records
}
async function count(spine: Spine, type: string, least: number) {
  for (let turn = 0; turn < 400 && (await all(spine, type)).length < least; turn++)
    await new Promise((resolve) => setTimeout(resolve, 5))
  expect((await all(spine, type)).length).toBeGreaterThanOrEqual(least)
}
const booked = async (spine: Spine) =>
  (await all(spine, Booked.type)).map(({ data }) => (data as { service: string }).service)

describeOnEachEngine('answers', (world) => {
  it('two questions answered in the other order: each wait gets the answer with its cause', async () => {
    const a = agent('a', { on: Inquiry, emits: [Asked, Booked] }, async (_evt, ctx) => {
      const one = await ctx.publish(Asked, { order: 'one' })
      const two = await ctx.publish(Asked, { order: 'two' })
      const first = await ctx.waitFor(Given, { cause: one, within: 400 })
      const second = await ctx.waitFor(Given, { cause: two, within: 400 })
      ctx.emit(Booked, { service: `${first?.data.by} ${second?.data.by}` })
    })
    const spine = await world.open({ agents: [a] })
    const { request } = await spine.publish(Inquiry, { text: 'x' }, { session: 's' })
    await count(spine, Asked.type, 2)
    const [one, two] = await all(spine, Asked.type)
    await spine.publish(Given, { by: 'second' }, { cause: two?.sequence as number })
    await spine.publish(Given, { by: 'first' }, { cause: one?.sequence as number })
    await spine.settled(request)
    expect(await booked(spine)).toEqual(['first second'])
  })

  it('two matches, the second one first on the log: each wait gets its own', async () => {
    const a = agent('a', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      const first = await ctx.waitFor(Numbered, { match: { n: 1 }, within: 400 })
      const second = await ctx.waitFor(Numbered, { match: { n: 2 }, within: 400 })
      ctx.emit(Booked, { service: `${first?.data.n} ${second?.data.n}` })
    })
    const spine = await world.open({ agents: [a] })
    const { request } = await spine.publish(Inquiry, { text: 'x' }, { session: 's' })
    await spine.publish(Numbered, { n: 2 }, { session: 's' })
    await spine.publish(Numbered, { n: 1 }, { session: 's' })
    await spine.settled(request)
    expect(await booked(spine)).toEqual(['1 2'])
  })

  for (const form of ['promise', 'function'] as const) {
    it(`a wait that a gather went on without takes nothing from the agent's own deliveries (${form})`, async () => {
      const gate = deferred()
      const a = agent('a', { on: [Inquiry, Numbered], emits: [Booked] }, async (evt, ctx) => {
        if (Numbered.is(evt)) return ctx.emit(Booked, { service: `reacted to ${evt.data.n}` })
        await (form === 'promise'
          ? ctx.gather([ctx.waitFor(Given, { within: '1h' }), ctx.waitFor(Numbered, { within: '1h' })], {
              until: 'first',
            })
          : ctx.gather(
              [
                async (s) => (await s.waitFor(Given, { within: '1h' }))?.sequence,
                async (s) => (await s.waitFor(Numbered, { within: '1h' }))?.sequence,
              ],
              {
                until: 'first',
              },
            ))
        await ctx.step('gate', () => gate.promise)
      })
      const spine = await world.open({ agents: [a] })
      const { request } = await spine.publish(Inquiry, { text: 'x' }, { session: 's' })
      await count(spine, 'spine.wait.opened', 2)
      await spine.publish(Given, { by: 'x' }, { session: 's' })
      await count(spine, 'spine.wait.matched', 1)
      await new Promise((resolve) => setTimeout(resolve, 60))
      const later = await spine.publish(Numbered, { n: 7 }, { session: 's' })
      await new Promise((resolve) => setTimeout(resolve, 60))
      gate.resolve()
      await spine.settled(request)
      await spine.settled(later.request)
      expect(await all(spine, 'spine.delivery.taken')).toEqual([])
      expect(await booked(spine)).toEqual(['reacted to 7'])
    })
  }

  it('what only a wait cancelled by its gather has seen is found by the next wait', async () => {
    const gate = deferred()
    const a = agent('a', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.gather([ctx.waitFor(Given, { within: '1h' }), ctx.waitFor(Numbered, { within: '1h' })], {
        until: 'first',
      })
      await ctx.step('gate', () => gate.promise)
      ctx.emit(Booked, { service: String((await ctx.waitFor(Numbered, { within: 300 }))?.data.n) })
    })
    const spine = await world.open({ agents: [a] })
    const { request } = await spine.publish(Inquiry, { text: 'x' }, { session: 's' })
    await count(spine, 'spine.wait.opened', 2)
    await spine.publish(Given, { by: 'x' }, { session: 's' })
    await count(spine, 'spine.wait.matched', 1)
    await new Promise((resolve) => setTimeout(resolve, 60))
    await spine.publish(Numbered, { n: 7 }, { session: 's' })
    await new Promise((resolve) => setTimeout(resolve, 60))
    gate.resolve()
    await spine.settled(request)
    expect(await booked(spine)).toEqual(['7'])
  })
})
