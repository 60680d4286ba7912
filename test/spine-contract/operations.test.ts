import { agent, type Engine } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly, Requirements } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('operating a spine', (world) => {
  it('cancel: one record ends all that is open, fires the signals, and late results count for nothing', async () => {
    const hold = deferred()
    let reason: unknown
    const slow = agent('slow', { input: Question, output: Answer }, async (_evt, ctx) => {
      await ctx.step('hang', ({ signal }) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason
        })
        return hold.promise.then(() => null)
      })
      return { answer: 'late' }
    })
    const desk = agent('desk', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.call(slow, { question: 'a' })
      ctx.emit(Booked, { service: 'late' })
    })
    const spine = await world.open({ agents: [desk, slow] })
    const { request, sequence } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    const behind = await spine.publish(Inquiry, { text: 'b' }, { session: 's' })
    await until(async () => (await world.records(spine)).some((record) => record.type === 'spine.call.requested'))
    expect(await spine.settled(behind.request, { within: 0 })).toMatchObject({
      waiting: [{ agent: 'desk', why: 'behind its key' }],
    })
    await spine.requests.cancel(request, 'the customer left')
    await spine.requests.cancel(request, 'twice is fine')
    expect(await spine.settled(request)).toMatchObject({ status: 'cancelled', waiting: [] })
    expect(reason).toMatchObject({ code: 'SPINE_REQUEST_CANCELLED' })
    await expect(spine.publish(Booked, { service: 'a' }, { cause: sequence })).rejects.toMatchObject({
      code: 'SPINE_REQUEST_CANCELLED',
    })
    hold.resolve()
    await spine.settled(behind.request)
    const types = (await world.records(spine))
      .filter((record) => record.request === request)
      .map((record) => record.type)
    expect(types).toEqual(
      ['inquiry.received', 'spine.step.started', 'spine.call.requested', 'spine.request.cancelled'].filter(
        (type) => type !== 'spine.step.started',
      ),
    )
    await expect(spine.requests.cancel('no such request', 'why')).rejects.toMatchObject({
      code: 'SPINE_REQUEST_UNKNOWN',
    })
  })

  it('an effect that started is finished and visible though its request was cancelled', async () => {
    const hold = deferred()
    let aborted = false
    const booking = agent('booking', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step(
        'book',
        ({ signal }) => {
          signal.addEventListener('abort', () => {
            aborted = true
          })
          return hold.promise.then(() => 'booked')
        },
        { effect: true },
      )
      ctx.emit(Booked, { service: 'a' })
    })
    const spine = await world.open({ agents: [booking] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    await until(async () => (await world.records(spine)).some((record) => record.type === 'spine.step.started'))
    await spine.requests.cancel(request, 'too late')
    hold.resolve()
    await until(async () => (await world.records(spine)).some((record) => record.type === 'spine.step.recorded'))
    expect(aborted).toBe(false)
    const types = (await world.records(spine))
      .filter((record) => record.request === request)
      .map((record) => record.type)
    expect(types).toEqual(['inquiry.received', 'spine.step.started', 'spine.request.cancelled', 'spine.step.recorded'])
  })

  it('a deadline expires the request, also what an absent agent holds', async () => {
    const hold = deferred()
    const slow = agent('slow', { on: Inquiry }, async (_evt, ctx) => {
      expect(ctx.deadline).toBeInstanceOf(Date)
      await ctx.step('hang', () => hold.promise.then(() => null))
    })
    const absent = agent('absent', { on: Inquiry }, () => {})
    await (await world.open({ agents: [absent] })).close()
    const spine = await world.open({ agents: [slow] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { deadline: '60ms' })
    expect(await spine.settled(request)).toMatchObject({ status: 'expired', waiting: [], absent: [] })
    expect(await spine.requests.get(request)).toMatchObject({
      status: 'expired',
      event: { data: { text: 'a' } },
      deadline: expect.any(Date),
    })
    hold.resolve()
  })

  it('a deadline that passes while the spine is down expires at the next start, and nothing starts after it', async () => {
    let started = 0
    const eager = agent('eager', { on: Inquiry }, () => {
      started++
    })
    await (await world.open({ agents: [eager] })).close()
    const one = await world.open({ agents: [] })
    const { request } = await one.publish(Inquiry, { text: 'a' }, { deadline: '40ms' })
    await one.close()
    await new Promise((resolve) => setTimeout(resolve, 60))
    const two = await world.open({ agents: [eager] })
    expect(await two.settled(request)).toMatchObject({ status: 'expired' })
    expect(started).toBe(0)
  })

  it('settled never hangs, says what waits and why, and knows requests of the past', async () => {
    const flaky = agent('flaky', { on: Inquiry, retry: { attempts: 3, backoff: '1h' } }, (evt) => {
      if (evt.data.text === 'bad') throw new Error('later')
    })
    const one = await world.open({ agents: [flaky] })
    const good = await one.publish(Inquiry, { text: 'good' })
    const bad = await one.publish(Inquiry, { text: 'bad' })
    expect(await one.settled(good.request)).toMatchObject({ status: 'done' })
    expect(await one.settled(bad.request, { within: '40ms' })).toMatchObject({
      status: 'open',
      waiting: [{ agent: 'flaky', why: 'backing off', since: bad.sequence }],
    })
    await one.requests.cancel(bad.request, 'no')
    await one.close()
    const two = await world.open({ agents: [flaky] })
    expect(await two.settled(good.request)).toMatchObject({ status: 'done' })
    expect(await two.settled(bad.request)).toMatchObject({ status: 'cancelled' })
    await expect(two.settled('nothing')).rejects.toMatchObject({ code: 'SPINE_REQUEST_UNKNOWN' })
    await expect(two.settled(good.request, { within: 'soon' as never })).rejects.toMatchObject({
      code: 'SPINE_DURATION_INVALID',
    })
  })

  it('waitFor finds what comes, what a request already has, and only what matches', async () => {
    const spine = await world.open({ agents: [] })
    const waiting = spine.waitFor(Numbered, { session: 's', match: { n: 2 }, within: '5s' })
    await spine.publish(Numbered, { n: 2 }, { session: 'other' })
    await spine.publish(Numbered, { n: 1 }, { session: 's' })
    const { request, sequence } = await spine.publish(Numbered, { n: 2 }, { session: 's' })
    expect(await waiting).toMatchObject({ sequence, data: { n: 2 } })
    expect(await spine.waitFor(Numbered, { request, within: 0 })).toMatchObject({ sequence })
    expect(await spine.waitFor(Numbered, { session: 's', within: '20ms' })).toBeUndefined()
    expect(await spine.waitFor(Numbered, { session: 's', after: 0, match: { n: 1 }, within: 0 })).toMatchObject({
      data: { n: 1 },
    })
  })

  it('log.read pages through any query, both ways; log.tail starts anywhere and sees all in order', async () => {
    const spine = await world.open({ agents: [] })
    const live: number[] = []
    const tailing = (async () => {
      for await (const record of spine.log.tail({ after: 0 })) {
        live.push(record.sequence)
        if (record.type === 'appointment.booked') break
      }
    })()
    for (let n = 0; n < 30; n++) await spine.publish(Numbered, { n }, { session: n % 2 === 0 ? 'even' : 'odd' })
    await spine.publish(Booked, { service: 'end' })
    await tailing
    const all = await world.records(spine)
    expect(live).toEqual(all.map((record) => record.sequence))
    expect(live).toEqual(live.map((_, index) => index + 1))
    const read = async (query: Parameters<typeof spine.log.read>[0]) => {
      const numbers: unknown[] = []
      for await (const record of spine.log.read(query)) numbers.push((record.data as { n?: number }).n)
      return numbers
    }
    expect(await read({ session: 'even', types: ['number.drawn'], limit: 3 })).toEqual([0, 2, 4])
    expect(await read({ session: 'odd', types: ['number.drawn'], limit: 2, backwards: true })).toEqual([29, 27])
  })

  it('an absent agent is named at start with its backlog, and can be renamed: its work goes on under the new name', async () => {
    const done: string[] = []
    const old = agent('reception', { on: Inquiry, emits: [Requirements] }, (evt) => {
      done.push(`old ${evt.data.text}`)
    })
    const fresh = agent('front-desk', { on: Inquiry, emits: [Requirements] }, (evt) => {
      done.push(`new ${evt.data.text}`)
    })
    const one = await world.open({ agents: [old] })
    const before = await one.publish(Inquiry, { text: '1' }, { session: 's' })
    await one.settled(before.request)
    await expect(one.agents.rename('reception', 'front-desk')).rejects.toMatchObject({ code: 'SPINE_AGENT_HOSTED' })
    await one.close()
    const two = await world.open({ agents: [] })
    await two.publish(Inquiry, { text: '2' }, { session: 's' })
    await two.publish(Inquiry, { text: '3' }, { session: 's' })
    await two.close()
    const three = await world.open({ agents: [fresh] })
    expect(world.warnings.at(-1)).toMatch(
      /^agent 'reception' has 2 open deliveries but is not hosted here: .*spine\.agents\.rename\('reception', newName\)/,
    )
    const both = await three.publish(Inquiry, { text: '4' }, { session: 's' })
    await three.settled(both.request)
    await three.agents.rename('reception', 'front-desk')
    const after = await three.publish(Inquiry, { text: '5' }, { session: 's' })
    await three.settled(after.request)
    await until(async () => three.agents.list().every((info) => info.open === 0))
    expect([...done].sort()).toEqual(['new 2', 'new 3', 'new 4', 'new 5', 'old 1'])
    expect(three.agents.list().map(({ name, absent }) => [name, absent])).toEqual([['front-desk', false]])
  })

  it('remove gives up an absent agent: its open work ends, whoever called it is told, new events pass it by', async () => {
    const expert = agent('expert', { input: Question, output: Answer }, () => ({ answer: 'x' }))
    const listening = agent('listening', { on: Inquiry }, () => {})
    await (await world.open({ agents: [expert, listening] })).close()
    let caught: unknown
    const desk = agent('desk', { on: Numbered, retry: quickly(1) }, async (_evt, ctx) => {
      await ctx.call(expert, { question: 'a' }).catch((error: unknown) => {
        caught = error
      })
    })
    const spine = await world.open({ agents: [desk] })
    const inquiry = await spine.publish(Inquiry, { text: 'a' })
    const { request } = await spine.publish(Numbered, { n: 1 })
    await until(async () => (spine.agents.list().find(({ name }) => name === 'expert')?.open ?? 0) === 1)
    await spine.agents.remove('expert')
    await spine.agents.remove('listening')
    expect((await spine.settled(request)).status).toBe('done')
    expect(caught).toMatchObject({ code: 'SPINE_CALL_FAILED', cause: { code: 'SPINE_REMOVED' } })
    expect(await spine.settled(inquiry.request)).toMatchObject({ status: 'done', absent: [] })
    await expect(spine.agents.remove('nobody')).rejects.toMatchObject({ code: 'SPINE_AGENT_UNKNOWN' })
  })

  it('what the log gives may be answered at once, however far behind the fold of this process is', async () => {
    const engine = world.engine()
    const late = Object.create(engine) as Engine
    for (const name of [
      'open',
      'close',
      'append',
      'read',
      'head',
      'durability',
      'readSnapshot',
      'writeSnapshot',
    ] as const)
      late[name] = (engine[name] as (...args: unknown[]) => unknown).bind(engine) as never
    late.tail = (after, listener) => engine.tail(after, (records) => void setTimeout(() => listener(records), 40))
    const spine = await world.open({ engine: late, agents: [] })
    const answer = async (cause: number) =>
      expect(await spine.publish(Booked, { service: 'a' }, { cause })).toBeTruthy()
    const publishing = [1, 2, 3].map((n) => spine.publish(Inquiry, { text: String(n) }))
    for await (const { type, sequence } of spine.log.tail({ after: 0 })) {
      if (type !== Inquiry.type) continue
      await answer(sequence)
      break
    }
    for (let found = 0; found < 3; )
      for await (const { sequence } of spine.log.read({ types: [Inquiry.type], after: found })) {
        found = sequence
        await answer(sequence)
      }
    const further = spine.publish(Inquiry, { text: 'further' })
    const seen = await spine.waitFor(Inquiry, { within: '5s', match: { text: 'further' } })
    await answer(seen?.sequence as number)
    const last = spine.publish(Inquiry, { text: 'last' })
    await until(async () => (await engine.head()) > (seen?.sequence as number) + 1)
    await answer(await engine.head())
    await Promise.all([...publishing, further, last])
  })

  it('registration is a record only when something changed', async () => {
    const version = (text: string) => agent('desk', { on: Inquiry, version: text }, () => {})
    await (await world.open({ agents: [version('1')] })).close()
    await (await world.open({ agents: [version('1')] })).close()
    const spine = await world.open({ agents: [version('2')] })
    const registered = (await world.records(spine)).filter((record) => record.type === 'spine.agent.registered')
    expect(registered.map((record) => (record.data as { version: string }).version)).toEqual(['1', '2'])
  })

  it('close lets running handlers end, starts nothing new, and releases the lane', async () => {
    const hold = deferred()
    const ended: number[] = []
    const slow = agent('slow', { on: Numbered, concurrency: 1, order: 'none' }, async (evt, ctx) => {
      await ctx.step('hang', () => hold.promise.then(() => null))
      ended.push(evt.data.n)
    })
    const one = await world.open({ agents: [slow] })
    await one.publish(Numbered, { n: 1 })
    const second = await one.publish(Numbered, { n: 2 })
    const closing = one.close({ drain: '5s' })
    hold.resolve()
    await closing
    expect(ended).toEqual([1])
    const two = await world.open({ agents: [slow] })
    expect((await two.settled(second.request)).status).toBe('done')
    expect(ended).toEqual([1, 2])
    expect((await world.records(two)).filter((record) => record.type === 'spine.lane.released')).toHaveLength(1)
  })

  it('whenever it is closed, no effect that returns at once is done twice: it is written down, or not begun', async () => {
    for (let moment = 0; moment < 24; moment++) {
      const done: string[] = []
      const worker = agent('worker', { on: Numbered, order: 'none' }, async (evt, ctx) => {
        await ctx.step('do', () => void done.push(`${moment}/${evt.data.n}`), { effect: true })
        await ctx.step('do more', () => void done.push(`${moment}/${evt.data.n}/more`), { effect: true })
      })
      const one = await world.open({ agents: [worker] })
      const all = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => one.publish(Numbered, { n })))
      for (let turn = 0; turn < moment; turn++) await new Promise((resolve) => setImmediate(resolve))
      await one.close({ drain: 0 })
      const two = await world.open({ agents: [worker] })
      for (const { request } of all) expect((await two.settled(request)).status).toBe('done')
      expect({ moment, done: done.length, different: new Set(done).size }).toEqual({ moment, done: 16, different: 16 })
      await two.close()
    }
  })

  it('close is bounded though an effect hangs, and the next owner runs it again with its key and maybeDone', async () => {
    const tries: { key: string; maybeDone: boolean }[] = []
    const hanging = agent('hanging', { on: Inquiry }, async (_evt, ctx) => {
      const hang = ({ idempotencyKey: key, maybeDone }: { idempotencyKey: string; maybeDone: boolean }) => {
        tries.push({ key, maybeDone })
        return tries.length === 1 ? new Promise<null>(() => {}) : null
      }
      await ctx.step('book', hang, { effect: true })
    })
    const one = await world.open({ agents: [hanging] })
    const { request } = await one.publish(Inquiry, { text: 'a' })
    await until(async () => tries.length === 1)
    await one.close({ drain: '30ms' })
    const two = await world.open({ agents: [hanging] })
    expect((await two.settled(request)).status).toBe('done')
    expect(tries).toEqual([
      { key: tries[0]?.key, maybeDone: false },
      { key: tries[0]?.key, maybeDone: true },
    ])
  })

  it('a logger that throws harms nobody', async () => {
    const failing = agent('failing', { on: Inquiry, retry: quickly(2) }, () => {
      throw new Error('on purpose')
    })
    const logger = {
      warn() {
        throw new Error('no disk for logs')
      },
    }
    const spine = await world.open({ agents: [failing], logger })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('failed')
  })

  it('two agents of one name, a reference among the agents, and one event in two versions are refused at creation', async () => {
    const { event } = await import('event-spine')
    const { z } = await import('zod')
    const reference = agent('reference', { input: Question, output: Answer })
    const desk = agent('desk', { on: Inquiry }, () => {})
    await expect(world.open({ agents: [desk, desk] })).rejects.toMatchObject({
      code: 'SPINE_AGENT_INVALID',
      value: 'desk',
    })
    await expect(world.open({ agents: [reference] })).rejects.toMatchObject({
      code: 'SPINE_AGENT_INVALID',
      value: 'reference',
    })
    const InquiryTwo = event('inquiry.received', z.object({ text: z.string() }), { version: 2 })
    const other = agent('other', { on: InquiryTwo }, () => {})
    await expect(world.open({ agents: [desk, other] })).rejects.toMatchObject({ code: 'SPINE_EVENT_INVALID' })
  })

  it('an older event is upgraded on read; one that cannot be is SPINE_EVENT_VERSION', async () => {
    const { event } = await import('event-spine')
    const { z } = await import('zod')
    const one = await world.open({ agents: [agent('reader', { on: Inquiry }, () => {})] })
    await one.close()
    const absent = await world.open({ agents: [] })
    const old = await absent.publish(Inquiry, { text: 'old words' })
    const lost = await absent.publish(Inquiry, { text: 'lost' })
    await absent.close()
    const upgrade = (data: unknown) => {
      const { text } = data as { text: string }
      return { words: text.split(' ') }
    }
    const InquiryTwo = event('inquiry.received', z.object({ words: z.array(z.string()) }), { version: 2, upgrade })
    const seen: unknown[] = []
    const reader = agent('reader', { on: InquiryTwo }, (evt) => {
      seen.push(evt.data.words)
    })
    const two = await world.open({ agents: [reader] })
    expect((await two.settled(old.request)).status).toBe('done')
    expect((await two.settled(lost.request)).status).toBe('done')
    expect(seen).toEqual([['old', 'words'], ['lost']])
    await two.close()
    const InquiryThree = event('inquiry.received', z.object({ words: z.array(z.string()) }), { version: 3 })
    const strict = agent('reader', { on: InquiryThree, retry: quickly(1) }, () => {})
    const three = await world.open({ agents: [] })
    const stale = await three.publish(Inquiry, { text: 'stale' })
    await three.close()
    const four = await world.open({ agents: [strict] })
    const { deadLetters } = await four.settled(stale.request)
    expect((await four.deadLetters.get(deadLetters[0] as string)).error.code).toBe('SPINE_EVENT_VERSION')
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let round = 0; !(await holds()); round++) {
    if (round > 1000) throw new Error('what the test waits for did not happen')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
