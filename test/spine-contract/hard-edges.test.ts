/** Places where a run, a request or a spine ends at an awkward moment, each found by a reader who tried to break it. */
import { agent, event, Permanent, type Spine, stateOf } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, Booked, deferred, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const never = new Promise<never>(() => {})
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const soon = <Value>(promise: Promise<Value>, ms = 3_000) =>
  Promise.race([promise, pause(ms).then(() => 'nothing came')])

async function types(spine: Spine, request: string): Promise<readonly string[]> {
  const found: string[] = []
  for await (const record of spine.log.read({ request })) found.push(record.type)
  return found
}

describeOnEachEngine('steps and effects at the edge', (world) => {
  it('a flaky step beside one that succeeds is tried again, at once and after a redrive', async () => {
    let tries = 0
    const both = agent('both', { on: Inquiry, retry: quickly(2) }, async (_evt, ctx) => {
      await Promise.all([
        ctx.step('flaky', () => {
          if (++tries < 4) throw new Error('not yet')
        }),
        ctx.step('fine', () => 1),
      ])
    })
    const spine = await world.open({ agents: [both] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    const { status, deadLetters } = await spine.settled(request)
    expect([status, tries]).toEqual(['failed', 2])
    await spine.deadLetters.redrive(deadLetters[0] as string)
    expect((await spine.settled(request)).status).toBe('done')
    expect(tries).toBe(4)
  })

  it('P9: an effect that never settles ends in the dead letters, whether it is awaited, joined or left behind', async () => {
    const awaiting = agent('awaiting', { on: Inquiry, timeout: 60, retry: quickly(2) }, (_evt, ctx) =>
      ctx.step('hang', () => never, { effect: true }),
    )
    const leaving = agent('leaving', { on: Numbered, timeout: 60, retry: quickly(2) }, async (_evt, ctx) => {
      await Promise.race([ctx.step('hang', () => never, { effect: true }), ctx.sleep(5)])
    })
    const spine = await world.open({ agents: [awaiting, leaving] })
    for (const { request } of [await spine.publish(Inquiry, { text: 'a' }), await spine.publish(Numbered, { n: 1 })])
      expect((await spine.settled(request, { within: '5s' })).status).toBe('failed')
    expect((await spine.deadLetters.list()).map(({ error }) => error.code)).toEqual(['SPINE_TIMEOUT', 'SPINE_TIMEOUT'])
  })

  it('P4: an effect that ended after its run had died is not done again by a redrive', async () => {
    let done = 0
    const slow = agent('slow', { on: Inquiry, timeout: 50, retry: quickly(1) }, async (_evt, ctx) => {
      await ctx.step('book', () => pause(150).then(() => ++done), { effect: true })
    })
    const spine = await world.open({ agents: [slow] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    const { deadLetters } = await spine.settled(request)
    await pause(250)
    await spine.deadLetters.redrive(deadLetters[0] as string)
    expect((await spine.settled(request)).status).toBe('done')
    expect(done).toBe(1)
  })

  it('maybeDone is true for every try of an effect after one that did not succeed', async () => {
    const seen: boolean[] = []
    const paying = agent('paying', { on: Inquiry, retry: quickly(2) }, async (_evt, ctx) => {
      await ctx.step(
        'pay',
        ({ maybeDone }) => {
          seen.push(maybeDone)
          if (seen.length < 4) throw new Error('no answer')
        },
        { effect: true, retry: { attempts: 2, backoff: '1ms' } },
      )
    })
    const spine = await world.open({ agents: [paying] })
    expect((await spine.settled((await spine.publish(Inquiry, { text: 'a' })).request)).status).toBe('done')
    expect(seen).toEqual([false, true, true, true])
  })

  it('a step that lost a race is told to stop when the run is over', async () => {
    let signal: AbortSignal | undefined
    const racing = agent('racing', { on: Inquiry }, async (_evt, ctx) => {
      const slow = ctx.step('slow', (step) => {
        signal = step.signal
        return pause(300)
      })
      await Promise.race([slow, ctx.step('fast', () => 1)])
    })
    const spine = await world.open({ agents: [racing] })
    await spine.settled((await spine.publish(Inquiry, { text: 'a' })).request)
    expect(signal?.aborted).toBe(true)
  })

  it('what a handler says after it has returned has no effect, and is told', async () => {
    const hold = deferred()
    const late = agent('late', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      void ctx.step('effect', () => hold.promise, { effect: true })
      await ctx.step('first', () => 1)
      setTimeout(() => {
        ctx.emit(Booked, { service: 'too late' })
        hold.resolve()
      }, 30)
    })
    const spine = await world.open({ agents: [late] })
    const { request } = await spine.publish(Inquiry, { text: 'a' })
    expect((await spine.settled(request)).status).toBe('done')
    expect(await types(spine, request)).not.toContain(Booked.type)
    expect(world.warnings.join('\n')).toContain(
      "agent 'late' emitted 'appointment.booked' after its handler had returned",
    )
  })

  it('a subclass of Permanent with a name of its own is permanent', async () => {
    class Refused extends Permanent {
      override name = 'Refused'
    }
    let tries = 0
    const refusing = agent('refusing', { on: Inquiry }, () => {
      tries++
      throw new Refused('no')
    })
    const spine = await world.open({ agents: [refusing] })
    expect((await spine.settled((await spine.publish(Inquiry, { text: 'a' })).request)).status).toBe('failed')
    expect(tries).toBe(1)
  })
})

describeOnEachEngine('a spine that closes', (world) => {
  it('settles every publish that it was given: acknowledged, or refused and not on the log', async () => {
    const one = await world.open({ agents: [] })
    const closing = one.close()
    const tries: Promise<unknown>[] = []
    for (let n = 0; n < 40; n++) {
      tries.push(
        soon(
          one.publish(Numbered, { n }).then(
            () => 'there',
            (error: { outcome: string }) => error.outcome,
          ),
        ),
      )
      await Promise.resolve()
    }
    await closing
    const told = await Promise.all(tries)
    expect(told).not.toContain('nothing came')
    const two = await world.open({ agents: [] })
    const there: number[] = []
    for await (const { data } of two.log.read({ types: [Numbered.type] })) there.push((data as { n: number }).n)
    for (const [n, how] of told.entries()) if (how !== 'unknown') expect(there.includes(n)).toBe(how === 'there')
  })

  it('waits no longer than there is something to wait for', async () => {
    const failing = agent('failing', { on: Inquiry, retry: { backoff: '1h' } }, async () => {
      await pause(60)
      throw new Error('later')
    })
    const spine = await world.open({ agents: [failing] })
    await spine.publish(Inquiry, { text: 'a' })
    const before = Date.now()
    await spine.close()
    expect(Date.now() - before).toBeLessThan(5_000)
  })

  it('tells whoever waits for a result', async () => {
    const sleeping = agent('sleeping', { input: Question, output: Answer }, async (_evt, ctx) => {
      await ctx.sleep('1h')
      return { answer: 'late' }
    })
    const spine = await world.open({ agents: [sleeping] })
    const result = soon(
      (await spine.start(sleeping, { question: 'a' })).result().catch((error: { code: string }) => error.code),
    )
    await spine.close()
    expect(await result).toBe('SPINE_CLOSED')
  })
})

describeOnEachEngine('requests and names at the edge', (world) => {
  it('a reply stays a reply when the rest of its request is cancelled later', async () => {
    const waiting = agent('waiting', { on: Numbered }, (_evt, ctx) => ctx.sleep('1h'))
    const replying = agent('replying', { input: Question, output: Answer, emits: [Numbered] }, (_evt, ctx) => {
      ctx.emit(Numbered, { n: 1 })
      return { answer: 'here' }
    })
    const spine = await world.open({ agents: [waiting, replying] })
    const handle = await spine.start(replying, { question: 'a' })
    expect(await handle.result()).toEqual({ answer: 'here' })
    await handle.cancel('no more')
    expect(await handle.result()).toEqual({ answer: 'here' })
  })

  it('work that was redriven replies to whoever asks for its result', async () => {
    let tries = 0
    const flaky = agent('flaky', { input: Question, output: Answer, retry: quickly(1) }, async (_evt, ctx) => {
      await ctx.step('try', () => {
        if (++tries === 1) throw new Error('once')
      })
      await ctx.sleep(30)
      return { answer: 'at last' }
    })
    const spine = await world.open({ agents: [flaky] })
    const handle = await spine.start(flaky, { question: 'a' })
    await expect(handle.result()).rejects.toMatchObject({ code: 'SPINE_CALL_FAILED' })
    const [letter] = await spine.deadLetters.list()
    await spine.deadLetters.redrive(letter?.id as string)
    expect(await handle.result()).toEqual({ answer: 'at last' })
    expect(await handle.result()).toEqual({ answer: 'at last' })
  })

  it('an idempotent publish is recognised after its cause has been cancelled', async () => {
    const waiting = agent('waiting', { on: Inquiry }, (_evt, ctx) => ctx.sleep('1h'))
    const spine = await world.open({ agents: [waiting] })
    const { sequence, request } = await spine.publish(Inquiry, { text: 'a' })
    const options = { cause: sequence, idempotencyKey: 'k' }
    const first = await spine.publish(Booked, { service: 'a' }, options)
    await spine.requests.cancel(request, 'no more')
    expect(await spine.publish(Booked, { service: 'a' }, options)).toEqual({ ...first, duplicate: true })
  })

  it('refuses causes, names, positions and texts that cannot be', async () => {
    const spine = await world.open({ agents: [agent('there', { on: Inquiry }, () => {})] })
    const code = (promise: Promise<unknown>) =>
      promise.then(
        () => 'accepted',
        (error: { code: string }) => error.code,
      )
    expect(await code(spine.publish(Booked, { service: 'a' }, { cause: 1 }))).toBe('SPINE_OPTION_INVALID')
    expect(await code(spine.publish(Booked, { service: 'a' }, { session: 'half \ud83d' }))).toBe('SPINE_OPTION_INVALID')
    expect(await code(spine.sessions.get('s', { at: Number.NaN }))).toBe('SPINE_OPTION_INVALID')
    await spine.close()
    const empty = await world.open({ agents: [] })
    for (const name of ['', 'spine.x', 7 as never])
      expect(await code(empty.agents.rename('there', name))).toBe('SPINE_AGENT_INVALID')
    expect(empty.agents.list().map(({ name }) => name)).toEqual(['there'])
  })

  it('registers a thousand agents', async () => {
    const events = Array.from({ length: 30 }, (_, n) => event(`some.domain.happened_${n}`, z.object({})))
    const many = Array.from({ length: 1_000 }, (_, n) =>
      agent(`agent-${n}`, { on: events[n % 30] as (typeof events)[number], emits: events }, () => {}),
    )
    const spine = await world.open({ agents: many })
    expect(spine.agents.list()).toHaveLength(1_000)
  })

  it('deadlines of what has ended do not pile up', async () => {
    const quick = agent('quick', { on: Numbered }, () => {})
    const spine = await world.open({ agents: [quick] })
    for (let round = 0; round < 25; round++) {
      await spine.publishAll(
        Array.from({ length: 200 }, (_, n) => ({ type: Numbered, data: { n }, options: { deadline: '1d' as const } })),
      )
      for (let turn = 0; stateOf(spine).deliveries.openCount > 0 && turn < 1_000; turn++) await pause(2)
    }
    expect(stateOf(spine).due?.size).toBeLessThan(3_000)
  })
})
