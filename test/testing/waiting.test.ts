/** Waits and delays, with a crash at every append. */
import { agent, event } from 'event-spine'
import { crashEverywhere, type TestSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Inquiry, Numbered, quickly } from '../support/vocabulary.ts'

const Asked = event('approval.asked', z.object({ text: z.string() }))
const Given = event('approval.given', z.object({ by: z.string() }))

async function endsOf(spine: TestSpine, type: string): Promise<number> {
  let found = 0
  for await (const _ of spine.log.read({ types: [type] })) found++
  return found
}

const approving = agent('approving', { on: Inquiry, emits: [Asked, Booked], retry: quickly(3) }, async (evt, ctx) => {
  const asked = await ctx.publish(Asked, { text: evt.data.text })
  const given = await ctx.waitFor(Given, { cause: asked, within: '1d' })
  ctx.emit(Booked, { service: given?.data.by ?? 'nobody' })
})

describe('with a crash at every append', () => {
  it('a question is asked once, and its answer reaches the run once', async () => {
    const report = await crashEverywhere(async (open) => {
      const spine = await open({ agents: [approving] })
      const { request } = await spine.publish(Inquiry, { text: 'a' })
      await spine.idle()
      const [asked] = await spine.events(Asked)
      await spine.publish(Given, { by: 'Ann' }, { cause: asked?.sequence as number, idempotencyKey: 'the answer' })
      await spine.idle()
      await spine.advance('2d')
      const booked = (await spine.events(Booked)).map(({ data }) => data.service)
      const matched = await endsOf(spine, 'spine.wait.matched')
      const asks = (await spine.events(Asked)).length
      return { status: (await spine.settled(request)).status, booked, matched, asks }
    })
    expect(report.plays).toBeGreaterThan(8)
  })

  it('an answer that comes when the time is up, and one that never comes, end as without a crash', async () => {
    await crashEverywhere(async (open) => {
      const spine = await open({ agents: [approving] })
      await spine.publish(Inquiry, { text: 'a' })
      await spine.publish(Inquiry, { text: 'b' })
      await spine.idle()
      const asked = await spine.events(Asked)
      await spine.advance('23h')
      const cause = asked.find(({ data }) => data.text === 'a')?.sequence as number
      await spine.publish(Given, { by: 'Ann' }, { cause, idempotencyKey: 'the answer' })
      await spine.advance('2h')
      return (await spine.events(Booked)).map(({ data }) => data.service).sort()
    })
  })

  it('an answer that is on the log before the time of a process that was dead is not lost', async () => {
    await crashEverywhere(async (open) => {
      const spine = await open({ agents: [approving] })
      await spine.publish(Inquiry, { text: 'a' })
      await spine.idle()
      const [asked] = await spine.events(Asked)
      await spine.publish(Given, { by: 'Ann' }, { cause: asked?.sequence as number, idempotencyKey: 'the answer' })
      await spine.crash()
      await spine.advance('3d')
      await spine.idle()
      return (await spine.events(Booked)).map(({ data }) => data.service)
    })
  })

  it('waits in a row take one event each, and what they take is not delivered to their agent again', async () => {
    await crashEverywhere(async (open) => {
      const pairing = agent('pairing', { on: Numbered, emits: [Booked], retry: quickly(3) }, async (evt, ctx) => {
        const next = await ctx.waitFor(Numbered, { within: '1h' })
        const third = await ctx.waitFor(Numbered, { within: '1h' })
        ctx.emit(Booked, { service: [evt, next, third].map((one) => one?.data.n ?? '-').join() })
      })
      const spine = await open({ agents: [pairing] })
      for (const n of [1, 2, 3, 4])
        await spine.publish(Numbered, { n }, { session: 's', idempotencyKey: `number ${n}` })
      await spine.idle()
      await spine.advance('3h')
      const booked = (await spine.events(Booked)).map(({ data }) => data.service)
      return { booked, taken: await endsOf(spine, 'spine.delivery.taken') }
    })
  })

  it('a delayed event is handled once, when it is due', async () => {
    await crashEverywhere(async (open) => {
      const counter = agent('counter', { on: Numbered, emits: [Booked] }, (evt, ctx) =>
        ctx.emit(Booked, { service: `${evt.data.n}` }),
      )
      const spine = await open({ agents: [counter] })
      await spine.publish(Numbered, { n: 1 }, { session: 's', delay: '1h', idempotencyKey: 'late' })
      await spine.publish(Numbered, { n: 2 }, { session: 's', idempotencyKey: 'now' })
      await spine.idle()
      const before = (await spine.events(Booked)).map(({ data }) => data.service)
      await spine.advance('2h')
      return { before, after: (await spine.events(Booked)).map(({ data }) => data.service) }
    })
  })
})
