/**
 * Bugs that other systems had in this place, as named tests (research: peers §11; the number is the one there). Those of
 * several processes, kills and trims are in test/engine and test/crash, 11 and 12 in keys-and-cycles, 20 in changed-code.
 */
import { agent, type Spine, stateOf } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const count = async (spine: Spine, type: string) => {
  let found = 0
  for await (const _ of spine.log.read({ types: [type] })) found++
  return found
}

/** What comes at once on an idle machine. */
const PATIENT = { timeout: 10_000 }

describeOnEachEngine('bugs that peers had', (world) => {
  it('peer bug 1: a reply that comes before the caller has been suspended is not lost', async () => {
    const instant = agent('instant', { input: Question, output: Answer }, (evt) => ({ answer: evt.data.question }))
    const asking = agent('asking', { on: Numbered, emits: [Booked] }, async (evt, ctx) => {
      // The reply is on the log while a step of the caller still runs, so that the caller has not come to rest.
      const [{ answer }] = await Promise.all([
        ctx.call(instant, { question: `${evt.data.n}` }),
        ctx.step('busy', () => new Promise((resolve) => setTimeout(() => resolve(null), evt.data.n % 4))),
      ])
      ctx.emit(Booked, { service: answer })
    })
    const spine = await world.open({ agents: [instant, asking] })
    const published = await Promise.all(Array.from({ length: 60 }, (_, n) => spine.publish(Numbered, { n })))
    for (const { request } of published) expect((await spine.settled(request, { within: '10s' })).status).toBe('done')
    expect(await count(spine, Booked.type)).toBe(60)
  })

  it('peer bug 3: a deadline keeps its milliseconds, also over a restart', async () => {
    const seen: (number | undefined)[] = []
    const looking = (name: string) =>
      agent(name, { on: Inquiry }, async (_evt, ctx) => {
        await ctx.step('look', () => void seen.push(ctx.deadline?.getTime()))
      })
    const deadline = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 86_400_123)
    const one = await world.open({ agents: [looking('looking')] })
    const { request } = await one.publish(Inquiry, { text: 'a' }, { deadline })
    await one.settled(request)
    await one.close()
    const two = await world.open({ agents: [looking('looking')] })
    expect((await two.requests.get(request)).deadline?.getTime()).toBe(deadline.getTime())
    expect(seen).toEqual([deadline.getTime()])
  })

  it('peer bug 4: an unrelated event that arrives while a step is in flight does not start the step again', async () => {
    const hold = deferred()
    let started = 0
    const slow = agent('slow', { on: [Inquiry, Numbered], order: 'none' }, async (evt, ctx) => {
      if (evt.type !== 'inquiry.received') return
      await ctx.step('model', async () => {
        started++
        await hold.promise
      })
    })
    const spine = await world.open({ agents: [slow] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    for (let n = 0; n < 20; n++) {
      const other = await spine.publish(Numbered, { n }, { session: 's' })
      await spine.settled(other.request)
    }
    hold.resolve()
    expect((await spine.settled(request)).status).toBe('done')
    expect(started).toBe(1)
  })

  it('peer bug 14: an idle agent with a backlog is served at once, while another is flooded', async () => {
    const entered: string[] = []
    const working = (name: string, type: typeof Inquiry | typeof Numbered) =>
      agent(name, { on: type, order: 'none', concurrency: 2 }, async (_evt, ctx) => {
        await ctx.step('work', async () => {
          entered.push(name)
          await new Promise((resolve) => setTimeout(resolve, 1))
        })
      })
    const spine = await world.open({
      agents: [working('flooded', Numbered), working('idle', Inquiry)],
      pools: { default: 2 },
    })
    await Promise.all(Array.from({ length: 400 }, (_, n) => spine.publish(Numbered, { n })))
    const before = entered.length
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    // It takes turns with the flood, and does not stand at its end.
    expect(entered.indexOf('idle') - before).toBeLessThan(60)
    expect(entered.filter((name) => name === 'flooded').length).toBeLessThan(400)
  })

  it('peer bug 16: preempted during a tool call, a run shows its model a history in which every call has a result', async () => {
    type ToolMessage = { role: string; tool_calls?: { id: string }[]; tool_call_id?: string; content?: string }
    const seen: (readonly ToolMessage[])[] = []
    const model = (messages: readonly ToolMessage[]): ToolMessage => {
      seen.push([...messages])
      const results = messages.filter(({ role }) => role === 'tool').length
      return results < 2
        ? { role: 'assistant', tool_calls: [{ id: `call ${results}` }] }
        : { role: 'assistant', content: 'booked' }
    }
    let stood = 0
    const assistant = agent('assistant', { on: Numbered, emits: [Booked], pool: 'model' }, async (evt, ctx) => {
      const messages: ToolMessage[] = [{ role: 'user', content: `${evt.data.n}` }]
      for (let turn = 0; ; turn++) {
        const reply = await ctx.step(`model ${turn}`, () => model(messages))
        messages.push(reply)
        const [call] = reply.tool_calls ?? []
        if (call === undefined) break
        const content = await ctx.step(`tool ${call.id}`, async ({ signal }) => {
          if (evt.data.n === 0 && turn === 1 && stood++ === 0)
            await new Promise((_, stop) => signal.addEventListener('abort', () => stop(signal.reason)))
          return 'fine'
        })
        messages.push({ role: 'tool', tool_call_id: call.id, content })
      }
      ctx.emit(Booked, { service: messages.map(({ role }) => role).join(' ') })
    })
    const spine = await world.open({ agents: [assistant], pools: { model: 1 } })
    const low = await spine.publish(Numbered, { n: 0 }, { session: 'a', priority: 'low' })
    await expect.poll(() => stood).toBe(1)
    const urgent = await spine.publish(Numbered, { n: 1 }, { session: 'b', priority: 'critical' })
    for (const { request } of [urgent, low]) expect((await spine.settled(request)).status).toBe('done')
    expect(await count(spine, 'spine.delivery.preempted')).toBe(1)
    for (const messages of seen) {
      const results = new Set(messages.map(({ tool_call_id }) => tool_call_id))
      for (const { tool_calls = [] } of messages) expect(tool_calls.every(({ id }) => results.has(id))).toBe(true)
    }
    expect(seen).toHaveLength(6)
  })

  it('peer bug 6: a race has the same winner on every replay, whoever would be faster now', async () => {
    const winners: string[] = []
    let tries = 0
    const racing = agent('racing', { on: Inquiry, retry: quickly(4) }, async (_evt, ctx) => {
      const after = (name: string, ms: number) => new Promise<string>((resolve) => setTimeout(() => resolve(name), ms))
      const winner = await Promise.race([
        ctx.step('left', () => after('left', tries === 0 ? 1 : 40)),
        ctx.step('right', () => after('right', tries === 0 ? 15 : 0)),
      ])
      winners.push(winner)
      await ctx.step('fail', () => {
        if (++tries < 4) throw new Error('again')
      })
    })
    const spine = await world.open({ agents: [racing] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(winners.length).toBeGreaterThanOrEqual(4)
    expect(new Set(winners)).toEqual(new Set(['left']))
  })

  it('peer bug 7: an idempotency key means the same on every engine: scoped to the type, for life, refused for other data', async () => {
    const one = await world.open({ agents: [] })
    const first = await one.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k' })
    const again = await one.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k' })
    expect(again).toEqual({ ...first, duplicate: true })
    expect((await one.publish(Booked, { service: 'a' }, { idempotencyKey: 'k' })).duplicate).toBe(false)
    const at = stateHead(one)
    await expect(one.publish(Inquiry, { text: 'b' }, { idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'SPINE_KEY_REUSED',
      outcome: 'refused',
    })
    expect(stateHead(one)).toBe(at)
    await one.close()
    const two = await world.open({ agents: [] })
    expect(await two.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k' })).toEqual({ ...first, duplicate: true })
  })

  // A replay at every await goes over n²/2 outcomes: fewer show the same.
  it.each(world.isReplayed ? [10, 100, 300] : [10, 100, 5_000])(
    'peer bug 9: %i steps in one run, all kept over a restart in the middle',
    async (steps) => {
      const ran = new Map<number, number>()
      const hold = deferred()
      const long = (stopsAt: number) =>
        agent('long', { on: Inquiry, emits: [Numbered] }, async (_evt, ctx) => {
          let sum = 0
          for (let n = 0; n < steps; n++)
            sum += await ctx.step('add', async () => {
              if (n === stopsAt) await hold.promise
              ran.set(n, (ran.get(n) ?? 0) + 1)
              return n
            })
          ctx.emit(Numbered, { n: sum })
        })
      const middle = Math.floor(steps / 2)
      const one = await world.open({ agents: [long(middle)] })
      const { request } = await one.publish(Inquiry, { text: 'a' })
      for (let turn = 0; ran.size < middle && turn < 5_000; turn++)
        await new Promise((resolve) => setTimeout(resolve, 2))
      await one.close({ drain: 0 })
      hold.resolve()
      await new Promise((resolve) => setTimeout(resolve, 5))
      ran.delete(middle)
      const two = await world.open({ agents: [long(-1)] })
      expect((await two.settled(request, { within: '20s' })).status).toBe('done')
      expect((await two.waitFor(Numbered, { request, within: '1s' }))?.data.n).toBe((steps * (steps - 1)) / 2)
      expect([...ran.values()].every((times) => times === 1)).toBe(true)
    },
  )

  it('peer bug 14: an idle agent with a backlog is served at once after a restart, while another is flooded', async () => {
    const flood = world.isReplayed ? 400 : 3_000
    const declared = (done: { flooded: number; idle: number; floodedBefore: number }) => [
      agent('flooded', { on: Numbered, order: 'none', concurrency: 8 }, async (_evt, ctx) => {
        await ctx.step('work', () => new Promise((resolve) => setTimeout(() => resolve(null), 5)))
        done.flooded++
      }),
      agent('idle', { on: Inquiry, order: 'none' }, async (_evt, ctx) => {
        await ctx.step('work', () => null)
        if (++done.idle === 50) done.floodedBefore = done.flooded
      }),
    ]
    const one = await world.open({ agents: declared({ flooded: 0, idle: 0, floodedBefore: 0 }) })
    for (const name of ['flooded', 'idle']) await one.agents.pause(name)
    const numbers = Array.from({ length: flood }, (_, n) => ({ type: Numbered, data: { n } }))
    await one.publishAll(numbers)
    const asked = await one.publishAll(Array.from({ length: 50 }, () => ({ type: Inquiry, data: { text: 'x' } })))
    await one.close()
    const two = await world.open({ agents: [] })
    for (const name of ['flooded', 'idle']) await two.agents.resume(name)
    await two.close()
    const done = { flooded: 0, idle: 0, floodedBefore: flood }
    const three = await world.open({ agents: declared(done) })
    for (const { request } of asked) expect((await three.settled(request)).status).toBe('done')
    expect(done.idle).toBeGreaterThanOrEqual(50)
    // Counted, and not timed: on a busy machine both take longer.
    expect(done.floodedBefore).toBeLessThan(flood / 4)
    // The flood goes on, and an observer would compare two moments.
    await three.close({ drain: 0 })
  })

  it('peer bug 21: after a newer turn, work for the key waits until the code of the superseded run has come to rest', async () => {
    const gate = deferred()
    const seen: string[] = []
    const freshness = { newer: [Inquiry], then: 'cancel' } as const
    const desk = agent('desk', { on: Inquiry, freshness, concurrency: 1 }, async (evt, ctx) => {
      await ctx.step('book', async ({ signal }) => {
        seen.push(`${evt.data.text} begins`)
        if (evt.data.text === 'old') await gate.promise
        seen.push(`${evt.data.text} ends, ${signal.aborted ? 'told to stop' : 'in peace'}`)
      })
    })
    const spine = await world.open({ agents: [desk] })
    const old = await spine.publish(Inquiry, { text: 'old' }, { session: 's' })
    await expect.poll(() => seen, PATIENT).toEqual(['old begins'])
    const next = await spine.publish(Inquiry, { text: 'new' }, { session: 's' })
    const other = await spine.publish(Inquiry, { text: 'other' }, { session: 't' })
    expect((await spine.settled(other.request)).status).toBe('done')
    expect(await count(spine, 'spine.delivery.superseded')).toBe(1)
    expect(await spine.settled(next.request, { within: 30 })).toMatchObject({
      status: 'open',
      waiting: [{ agent: 'desk', why: 'behind its key', detail: expect.stringContaining('stopped') }],
    })
    const before = ['old begins', 'other begins', 'other ends, in peace']
    expect(seen).toEqual(before)
    gate.resolve()
    expect((await spine.settled(next.request)).status).toBe('done')
    expect(seen).toEqual([...before, 'old ends, told to stop', 'new begins', 'new ends, in peace'])
    expect((await spine.settled(old.request)).status).toBe('done')
  })

  it('peer bug 21: work that is started again by its key after a newer turn has superseded it is the same, and not done again', async () => {
    let entered = 0
    const freshness = { newer: [Inquiry], then: 'cancel' } as const
    const desk = agent('desk', { input: Question, output: Answer, freshness }, async (_evt, ctx) => {
      await ctx.step('enter', () => void entered++)
      await ctx.sleep('1h')
      return { answer: 'late' }
    })
    const spine = await world.open({ agents: [desk] })
    const options = { session: 's', idempotencyKey: 'ask once' }
    const first = await spine.start(desk, { question: 'when?' }, options)
    await expect.poll(() => entered, PATIENT).toBe(1)
    await spine.publish(Inquiry, { text: 'forget it' }, { session: 's' })
    const superseded = { code: 'SPINE_CALL_FAILED', cause: { code: 'SPINE_SUPERSEDED' } }
    await expect(first.result()).rejects.toMatchObject(superseded)
    const again = await spine.start(desk, { question: 'when?' }, options)
    expect(again).toMatchObject({ request: first.request, sequence: first.sequence, duplicate: true })
    await expect(again.result({ within: '5s' })).rejects.toMatchObject(superseded)
    expect(entered).toBe(1)
    expect(await count(spine, 'spine.call.requested')).toBe(1)
  })

  it('peer bug 9: thousands of steps in parallel', async () => {
    const width = world.isReplayed ? 300 : 5_000
    const wide = agent('wide', { on: Inquiry, emits: [Numbered] }, async (_evt, ctx) => {
      const parts = await Promise.all(Array.from({ length: width }, (_, n) => ctx.step(`part ${n}`, () => n)))
      ctx.emit(Numbered, { n: parts.reduce((sum, n) => sum + n, 0) })
    })
    const spine = await world.open({ agents: [wide] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request, { within: '30s' })).status).toBe('done')
    expect((await spine.waitFor(Numbered, { request, within: '1s' }))?.data.n).toBe((width * (width - 1)) / 2)
  })
})

function stateHead(spine: Spine): number {
  return stateOf(spine).at
}
