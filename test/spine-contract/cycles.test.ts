/** Agents that pass the same work around, and are stopped long before the limit on hops. */
import { agent, type SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine, type World } from '../support/world.ts'

/** `limits.repeatedCyclesMax` */
const AROUND = 3

/** How the request ended, and what its dead letter says. */
async function outcome(spine: Awaited<ReturnType<World['open']>>, request: string) {
  const { status, deadLetters } = await spine.settled(request)
  const letter = deadLetters[0] === undefined ? undefined : await spine.deadLetters.get(deadLetters[0])
  return { status, code: letter?.error.code, message: letter?.error.message, id: letter?.id }
}

describeOnEachEngine('the same work passed around', (world) => {
  const Ann = agent('ann', { input: Question, output: Answer, retry: quickly(5) })
  const Ben = agent('ben', { input: Question, output: Answer, retry: quickly(5) })
  const Cas = agent('cas', { input: Question, output: Answer, retry: quickly(5) })

  it('is a dead letter after a few rounds of handoffs, which says the way around; no retry is spent on it', async () => {
    let passed = 0
    const to =
      (next: typeof Ann) =>
      async (
        evt: { data: { question: string } },
        ctx: { handoff: (to: typeof Ann, input: { question: string }) => never },
      ) => {
        passed++
        return ctx.handoff(next, evt.data)
      }
    const ann = Ann.handle((evt, ctx) => to(Ben as never)(evt, ctx as never))
    const ben = Ben.handle((evt, ctx) => to(Cas as never)(evt, ctx as never))
    const cas = Cas.handle((evt, ctx) => to(Ann)(evt, ctx as never))
    const spine = await world.open({ agents: [ann, ben, cas] })
    const { request, result } = await spine.start(Ann, { question: 'who does it?' })
    await expect(result({ within: '5s' })).rejects.toThrow('would pass the same work on')
    const { code, message } = await outcome(spine, request)
    expect(code).toBe('SPINE_CYCLE_REPEATED')
    expect(message).toContain("ann would pass the same work on to 'ben' for the 4th time: ann → ben → cas → ann → ben")
    if (!world.isReplayed) expect(passed).toBe(3 * AROUND + 1)
  })

  it('is stopped where one agent hands it to itself', async () => {
    const ann = Ann.handle(async (evt, ctx) => ctx.handoff(Ann, evt.data))
    const spine = await world.open({ agents: [ann] })
    const { request } = await spine.start(Ann, { question: 'me?' })
    expect((await outcome(spine, request)).message).toContain('ann → ann → ann → ann')
  })

  it('is stopped where it goes by events, and a redrive of the mended agent goes on', async () => {
    let isMended = false
    const ann = agent('ann', { on: Numbered, emits: [Booked], retry: quickly(3) }, (evt, ctx) => {
      if (!isMended) ctx.emit(Booked, { service: String(evt.data.n) })
    })
    const ben = agent('ben', { on: Booked, emits: [Numbered], retry: quickly(3) }, (evt, ctx) => {
      ctx.emit(Numbered, { n: Number(evt.data.service) })
    })
    const spine = await world.open({ agents: [ann, ben] })
    const { request } = await spine.publish(Numbered, { n: 7 })
    const { status, code, id } = await outcome(spine, request)
    expect([status, code]).toEqual(['failed', 'SPINE_CYCLE_REPEATED'])
    isMended = true
    await spine.deadLetters.redrive(id as string)
    expect((await spine.settled(request)).status).toBe('done')
  })

  it('rejects a call, which its caller may catch; and a publish', async () => {
    const codes: string[] = []
    const asking =
      (other: typeof Ann) =>
      async (
        evt: { data: { question: string } },
        ctx: { call: (to: typeof Ann, input: object) => Promise<{ answer: string }> },
      ) => {
        try {
          return await ctx.call(other, evt.data)
        } catch (error) {
          codes.push((error as SpineError).code)
          return { answer: 'I do it myself' }
        }
      }
    const ann = Ann.handle((evt, ctx) => asking(Ben as never)(evt, ctx as never))
    const ben = Ben.handle((evt, ctx) => asking(Ann)(evt, ctx as never))
    const publishing = agent('publishing', { on: Numbered, emits: [Numbered], retry: quickly(3) }, async (evt, ctx) => {
      await ctx.publish(Numbered, evt.data)
    })
    const spine = await world.open({ agents: [ann, ben, publishing] })
    const handle = await spine.start(Ann, { question: 'you?' })
    expect(await handle.result({ within: '5s' })).toEqual({ answer: 'I do it myself' })
    expect(new Set(codes)).toEqual(new Set(['SPINE_CYCLE_REPEATED']))
    const { request } = await spine.publish(Numbered, { n: 1 })
    expect((await outcome(spine, request)).code).toBe('SPINE_CYCLE_REPEATED')
  })

  it('goes on where the data changes, where it is tried again, and where one run passes on many alike', async () => {
    let tries = 0
    const drafting = agent('drafting', { on: Numbered, emits: [Numbered], retry: quickly(9) }, async (evt, ctx) => {
      await ctx.step('flaky', () => {
        if (evt.data.n === 2 && ++tries < 6) throw new Error('flaky')
      })
      if (evt.data.n < 12) ctx.emit(Numbered, { n: evt.data.n + 1 })
    })
    const alike = agent('alike', { on: Booked, emits: [Numbered] }, (_evt, ctx) => {
      for (let each = 0; each < 10; each++) ctx.emit(Numbered, { n: 12 })
    })
    const spine = await world.open({ agents: [drafting, alike] })
    const one = await spine.publish(Numbered, { n: 0 })
    const two = await spine.publish(Booked, { service: 'ten' })
    expect((await spine.settled(one.request)).status).toBe('done')
    expect((await spine.settled(two.request)).status).toBe('done')
  })

  it('is known after a restart, whose memory is empty', async () => {
    const ann = Ann.handle(async (evt, ctx) => {
      await ctx.sleep(30)
      return ctx.handoff(Ann, evt.data)
    })
    const one = await world.open({ agents: [ann] })
    const { request } = await one.start(Ann, { question: 'me?' })
    await new Promise((resolve) => setTimeout(resolve, 70))
    await one.close()
    const two = await world.open({ agents: [ann] })
    expect((await outcome(two, request)).code).toBe('SPINE_CYCLE_REPEATED')
    const records = await world.records(two)
    expect(records.filter(({ type }) => type === 'spine.delivery.completed')).toHaveLength(AROUND)
  })
})
