/** An option that does not exist is refused by name: whoever passes one would find out in production that it was ignored. */
import { agent, createSpine, event, join } from 'event-spine'
import { memory } from 'event-spine/memory'
import { testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Inquiry, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const N = z.object({ n: z.number() })
const ok = agent('ok', { input: N, output: N }, (evt) => evt.data)
const refused = (said: string) =>
  expect.objectContaining({ code: 'SPINE_OPTION_INVALID', message: expect.stringContaining(said) })

describe('options that do not exist', () => {
  const declared = (options: object) => () => agent('a', { on: Inquiry, ...options } as never)
  it.each<[string, () => unknown]>([
    ["Agent 'a' has no option 'concurency': did you mean 'concurrency'?", declared({ concurency: 3 })],
    ["Agent 'a': retry has no option 'attempt': did you mean 'attempts'?", declared({ retry: { attempt: 3 } })],
    ["preempt has no option 'them': did you mean 'then'?", declared({ preempt: { them: 'resume' } })],
    ["freshness has no option 'new'", declared({ freshness: { new: [Booked], then: 'hold' } })],
    ["breaker has no option 'failure': did you mean 'failures'?", declared({ breaker: { failure: 3 } })],
    ["rate has no option 'max'", declared({ rate: { max: 1, per: '1s' } })],
    [
      "join has no option 'atleast': did you mean 'atLeast'?",
      () => join([Inquiry, Booked], { per: 'request', atleast: 1 } as never),
    ],
    ["Event 'a.b' has no option 'versoin': did you mean 'version'?", () => event('a.b', N, { versoin: 2 } as never)],
  ])('%s', (said, declare) => {
    expect(declare).toThrow(refused(said))
  })

  it('of createSpine, and of the test kit, which has two more', async () => {
    const options = { engine: memory(), agents: [ok], pool: { model: 8 } } as never
    await expect(createSpine(options)).rejects.toEqual(
      refused("createSpine has no option 'pool': did you mean 'pools'?"),
    )
    await expect(testSpine({ agents: [ok], sed: 'x' } as never)).rejects.toEqual(refused("did you mean 'seed'?"))
    await (await testSpine({ agents: [ok], seed: 'x', replay: 'after-crash' })).close()
  })
})

describeOnEachEngine('options that do not exist', (world) => {
  it('of the spine', async () => {
    const spine = await world.open({ agents: [ok] })
    const { request } = await spine.publish(Inquiry, { text: 'x' }, { session: 's', partition: undefined } as never)
    const handle = await spine.start(ok, { n: 1 })
    const attempts: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["'sesion': did you mean 'session'?", () => spine.publish(Inquiry, { text: 'x' }, { sesion: 's' } as never)],
      ["'atomik': did you mean 'atomic'?", () => spine.publishAll([], { atomik: true } as never)],
      [
        "'dealy': did you mean 'delay'?",
        () => spine.publishAll([{ type: Inquiry, data: { text: 'x' }, options: { dealy: 5 } as never }]),
      ],
      [
        "'option': did you mean 'options'?",
        () => spine.publishAll([{ type: Inquiry, data: { text: 'x' }, option: {} } as never]),
      ],
      ["start 'ok' has no option 'cause'", () => spine.start(ok, { n: 1 }, { cause: 1 } as never)],
      ["result has no option 'timeout'", () => handle.result({ timeout: 1 } as never)],
      [
        "settled has no option 'withing': did you mean 'within'?",
        () => spine.settled(request, { withing: 1 } as never),
      ],
      ["waitFor has no option 'sesion'", () => spine.waitFor(Inquiry, { within: 1, sesion: 's' } as never)],
      ["sessions.get has no option 'as'", () => spine.sessions.get('s', { as: 1 } as never)],
      [
        "deadLetters.list has no option 'agents': did you mean 'agent'?",
        () => spine.deadLetters.list({ agents: 'a' } as never),
      ],
      ["log.read has no option 'type': did you mean 'types'?", () => spine.log.read({ type: 'a' } as never).next()],
    ]
    for (const [said, attempt] of attempts) await expect(attempt()).rejects.toEqual(refused(said))
    await expect(spine.close({ drian: 0 } as never)).rejects.toEqual(refused("close has no option 'drian'"))
    expect(() => spine.log.tail({ from: 1 } as never)).toThrow(refused("log.tail has no option 'from'"))
  })

  it('of ctx', async () => {
    const said: unknown[] = []
    const a = agent('a', { on: Inquiry, emits: [Booked], retry: quickly(1) }, async (_evt, ctx) => {
      const attempts: readonly (() => unknown)[] = [
        () => ctx.step('s', () => 1, { efect: true } as never),
        () => ctx.step('s', () => 1, { retry: { attempts: 1, backof: '1s' } } as never),
        () => ctx.step('s', () => 1, { cost: { estimate: { usd: 1 }, actuall: () => ({}) } } as never),
        () => ctx.call(ok, { n: 1 }, { witin: '1s' } as never),
        () => ctx.gather([ctx.call(ok, { n: 1 })], { untill: 'first' } as never),
        () => ctx.waitFor(Booked, { within: 1, macth: {} } as never),
        () => ctx.emit(Booked, { service: 'x' }, { dela: '1s' } as never),
        () => ctx.publish(Booked, { service: 'x' }, { sesion: '1s' } as never),
      ]
      said.length = 0
      for (const attempt of attempts) {
        try {
          said.push(await attempt())
        } catch (error) {
          said.push(error)
        }
      }
    })
    const spine = await world.open({ agents: [a, ok] })
    await spine.settled((await spine.publish(Inquiry, { text: 'x' })).request)
    const names = ['effect', 'backoff', 'actual', 'within', 'until', 'match', 'delay', 'session']
    expect(said).toEqual(names.map((name) => refused(`did you mean '${name}'?`)))
  })
})
