import { agent, type Engine, type LogRecord } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const after = (records: readonly LogRecord[], type: string, request: string) => {
  const end = records.find((record) => record.type === type && record.request === request)
  if (end === undefined) throw new Error(`no ${type}`)
  return records.filter((record) => record.sequence > end.sequence && record.request === request)
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** An engine that takes its time from the moment on in which a commit with such a record comes. */
function slowFrom(
  engine: Engine,
  isIt: (type: string, agent: string | undefined) => boolean,
  onSeen: () => void,
): Engine {
  let waiting: Promise<unknown> | undefined
  const slow = Object.create(engine) as Engine
  slow.append = async (commits) => {
    if (waiting === undefined && commits.some(({ records }) => records.some((one) => isIt(one.type, one.agent)))) {
      waiting = pause(60)
      onSeen()
    }
    await waiting
    return engine.append(commits)
  }
  for (const name of ['open', 'close', 'read', 'tail', 'head', 'durability', 'readSnapshot', 'writeSnapshot'] as const)
    slow[name] = (engine[name] as (...args: unknown[]) => unknown).bind(engine) as never
  return slow
}

describeOnEachEngine('cancel', (world) => {
  it('one record ends the whole tree: running, suspended, calls, fan-out, backoff, queued, paused agents, absent ones', async () => {
    const ended: string[] = []
    const Leaf = agent('leaf', { input: Question, output: Answer })
    const Middle = agent('middle', { input: Question, output: Answer })
    const Held = agent('held', { input: Question, output: Answer })
    const Absent = agent('absent', { input: Question, output: Answer })
    const top = agent('top', { on: Inquiry }, async (_evt, ctx) => {
      await Promise.all([
        ctx.call(Middle, { question: 'a' }),
        ctx.call(Middle, { question: 'b' }),
        ctx.call(Held, { question: 'c' }),
        ctx.call(Absent, { question: 'd' }),
      ])
      await ctx.step('never', () => void ended.push('top'))
    })
    const middle = Middle.handle(async (evt, ctx) => ctx.call(Leaf, evt.data))
    const leaf = Leaf.handle(async (evt, ctx) => {
      if (evt.data.question === 'a') await ctx.sleep('10m')
      else
        await ctx.step(
          'long',
          ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(null))),
        )
      await ctx.step('never', () => void ended.push('leaf'))
      return { answer: 'x' }
    })
    const failing = agent('failing', { on: Inquiry, retry: { attempts: 3, backoff: '10m' } }, async () => {
      throw new Error('down')
    })
    const ordered = agent('ordered', { on: Inquiry }, async (_evt, ctx) => {
      await ctx.sleep('10m')
      await ctx.step('never', () => void ended.push('ordered'))
    })
    const first = await world.open({ agents: [Absent.handle(async () => ({ answer: 'x' }))] })
    await first.close()
    const spine = await world.open({
      agents: [top, middle, leaf, failing, ordered, Held.handle(async () => ({ answer: 'x' }))],
    })
    await spine.agents.pause('held')
    const { request, sequence } = await spine.publish(Inquiry, { text: 'x' }, { session: 's' })
    await spine.publish(Inquiry, { text: 'y' }, { cause: sequence })
    const before = await spine.settled(request, { within: 40 })
    expect([...new Set(before.waiting.map(({ why }) => why))].sort()).toEqual([
      'agent paused',
      'backing off',
      'behind its key',
      'running',
      'suspended',
    ])
    expect(before.absent).toEqual(['absent'])
    await spine.requests.cancel(request, 'changed my mind')
    expect(await spine.settled(request)).toMatchObject({ status: 'cancelled', waiting: [], absent: [] })
    await pause(30)
    const records = await world.records(spine)
    expect(records.filter(({ type }) => type === 'spine.request.cancelled')).toHaveLength(1)
    expect(after(records, 'spine.request.cancelled', request)).toEqual([])
    expect(spine.agents.list().map(({ open }) => open)).toEqual([0, 0, 0, 0, 0, 0, 0])
    expect(ended).toEqual([])
  })

  it('late writes of code that does not listen never land: a step, a publish, an emit, the end', async () => {
    const gate = deferred()
    const reasons: unknown[] = []
    const deaf = agent('deaf', { on: Inquiry, emits: [Booked] }, async (evt, ctx) => {
      ctx.signal.addEventListener('abort', () => reasons.push((ctx.signal.reason as { code: string }).code))
      if (evt.data.text === 'step') await ctx.step('late', () => gate.promise.then(() => 1))
      else await gate.promise
      if (evt.data.text === 'publish') await ctx.publish(Booked, { service: 'late' })
      ctx.emit(Booked, { service: 'late' })
    })
    const spine = await world.open({ agents: [deaf] })
    const all = await Promise.all(['step', 'publish', 'emit'].map((text) => spine.publish(Inquiry, { text })))
    await pause(20)
    for (const { request } of all) await spine.requests.cancel(request, 'enough')
    gate.resolve()
    await pause(40)
    const records = await world.records(spine)
    for (const { request } of all) expect(after(records, 'spine.request.cancelled', request)).toEqual([])
    expect(new Set(reasons)).toEqual(new Set(['SPINE_REQUEST_CANCELLED']))
    expect(records.some(({ type }) => type === Booked.type)).toBe(false)
  })

  it('an effect that started is finished and recorded, one whose start comes after the cancel never runs', async () => {
    const gate = deferred()
    const done: string[] = []
    const booking = agent('booking', { on: Inquiry }, async (_evt, ctx) => {
      await ctx.step('one', ({ signal }) => gate.promise.then(() => void done.push(`one ${signal.aborted}`)), {
        effect: true,
      })
      await ctx.step('two', () => void done.push('two'), { effect: true })
    })
    const spine = await world.open({ agents: [booking] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    const hasStarted = async () => (await world.records(spine)).some(({ type }) => type === 'spine.step.started')
    await expect.poll(hasStarted).toBe(true)
    await spine.requests.cancel(request, 'enough')
    expect((await spine.settled(request)).status).toBe('cancelled')
    gate.resolve()
    const isRecorded = async () => (await world.records(spine)).some(({ type }) => type === 'spine.step.recorded')
    await expect.poll(isRecorded).toBe(true)
    expect(done).toEqual(['one false'])
    const late = after(await world.records(spine), 'spine.request.cancelled', request)
    expect(late).toMatchObject([{ type: 'spine.step.recorded', data: { command: 'one#0' } }])
  })

  it('racing the last commit: exactly one of both wins, in the log', async () => {
    const quick = agent('quick', { on: Numbered, emits: [Booked], concurrency: 100 }, async (evt, ctx) => {
      await ctx.step('work', () => pause(evt.data.n % 7))
      ctx.emit(Booked, { service: 'done' })
    })
    const spine = await world.open({ agents: [quick] })
    const all = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const { request } = await spine.publish(Numbered, { n })
        await pause(n % 9)
        await spine.requests.cancel(request, 'race')
        return { request, status: (await spine.settled(request)).status }
      }),
    )
    const records = await world.records(spine)
    for (const { request, status } of all) {
      const own = records.filter((record) => record.request === request).map(({ type }) => type)
      const won = own.includes('spine.delivery.completed')
      expect([own.includes(Booked.type), won]).toEqual([won, won])
      if (own.includes('spine.request.cancelled')) expect(own.at(-1)).toBe('spine.request.cancelled')
      if (!won) expect(status).toBe('cancelled')
    }
    expect(new Set(all.map(({ status }) => status)).size).toBeGreaterThan(0)
  })

  it('of a queued delivery lets the next of its key go', async () => {
    const gate = deferred()
    const done: number[] = []
    const counter = agent('counter', { on: Numbered }, async (evt, ctx) => {
      await ctx.step('count', () => gate.promise.then(() => void done.push(evt.data.n)))
    })
    const spine = await world.open({ agents: [counter] })
    const all = await Promise.all([1, 2, 3].map((n) => spine.publish(Numbered, { n }, { session: 's' })))
    await spine.requests.cancel(all[1]?.request as string, 'not this one')
    gate.resolve()
    expect((await spine.settled(all[2]?.request as string)).status).toBe('done')
    expect(done).toEqual([1, 3])
  })

  it('an answer to a cancelled request, and to an expired one, is refused', async () => {
    const waiting = agent('waiting', { on: Numbered }, (_evt, ctx) => ctx.sleep('10m'))
    const spine = await world.open({ agents: [waiting] })
    const one = await spine.publish(Numbered, { n: 1 })
    const two = await spine.publish(Numbered, { n: 2 }, { deadline: 30 })
    await spine.requests.cancel(one.request, 'enough')
    expect((await spine.settled(two.request)).status).toBe('expired')
    const codes = { [one.request]: 'SPINE_REQUEST_CANCELLED', [two.request]: 'SPINE_EXPIRED' }
    for (const { sequence, request } of [one, two])
      await expect(spine.publish(Inquiry, { text: 'late' }, { cause: sequence })).rejects.toMatchObject({
        code: codes[request],
        value: request,
      })
  })

  it('peer bug 21: after a cancel, new work for the key waits until the code of the old has come to rest', async () => {
    const gate = deferred()
    const seen: string[] = []
    const office = agent('office', { on: Inquiry, emits: [] }, async (evt, ctx) => {
      if (evt.data.text === 'old') {
        await ctx.step(
          'book',
          async () => {
            seen.push('old begins')
            await gate.promise
            seen.push('old ends')
          },
          { effect: true },
        )
      } else await ctx.step('book', () => void seen.push(`${evt.data.text} begins`), { effect: true })
    })
    const spine = await world.open({ agents: [office] })
    const old = await spine.publish(Inquiry, { text: 'old' }, { session: 's' })
    await pause(20)
    const next = await spine.publish(Inquiry, { text: 'new' }, { session: 's' })
    const other = await spine.publish(Inquiry, { text: 'other' }, { session: 't' })
    await spine.requests.cancel(old.request, 'enough')
    expect((await spine.settled(other.request)).status).toBe('done')
    const { waiting } = await spine.settled(next.request, { within: 30 })
    expect(waiting).toMatchObject([
      { agent: 'office', why: 'behind its key', detail: expect.stringContaining('stopped') },
    ])
    expect(seen).toEqual(['old begins', 'other begins'])
    gate.resolve()
    expect((await spine.settled(next.request)).status).toBe('done')
    expect(seen).toEqual(['old begins', 'other begins', 'old ends', 'new begins'])
  })
})

describeOnEachEngine('work that ends while its end is on the way to the log', (world) => {
  const emitting = (gate: Promise<void>) =>
    agent('emitting', { input: Question, output: Answer, emits: [Booked] }, async (_evt, ctx) => {
      await gate
      ctx.emit(Booked, { service: 'late' })
      return { answer: 'late' }
    })
  const Emitting = agent('emitting', { input: Question, output: Answer, emits: [Booked] })

  it('writes nothing behind the expiry of its call', async () => {
    const gate = deferred()
    const engine = slowFrom(world.engine(), (type) => type === 'spine.delivery.expired', gate.resolve)
    const caller = agent('caller', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
      await ctx.call(Emitting, { question: 'x' }, { within: 40 }).catch(() => undefined)
    })
    const spine = await world.open({ engine, agents: [caller, emitting(gate.promise)] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    expect((await spine.settled(request)).status).toBe('done')
    await pause(80)
    const records = await world.records(spine)
    expect(records.map(({ type }) => type)).toContain('spine.delivery.expired')
    expect(records.filter(({ type }) => type === Booked.type)).toEqual([])
  })

  it('writes nothing behind the end of a caller that did not wait for it', async () => {
    const gate = deferred()
    const isIt = (type: string, by: string | undefined) => type === 'spine.delivery.completed' && by === 'caller'
    const engine = slowFrom(world.engine(), isIt, gate.resolve)
    const caller = agent('caller', { on: Inquiry, retry: quickly(1) }, async (_evt, ctx) => {
      void ctx.call(Emitting, { question: 'x' })
      await ctx.sleep(30)
    })
    const spine = await world.open({ engine, agents: [caller, emitting(gate.promise)] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    expect((await spine.settled(request)).status).toBe('done')
    await pause(80)
    const records = await world.records(spine)
    expect(records.filter(({ type }) => type === Booked.type)).toEqual([])
  })
})

describeOnEachEngine('a deadline', (world) => {
  it('ends a call chain in one record, agents absent or not, and nothing of it starts afterwards', async () => {
    const Absent = agent('absent', { input: Question, output: Answer })
    const Middle = agent('middle', { input: Question, output: Answer })
    const middle = Middle.handle(async (evt, ctx) => ctx.call(Absent, evt.data))
    const top = agent('top', { on: Inquiry }, async (_evt, ctx) => void (await ctx.call(Middle, { question: 'x' })))
    const first = await world.open({ agents: [Absent.handle(async () => ({ answer: 'x' }))] })
    await first.close()
    const one = await world.open({ agents: [top, middle] })
    const { request } = await one.publish(Inquiry, { text: 'x' }, { deadline: 600 })
    const waiting = async () => (await one.settled(request, { within: 20 })).waiting.map(({ why }) => why)
    await expect.poll(waiting).toEqual(['suspended', 'suspended'])
    await one.close()
    await pause(620)
    const started: string[] = []
    const two = await world.open({
      agents: [
        top,
        middle,
        Absent.handle(async () => {
          started.push('absent')
          return { answer: 'x' }
        }),
      ],
    })
    expect((await two.settled(request)).status).toBe('expired')
    const records = await world.records(two)
    expect(records.filter(({ type }) => type.endsWith('.expired'))).toHaveLength(1)
    expect(started).toEqual([])
  })

  it('of a call expires what the called one has called, too, and the caller goes on', async () => {
    const Leaf = agent('leaf', { input: Question, output: Answer })
    const Middle = agent('middle', { input: Question, output: Answer })
    const leaf = Leaf.handle(async (_evt, ctx) => {
      await ctx.sleep('10m')
      return { answer: 'x' }
    })
    const codes: string[] = []
    const top = agent('top', { on: Inquiry }, async (_evt, ctx) => {
      const outcome = await ctx.call(Middle, { question: 'x' }, { within: 30 }).catch((error) => error.cause.code)
      await ctx.step('note', () => void codes.push(outcome as string))
    })
    const spine = await world.open({ agents: [top, leaf, Middle.handle(async (evt, ctx) => ctx.call(Leaf, evt.data))] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    expect(await spine.settled(request)).toMatchObject({ status: 'done', waiting: [] })
    expect(codes).toEqual(['SPINE_EXPIRED'])
    expect(spine.agents.list().map(({ open }) => open)).toEqual([0, 0, 0])
  })
})
