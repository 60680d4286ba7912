import { agent, type Spine, SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, deferred, Inquiry, quickly, Question } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('directed work', (world) => {
  const expert = agent('expert', { input: Question, output: Answer }, async (evt, ctx) => {
    const answer = await ctx.step('think', () => `${evt.data.question}!`)
    return { answer }
  })

  it('start gives a handle whose result is the reply, also asked for later and after a restart', async () => {
    const one = await world.open({ agents: [expert] })
    const work = await one.start(expert, { question: 'why' }, { idempotencyKey: 'once' })
    expect(await work.result()).toEqual({ answer: 'why!' })
    expect(await work.result()).toEqual({ answer: 'why!' })
    await one.close()
    const two = await world.open({ agents: [expert] })
    const again = await two.start(expert, { question: 'why' }, { idempotencyKey: 'once' })
    expect(again).toMatchObject({ duplicate: true, request: work.request, sequence: work.sequence })
    expect(await again.result()).toEqual({ answer: 'why!' })
  })

  it('a handle shows the events of its request as they come, and ends when the request rests', async () => {
    const teller = agent('teller', { input: Question, output: Answer, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.publish(Booked, { service: 'first' })
      await ctx.sleep(5)
      ctx.emit(Booked, { service: 'second' })
      return { answer: 'told' }
    })
    const spine = await world.open({ agents: [teller] })
    const work = await spine.start(teller, { question: 'a' })
    const seen: unknown[] = []
    for await (const evt of work.events()) seen.push(evt.data)
    expect(seen).toEqual([{ service: 'first' }, { service: 'second' }])
    expect(await work.result()).toEqual({ answer: 'told' })
  })

  it('call gives the reply; calls in parallel, also of one agent, keep their places', async () => {
    const desk = agent('desk', { on: Inquiry, emits: [Booked] }, async (evt, ctx) => {
      const replies = await Promise.all(['a', 'b', 'c'].map((question) => ctx.call(expert, { question })))
      ctx.emit(Booked, { service: evt.data.text + replies.map(({ answer }) => answer).join('') })
    })
    const spine = await world.open({ agents: [desk, expert] })
    const { request } = await spine.publish(Inquiry, { text: '>' })
    expect(await spine.waitFor(Booked, { request, within: '5s' })).toMatchObject({
      data: { service: '>a!b!c!' },
      source: 'desk',
    })
    const calls = (await world.records(spine)).filter((record) => record.type === 'spine.call.requested')
    expect(calls.map((record) => record.sequence - (calls[0]?.sequence ?? 0))).toEqual([0, 1, 2])
  })

  it('a chain of calls through one slot each finishes: awaiting frees the slot', async () => {
    const Depth = z.object({ depth: z.number() })
    const self = agent('self', { input: Depth, output: Depth, concurrency: 1 })
    const nested = self.handle(async (evt, ctx) =>
      evt.data.depth === 0 ? { depth: 0 } : { depth: 1 + (await ctx.call(self, { depth: evt.data.depth - 1 })).depth },
    )
    const spine = await world.open({ agents: [nested] })
    expect(await (await spine.start(nested, { depth: 10 })).result()).toEqual({ depth: 10 })
    const tooDeep = await spine.start(nested, { depth: 40 })
    const error = await tooDeep.result().catch((caught: unknown) => caught)
    expect(SpineError.is(error, 'SPINE_CALL_FAILED')).toBe(true)
  })

  it('a call rejects with the agent, a code and the cause; a caller may catch it', async () => {
    const failing = agent('failing', { input: Question, output: Answer, retry: quickly(2) }, () => {
      throw Object.assign(new Error('out of order'), { code: 'E_ORDER' })
    })
    let caught: unknown
    const desk = agent('desk', { on: Inquiry }, async (_evt, ctx) => {
      await ctx.call(failing, { question: 'a' }).catch((error: unknown) => {
        caught = error
      })
    })
    const spine = await world.open({ agents: [desk, failing] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect(await spine.settled(request)).toMatchObject({
      status: 'failed',
      deadLetters: [expect.stringMatching(/\/failing$/)],
    })
    expect(caught).toMatchObject({
      code: 'SPINE_CALL_FAILED',
      agent: 'failing',
      cause: { message: 'out of order', code: 'E_ORDER' },
    })
  })

  it('an uncaught call failure ends the caller at once: its callee has had its retries', async () => {
    let attempts = 0
    const failing = agent('failing', { input: Question, output: Answer, retry: quickly(2) }, () => {
      attempts++
      throw new Error('out of order')
    })
    const desk = agent('desk', { on: Inquiry, retry: quickly(5) }, async (_evt, ctx) => {
      await ctx.call(failing, { question: 'a' })
    })
    const spine = await world.open({ agents: [desk, failing] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).deadLetters).toHaveLength(2)
    expect(attempts).toBe(2)
  })

  it('within bounds a call: the work is expired and the caller told', async () => {
    const hold = deferred()
    const slow = agent('slow', { input: Question, output: Answer }, async (_evt, ctx) => {
      await ctx.step('hang', () => hold.promise.then(() => null))
      return { answer: 'late' }
    })
    let caught: unknown
    const desk = agent('desk', { on: Inquiry }, async (_evt, ctx) => {
      await ctx.call(slow, { question: 'a' }, { within: '40ms' }).catch((error: unknown) => {
        caught = error
      })
    })
    const spine = await world.open({ agents: [desk, slow] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(caught).toMatchObject({ code: 'SPINE_CALL_FAILED', agent: 'slow', cause: { code: 'SPINE_EXPIRED' } })
    hold.resolve()
  })

  it('a handoff moves the work and the duty to reply; exactly one owner at any sequence', async () => {
    const second = agent('second', { input: Question, output: Answer }, (evt) => ({
      answer: `second: ${evt.data.question}`,
    }))
    const first = agent('first', { input: Question, output: Answer }, (evt, ctx) =>
      ctx.handoff(second, { question: `${evt.data.question}?` }),
    )
    const desk = agent('desk', { on: Inquiry, emits: [Booked] }, async (evt, ctx) => {
      const { answer } = await ctx.call(first, { question: evt.data.text })
      ctx.emit(Booked, { service: answer })
    })
    const spine = await world.open({ agents: [desk, first, second] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    expect(await spine.waitFor(Booked, { request, within: '5s' })).toMatchObject({ data: { service: 'second: x?' } })
    const ends = (await world.records(spine)).filter((record) => record.type === 'spine.delivery.completed')
    expect(ends.map((record) => record.agent)).toEqual(['first', 'second', 'desk'])
    expect(await (await spine.start(first, { question: 'y' })).result()).toEqual({ answer: 'second: y?' })
  })

  it('two agents that hand off to each other, through a reference', async () => {
    const Count = z.object({ n: z.number() })
    const pong = agent('pong', { input: Count, output: Count })
    const ping = agent('ping', { input: Count, output: Count }, (evt, ctx) =>
      evt.data.n >= 6 ? evt.data : ctx.handoff(pong, { n: evt.data.n + 1 }),
    )
    const answering = pong.handle((evt, ctx) => ctx.handoff(ping, { n: evt.data.n + 1 }))
    const spine = await world.open({ agents: [ping, answering] })
    expect(await (await spine.start(ping, { n: 0 })).result()).toEqual({ n: 6 })
  })

  it('a handoff made but not returned fails the run with SPINE_HANDOFF_NOT_RETURNED', async () => {
    const forgetful = agent('forgetful', { on: Inquiry }, (_evt, ctx) => {
      ctx.handoff(expert, { question: 'a' })
    })
    const spine = await world.open({ agents: [forgetful, expert] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect(await codeOfDeath(spine, request)).toBe('SPINE_HANDOFF_NOT_RETURNED')
  })

  it('a reply or an input that does not match its schema is SPINE_SCHEMA_INVALID', async () => {
    const wrong = agent('wrong', { input: Question, output: Answer }, () => ({ answer: 5 }) as never)
    const spine = await world.open({ agents: [wrong] })
    const work = await spine.start(wrong, { question: 'a' })
    await expect(work.result()).rejects.toMatchObject({
      code: 'SPINE_CALL_FAILED',
      cause: { code: 'SPINE_SCHEMA_INVALID' },
    })
    await expect(spine.start(wrong, { question: 5 } as never)).rejects.toMatchObject({ code: 'SPINE_SCHEMA_INVALID' })
  })

  it('an agent that was never registered is SPINE_AGENT_UNKNOWN; one that reacts cannot be started', async () => {
    const stranger = agent('stranger', { input: Question, output: Answer })
    const reacting = agent('reacting', { on: Inquiry }, () => {})
    const calling = agent('calling', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
      await ctx.call(stranger, { question: 'a' })
    })
    const spine = await world.open({ agents: [reacting, calling] })
    await expect(spine.start(stranger, { question: 'a' })).rejects.toMatchObject({
      code: 'SPINE_AGENT_UNKNOWN',
      value: 'stranger',
    })
    await expect(spine.start(reacting as never, {} as never)).rejects.toMatchObject({ code: 'SPINE_AGENT_INVALID' })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect(await codeOfDeath(spine, request)).toBe('SPINE_AGENT_UNKNOWN')
  })

  it('an absent agent is waited for by nobody, and does the work when it comes', async () => {
    const one = await world.open({ agents: [expert] })
    await one.close()
    const two = await world.open({ agents: [] })
    const work = await two.start(expert, { question: 'anyone' })
    expect(await two.settled(work.request)).toMatchObject({ status: 'open', absent: ['expert'], waiting: [] })
    await two.close()
    const three = await world.open({ agents: [expert] })
    expect(await three.settled(work.request)).toMatchObject({ status: 'done', absent: [] })
    const [completed] = (await world.records(three)).filter((record) => record.type === 'spine.delivery.completed')
    expect(completed?.data).toEqual({ reply: { answer: 'anyone!' } })
  })

  it('a result that does not come in time is SPINE_WAIT_TIMEOUT, and the work goes on', async () => {
    const hold = deferred()
    const slow = agent('slow', { input: Question, output: Answer }, async (_evt, ctx) => {
      await ctx.step('hang', () => hold.promise.then(() => null))
      return { answer: 'late' }
    })
    const spine = await world.open({ agents: [slow] })
    const work = await spine.start(slow, { question: 'a' })
    await expect(work.result({ within: 20 })).rejects.toMatchObject({ code: 'SPINE_WAIT_TIMEOUT', retryable: true })
    hold.resolve()
    expect(await work.result()).toEqual({ answer: 'late' })
  })
})

async function codeOfDeath(spine: Spine, request: string): Promise<string> {
  const { deadLetters } = await spine.settled(request)
  return (await spine.deadLetters.get(deadLetters[0] as string)).error.code
}
