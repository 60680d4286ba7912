/** New versions of an agent over runs that wait for a person's answer. */
import { agent, event, type LogRecord, type Spine } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Inquiry } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Asked = event('approval.asked', z.object({ order: z.string() }))
const Given = event('approval.given', z.object({ by: z.string() }))

const emits = [Asked, Booked] as const
const paid: string[] = []

const original = agent('approval', { on: Inquiry, emits, version: '1' }, async (evt, ctx) => {
  await ctx.step('check', () => 1)
  const asked = await ctx.publish(Asked, { order: evt.data.text })
  const answer = await ctx.waitFor(Given, { cause: asked, within: '3d' })
  ctx.emit(Booked, { service: `version 1: ${answer?.data.by}` })
})
/** Other code after the wait. */
const paying = agent('approval', { on: Inquiry, emits, version: '2' }, async (evt, ctx) => {
  await ctx.step('check', () => 1)
  const asked = await ctx.publish(Asked, { order: evt.data.text })
  const answer = await ctx.waitFor(Given, { cause: asked, within: '7d' })
  await ctx.step('pay', ({ idempotencyKey }) => void paid.push(idempotencyKey), { effect: true })
  ctx.emit(Booked, { service: `version 2: ${answer?.data.by}` })
})
/** Other code before the wait. */
const scoring = agent('approval', { on: Inquiry, emits, version: '2' }, async (evt, ctx) => {
  await ctx.step('score', () => 1)
  const asked = await ctx.publish(Asked, { order: evt.data.text })
  const answer = await ctx.waitFor(Given, { cause: asked, within: '3d' })
  ctx.emit(Booked, { service: `scored: ${answer?.data.by}` })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 1_000 && !(await holds()); turn++) await new Promise((resolve) => setTimeout(resolve, 2))
  expect(await holds()).toBe(true)
}

describeOnEachEngine('a new version over a run that waits for an approval', (world) => {
  const ofType = async (spine: Spine, type: string) =>
    (await world.records(spine)).filter((record) => record.type === type)
  const why = async (spine: Spine, request: string) =>
    (await spine.settled(request, { within: 0 })).waiting.map((each) => each.why).join()

  /** A run of the original that waits, in a process that has ended, and its question. */
  const asked = async () => {
    const spine = await world.open({ agents: [original] })
    const { request } = await spine.publish(Inquiry, { text: 'a desk' }, { session: 's' })
    await until(async () => (await ofType(spine, 'spine.wait.opened')).length === 1)
    const [question] = await ofType(spine, Asked.type)
    await spine.close()
    return { request, cause: (question as LogRecord).sequence }
  }
  const ends = async (spine: Spine, request: string) => {
    expect((await spine.settled(request, { within: '10s' })).status).toBe('done')
    return (await ofType(spine, Booked.type)).filter((record) => record.request === request).map(({ data }) => data)
  }

  it('with other code after the wait: goes on with it, once, and asks nothing again', async () => {
    paid.length = 0
    const { request, cause } = await asked()
    const two = await world.open({ agents: [paying] })
    expect(await why(two, request)).toBe('suspended')
    await two.publish(Given, { by: 'Ann' }, { cause })
    expect(await ends(two, request)).toEqual([{ service: 'version 2: Ann' }])
    expect(paid).toHaveLength(1)
    for (const type of [Asked.type, 'spine.wait.opened', 'spine.wait.matched'])
      expect(await ofType(two, type), type).toHaveLength(1)
  })

  it('with other code before the wait: pauses with a diff, keeps the answer, and goes on when the old code is back', async () => {
    const { request, cause } = await asked()
    const two = await world.open({ agents: [scoring] })
    await two.publish(Given, { by: 'Ann' }, { cause })
    await until(async () => (await why(two, request)) === 'paused')
    const [paused] = await ofType(two, 'spine.delivery.paused')
    const { error } = (paused as LogRecord).data as unknown as { error: { code: string; message: string } }
    expect(error.code).toBe('SPINE_REPLAY_MISMATCH')
    expect(error.message).toMatch(/\n- check#0\n(- .*\n)*\+ score#0$/)
    expect(await ofType(two, Booked.type)).toEqual([])
    await two.close()
    const three = await world.open({ agents: [original] })
    expect(await ends(three, request)).toEqual([{ service: 'version 1: Ann' }])
    expect(await ofType(three, 'spine.wait.matched')).toHaveLength(1)
  })

  it('with the old version hosted beside it: the run ends with the code that began it, what is new takes the new', async () => {
    const { request, cause } = await asked()
    const two = await world.open({ agents: [scoring, original] })
    await two.publish(Given, { by: 'Ann' }, { cause })
    expect(await ends(two, request)).toEqual([{ service: 'version 1: Ann' }])
    const later = await two.publish(Inquiry, { text: 'a chair' }, { session: 't' })
    await until(async () => (await ofType(two, Asked.type)).length === 2)
    const [, question] = await ofType(two, Asked.type)
    await two.publish(Given, { by: 'Bo' }, { cause: (question as LogRecord).sequence })
    expect(await ends(two, later.request)).toEqual([{ service: 'scored: Bo' }])
    expect(await ofType(two, 'spine.delivery.paused')).toEqual([])
  })
})
