/** Mistakes are told as what they are. */
import { agent, event } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Inquiry, Numbered, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Given = event('approval.given', z.object({ by: z.string() }))
const N = z.object({ n: z.number() })
const ok = agent('ok', { input: N, output: N }, (evt) => evt.data)

describeOnEachEngine('what makes no sense', (world) => {
  it('a branch that ctx refused at once has failed with its own error, in every form that never rejects', async () => {
    let got: unknown
    const a = agent('a', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
      const branches = { good: ctx.call(ok, { n: 1 }), bad: ctx.call(ok, { n: 'text' } as never) }
      got = await ctx.gather(branches, { until: 'settled' }).catch((error) => error)
    })
    const spine = await world.open({ agents: [a, ok] })
    await spine.settled((await spine.publish(Inquiry, { text: 'x' })).request)
    expect(got).toMatchObject({
      values: { good: { n: 1 } },
      missing: [{ branch: 'bad', reason: 'failed', error: { code: 'SPINE_SCHEMA_INVALID' } }],
    })
  })
  it("'all' rejects with the error of a branch that ctx refused, not with SPINE_GATHER_BRANCH", async () => {
    let got: unknown
    const a = agent('a', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
      got = await ctx.gather([ctx.sleep('soon' as never), ctx.call(ok, { n: 1 })]).catch((error) => error)
    })
    const spine = await world.open({ agents: [a, ok] })
    await spine.settled((await spine.publish(Inquiry, { text: 'x' })).request)
    expect(got).toMatchObject({ code: 'SPINE_DURATION_INVALID' })
  })
  it('an answer into an expired request is refused with SPINE_EXPIRED (docs/guides/waiting.md)', async () => {
    const a = agent('a', { on: Inquiry }, async (_evt, ctx) => void (await ctx.waitFor(Given, { within: '1h' })))
    const spine = await world.open({ agents: [a] })
    const { request, sequence } = await spine.publish(Inquiry, { text: 'x' }, { deadline: 30 })
    expect((await spine.settled(request)).status).toBe('expired')
    await expect(spine.publish(Given, { by: 'x' }, { cause: sequence })).rejects.toMatchObject({
      code: 'SPINE_EXPIRED',
    })
  })
  it('an answer that comes after the deadline of a request at rest is refused, not taken and dropped', async () => {
    let entered = 0
    const a = agent('a', { on: Inquiry }, () => {})
    const b = agent('b', { on: Given }, () => void entered++)
    const spine = await world.open({ agents: [a, b] })
    const { request, sequence } = await spine.publish(Inquiry, { text: 'x' }, { deadline: 30 })
    await spine.settled(request)
    await new Promise((resolve) => setTimeout(resolve, 60))
    const answer = await spine.publish(Given, { by: 'x' }, { cause: sequence }).catch((error) => error.code)
    const { status } = await spine.settled(request)
    expect([answer === 'SPINE_EXPIRED' || answer === 'SPINE_DEADLINE_PAST', status, entered]).toEqual([true, 'done', 0])
  })
  it('one idempotency key for answers to two questions is SPINE_KEY_REUSED, not a duplicate', async () => {
    const spine = await world.open({ agents: [] })
    const one = await spine.publish(Numbered, { n: 1 })
    const two = await spine.publish(Numbered, { n: 2 })
    await spine.publish(Given, { by: 'Mia' }, { cause: one.sequence, idempotencyKey: 'k' })
    await expect(
      spine.publish(Given, { by: 'Mia' }, { cause: two.sequence, idempotencyKey: 'k' }),
    ).rejects.toMatchObject({ code: 'SPINE_KEY_REUSED' })
  })
  it('settled and requests.get of undefined know no such request', async () => {
    const spine = await world.open({ agents: [agent('a', { on: Inquiry }, (_e, ctx) => ctx.sleep('1h'))] })
    await spine.publish(Inquiry, { text: 'x' })
    const of = (promise: Promise<{ status: string }>) =>
      promise.then(
        ({ status }) => status,
        (error) => error.code,
      )
    expect(await of(spine.settled(undefined as never))).toBe('SPINE_REQUEST_UNKNOWN')
    expect(await of(spine.requests.get(undefined as never))).toBe('SPINE_REQUEST_UNKNOWN')
  })
  it('settled of what publish returned says what is wrong, not that the disk is', async () => {
    const spine = await world.open({ agents: [] })
    const published = await spine.publish(Inquiry, { text: 'x' })
    await expect(spine.settled(published as never)).rejects.toMatchObject({ code: 'SPINE_REQUEST_UNKNOWN' })
  })
  it('settled does not wait for an absent agent on whom a hosted caller waits', async () => {
    const gone = agent('gone', { input: N, output: N })
    const one = await world.open({ agents: [gone.handle((evt) => evt.data)] })
    await one.close()
    const calls = agent('calls', { on: Inquiry }, async (_evt, ctx) => void (await ctx.call(gone, { n: 1 })))
    const spine = await world.open({ agents: [calls] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    const before = Date.now()
    expect(await spine.settled(request, { within: 1500 })).toMatchObject({ status: 'open', absent: ['gone'] })
    expect(Date.now() - before).toBeLessThan(1000)
  })
})
