import { agent, Permanent, RetryAfter } from 'event-spine'
import { expect, it } from 'vitest'
import { Booked, deferred, Inquiry, Numbered, quickly, Requirements } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('agents that react', (world) => {
  it('hand on by events; a later agent joins without anyone else changing', async () => {
    const heard: string[] = []
    const inquiry = agent('inquiry', { on: Inquiry, emits: [Requirements] }, async (evt, ctx) => {
      const service = await ctx.step('extract', () => evt.data.text.toUpperCase())
      ctx.emit(Requirements, { service })
    })
    const scheduling = agent('scheduling', { on: Requirements, emits: [Booked] }, (evt, ctx) => {
      heard.push(`scheduling ${evt.data.service}`)
      ctx.emit(Booked, { service: evt.data.service })
    })
    const first = await world.open({ agents: [inquiry, scheduling] })
    const { request } = await first.publish(Inquiry, { text: 'haircut' })
    expect(await first.settled(request)).toMatchObject({ status: 'done', deadLetters: [], waiting: [], absent: [] })
    await first.close()
    const audit = agent('audit', { on: [Requirements, Booked] }, (evt) => {
      heard.push(`audit ${evt.type}`)
    })
    const second = await world.open({ agents: [inquiry, scheduling, audit] })
    const again = await second.publish(Inquiry, { text: 'beard' })
    expect(await second.settled(again.request)).toMatchObject({ status: 'done' })
    expect(heard).toEqual([
      'scheduling HAIRCUT',
      'scheduling BEARD',
      'audit requirements.completed',
      'audit appointment.booked',
    ])
  })

  it('P3: what a run emits is on the log only when the run ended well, with its patch and completion', async () => {
    const unsure = agent('unsure', { on: Inquiry, emits: [Booked], retry: quickly(2) }, async (_evt, ctx) => {
      ctx.emit(Booked, { service: 'never' })
      ctx.session.set({ touched: true })
      await ctx.step('think', () => 1)
      throw new Error('changed my mind')
    })
    const spine = await world.open({ agents: [unsure] })
    const { request, session } = await spine.publish(Inquiry, { text: 'a' })
    expect(await spine.settled(request)).toMatchObject({ status: 'failed' })
    const types = (await world.records(spine)).map((record) => record.type)
    expect(types).not.toContain('appointment.booked')
    expect((await spine.sessions.get(session)).state).toEqual({})
  })

  it('P5: events of one key run one at a time in order, keys in parallel', async () => {
    const spans: string[] = []
    let together = 0
    let most = 0
    const slow = agent('slow', { on: Numbered }, async (evt, ctx) => {
      await ctx.step('work', async () => {
        most = Math.max(most, ++together)
        spans.push(`${ctx.session.id}:${evt.data.n}`)
        await new Promise((resolve) => setTimeout(resolve, 3))
        spans.push(`${ctx.session.id}:${evt.data.n}`)
        together--
      })
    })
    const spine = await world.open({ agents: [slow] })
    const published = []
    for (let n = 0; n < 6; n++)
      for (const session of ['a', 'b', 'c']) published.push(spine.publish(Numbered, { n }, { session }))
    for (const { request } of await Promise.all(published)) await spine.settled(request)
    for (const session of ['a', 'b', 'c']) {
      const own = spans.filter((span) => span.startsWith(session))
      expect(own).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5].map((n) => `${session}:${n}`))
    }
    expect(most).toBeGreaterThan(1)
  })

  it('concurrency bounds the handlers that run; order none lets one session run in parallel', async () => {
    let running = 0
    let most = 0
    const wide = agent('wide', { on: Numbered, order: 'none', concurrency: 3 }, async (_evt, ctx) => {
      await ctx.step('work', async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 2))
        running--
      })
    })
    const spine = await world.open({ agents: [wide] })
    const published = await Promise.all(
      Array.from({ length: 12 }, (_, n) => spine.publish(Numbered, { n }, { session: 'one' })),
    )
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(most).toBe(3)
  })

  it('retries with the journal kept: a recorded step does not run again, a failed one does', async () => {
    const ran: string[] = []
    const flaky = agent('flaky', { on: Inquiry, emits: [Booked], retry: quickly(5) }, async (evt, ctx) => {
      const service = await ctx.step('read', () => {
        ran.push('read')
        return evt.data.text
      })
      await ctx.step('book', () => {
        ran.push(`book ${ctx.attempt}`)
        if (ctx.attempt < 3) throw new Error('calendar is down')
        return null
      })
      ctx.emit(Booked, { service })
    })
    const spine = await world.open({ agents: [flaky] })
    const { request } = await spine.publish(Inquiry, { text: 'haircut' })
    expect(await spine.settled(request)).toMatchObject({ status: 'done' })
    expect(ran).toEqual(['read', 'book 1', 'book 2', 'book 3'])
    expect(world.warnings[0]).toMatch(
      /^agent 'flaky' failed on record \d+ of session '.+': Error: calendar is down \(at .+reactions\.test\.ts.+\); attempt 2 of 5 in \d+ ms$/,
    )
  })

  it('a failure that the handler caught before a success replays; the handler sees the same error again', async () => {
    const seen: string[] = []
    let books = 0
    const careful = agent('careful', { on: Inquiry, retry: quickly(3) }, async (_evt, ctx) => {
      try {
        await ctx.step('primary', () => {
          seen.push('primary ran')
          throw Object.assign(new TypeError('no primary'), { code: 'E_PRIMARY' })
        })
      } catch (error) {
        const { name, message, code } = error as TypeError & { code: string }
        seen.push(`${name} ${message} ${code}`)
      }
      await ctx.step('backup', () => {
        seen.push('backup ran')
        return 1
      })
      await ctx.step('book', () => {
        if (++books === 1) throw new Error('once')
        return 1
      })
    })
    const spine = await world.open({ agents: [careful] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    const failures = seen.filter((line) => line.startsWith('TypeError'))
    expect(seen.filter((line) => line.endsWith('ran'))).toEqual(['primary ran', 'backup ran'])
    expect(new Set(failures)).toEqual(new Set(['TypeError no primary E_PRIMARY']))
    expect(failures.length).toBeGreaterThanOrEqual(2)
  })

  it('P7: ends in the dead letters with cause, attempts and chain; redrive keeps recorded steps; twice is once', async () => {
    let broken = true
    let reads = 0
    const inquiry = agent('inquiry', { on: Inquiry, emits: [Requirements] }, (evt, ctx) =>
      ctx.emit(Requirements, { service: evt.data.text }),
    )
    const scheduling = agent(
      'scheduling',
      { on: Requirements, emits: [Booked], retry: quickly(3) },
      async (evt, ctx) => {
        await ctx.step('read', () => ++reads)
        if (broken) throw new Error('no calendar')
        ctx.emit(Booked, evt.data)
      },
    )
    const spine = await world.open({ agents: [inquiry, scheduling] })
    const { request, sequence } = await spine.publish(Inquiry, { text: 'haircut' })
    const settled = await spine.settled(request)
    expect(settled.status).toBe('failed')
    const [letter] = await spine.deadLetters.list({ request })
    expect(letter).toMatchObject({
      id: settled.deadLetters[0],
      agent: 'scheduling',
      attempts: 3,
      error: { name: 'Error', message: 'no calendar' },
    })
    const detail = await spine.deadLetters.get(letter?.id as string)
    expect(detail.chain.map((event) => event.type)).toEqual(['inquiry.received', 'requirements.completed'])
    expect(detail.chain[0]?.sequence).toBe(sequence)
    broken = false
    await spine.deadLetters.redrive(detail.id)
    await spine.deadLetters.redrive(detail.id)
    expect((await spine.settled(request)).status).toBe('done')
    expect(reads).toBe(1)
    expect((await world.records(spine)).filter((record) => record.type === 'spine.delivery.redriven')).toHaveLength(1)
    await expect(spine.deadLetters.redrive('1/nobody')).rejects.toMatchObject({ code: 'SPINE_DEAD_LETTER_UNKNOWN' })
  })

  it('a dead letter can be discarded, and lets the next of its key run at once', async () => {
    const done: number[] = []
    const picky = agent('picky', { on: Numbered, retry: quickly(1) }, (evt) => {
      if (evt.data.n === 0) throw new Error('no zero')
      done.push(evt.data.n)
    })
    const spine = await world.open({ agents: [picky] })
    const zero = await spine.publish(Numbered, { n: 0 }, { session: 's' })
    const one = await spine.publish(Numbered, { n: 1 }, { session: 's' })
    expect((await spine.settled(one.request)).status).toBe('done')
    expect(done).toEqual([1])
    const [letter] = await spine.deadLetters.list({ agent: 'picky' })
    await spine.deadLetters.discard(letter?.id as string, 'known')
    expect(await spine.deadLetters.list()).toEqual([])
    expect((await spine.settled(zero.request)).status).toBe('done')
  })

  it('Permanent ends at once; RetryAfter sets the delay', async () => {
    let calls = 0
    const times: number[] = []
    const stubborn = agent('stubborn', { on: Inquiry, retry: { attempts: 5, backoff: '1h' } }, async (evt, ctx) => {
      calls++
      if (evt.data.text === 'never') throw new Permanent('cannot be done')
      await ctx.step('ask', () => {
        times.push(Date.now())
        if (times.length === 1) throw new RetryAfter('40ms')
        return 1
      })
    })
    const spine = await world.open({ agents: [stubborn] })
    const never = await spine.publish(Inquiry, { text: 'never' })
    expect((await spine.settled(never.request)).status).toBe('failed')
    expect(calls).toBe(1)
    const later = await spine.publish(Inquiry, { text: 'later' })
    expect((await spine.settled(later.request)).status).toBe('done')
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(39)
  })

  it('P9: a handler that runs too long fails with SPINE_TIMEOUT and its signal; nothing it does later counts', async () => {
    const late = deferred()
    let aborted: unknown
    const hanging = agent(
      'hanging',
      { on: Inquiry, emits: [Booked], timeout: '30ms', retry: quickly(1) },
      async (_evt, ctx) => {
        await ctx.step('hang', ({ signal }) => {
          signal.addEventListener('abort', () => {
            aborted = signal.reason
          })
          return late.promise.then(() => null)
        })
        ctx.emit(Booked, { service: 'too late' })
      },
    )
    const spine = await world.open({ agents: [hanging] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    const { deadLetters } = await spine.settled(request)
    const letter = await spine.deadLetters.get(deadLetters[0] as string)
    expect(letter.error.code).toBe('SPINE_TIMEOUT')
    expect(aborted).toMatchObject({ code: 'SPINE_TIMEOUT' })
    late.resolve()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await world.records(spine)).map((record) => record.type)).not.toContain('appointment.booked')
  })

  it('an attempt that timed out leaves nothing of its stopped step behind: the next one tries anew', async () => {
    let tries = 0
    const hanging = agent(
      'hanging',
      { on: Inquiry, emits: [Booked], timeout: '40ms', retry: quickly(3) },
      async (_evt, ctx) => {
        const service = await ctx.step('ask', ({ signal }) => {
          if (++tries > 1) return `try ${tries}`
          return new Promise<string>((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')))
          })
        })
        ctx.emit(Booked, { service })
      },
    )
    const spine = await world.open({ agents: [hanging] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(await spine.waitFor(Booked, { request, within: 0 })).toMatchObject({ data: { service: 'try 2' } })
    expect((await world.records(spine)).filter((record) => record.type === 'spine.delivery.retried')).toHaveLength(1)
  })

  it('P9: a loop of agents ends at the hop limit, in the dead letters', async () => {
    let rounds = 0
    const ping = agent('ping', { on: Numbered, emits: [Numbered] }, (evt, ctx) => {
      rounds++
      ctx.emit(Numbered, { n: evt.data.n + 1 })
    })
    const spine = await world.open({ agents: [ping] })
    const { request } = await spine.publish(Numbered, { n: 0 })
    const settled = await spine.settled(request)
    expect(settled.status).toBe('failed')
    expect(rounds).toBe(33)
    expect((await spine.deadLetters.get(settled.deadLetters[0] as string)).error.code).toBe('SPINE_HOPS_EXCEEDED')
  })

  it('an undeclared emit fails at once with SPINE_EMIT_UNDECLARED', async () => {
    const quiet = agent('quiet', { on: Inquiry }, (_evt, ctx) => {
      ctx.emit(Booked as never, { service: 'x' } as never)
    })
    const spine = await world.open({ agents: [quiet] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    const { deadLetters } = await spine.settled(request)
    expect((await spine.deadLetters.get(deadLetters[0] as string)).error.code).toBe('SPINE_EMIT_UNDECLARED')
  })
})
