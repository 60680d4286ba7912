/** What makes no sense at all is refused with a code, what was given, and the way out: never with a TypeError. */
import { agent, createSpine, event, type SpineError } from 'event-spine'
import { memory } from 'event-spine/memory'
import { testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Inquiry, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const N = z.object({ n: z.number() })
const ok = agent('ok', { input: N, output: N }, (evt) => evt.data)

/** JavaScript: nothing is checked before it runs. */
const untyped = createSpine as unknown as (options?: unknown) => Promise<never>
const nothing = undefined as never

async function refusalOf(attempt: () => unknown): Promise<SpineError> {
  try {
    await attempt()
  } catch (error) {
    return error as SpineError
  }
  throw new Error('it was accepted')
}

const CIRCULAR = /import/

describe('createSpine', () => {
  it.each<[string, readonly unknown[], string, RegExp]>([
    ['no options', [], 'SPINE_OPTION_INVALID', /createSpine.*agents/],
    ['a path', ['./spine.db'], 'SPINE_OPTION_INVALID', /createSpine/],
    ['no agents', [{ engine: memory() }], 'SPINE_OPTION_INVALID', /agents/],
    ['one agent instead of a list', [{ engine: memory(), agents: ok }], 'SPINE_OPTION_INVALID', /list/],
    ['an undefined agent', [{ engine: memory(), agents: [ok, undefined] }], 'SPINE_AGENT_INVALID', CIRCULAR],
    ['the name of an agent', [{ engine: memory(), agents: ['ok'] }], 'SPINE_AGENT_INVALID', /agents\[0\]/],
    ['a path for an engine', [{ engine: './spine.db', agents: [] }], 'SPINE_OPTION_INVALID', /sqlite\(/],
  ])('refuses %s', async (_, given, code, says) => {
    const error = await refusalOf(() => untyped(...given))
    expect(error).toMatchObject({ name: 'SpineError', code, message: expect.stringMatching(says) })
    expect(error.fix).toBeTypeOf('string')
  })

  it('is as strict under the test kit', async () => {
    expect(await refusalOf(() => testSpine({ agents: [nothing] }))).toMatchObject({ code: 'SPINE_AGENT_INVALID' })
    expect(await refusalOf(() => testSpine(nothing))).toMatchObject({ code: 'SPINE_OPTION_INVALID' })
  })
})

describe('agent', () => {
  it.each<[string, () => unknown, string, RegExp]>([
    ['no options', () => agent('a', nothing), 'SPINE_AGENT_INVALID', /options/],
    ['an undefined event type', () => agent('a', { on: nothing } as never), 'SPINE_AGENT_INVALID', CIRCULAR],
    ['one of them undefined', () => agent('a', { on: [Inquiry, nothing] } as never), 'SPINE_AGENT_INVALID', CIRCULAR],
    ['an undefined emission', () => agent('a', { on: Inquiry, emits: [nothing] }), 'SPINE_AGENT_INVALID', CIRCULAR],
    [
      'emissions that are no list',
      () => agent('a', { on: Inquiry, emits: Inquiry as never }),
      'SPINE_AGENT_INVALID',
      /emits/,
    ],
    ['an undefined after', () => agent('a', { on: Inquiry, after: [nothing] }), 'SPINE_AGENT_INVALID', CIRCULAR],
    [
      'an undefined newer event',
      () => agent('a', { on: Inquiry, freshness: { newer: [nothing], then: 'hold' } }),
      'SPINE_AGENT_INVALID',
      CIRCULAR,
    ],
    ['a handler that is none', () => agent('a', { on: Inquiry }, {} as never), 'SPINE_AGENT_INVALID', /handler/],
  ])('refuses %s', async (_, declare, code, says) => {
    expect(await refusalOf(declare)).toMatchObject({ name: 'SpineError', code, message: expect.stringMatching(says) })
  })
})

describeOnEachEngine('wrong arguments', (world) => {
  it('of the spine', async () => {
    const picky = event('picky.happened', {
      '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: (value as { a: string }).a.trim() }) },
    })
    const spine = await world.open({ agents: [ok] })
    const attempts: readonly (readonly [string, () => unknown, RegExp])[] = [
      ['SPINE_SCHEMA_INVALID', () => spine.publish(Inquiry, null as never), /inquiry\.received: data/],
      ['SPINE_SCHEMA_INVALID', () => spine.publish(picky, null as never), /picky\.happened: .*schema/],
      ['SPINE_EVENT_INVALID', () => spine.publish(nothing, {} as never), CIRCULAR],
      ['SPINE_EVENT_INVALID', () => spine.publish('inquiry.received' as never, {} as never), /"inquiry\.received"/],
      ['SPINE_OPTION_INVALID', () => spine.publish(Inquiry, { text: 'x' }, null as never), /null/],
      ['SPINE_OPTION_INVALID', () => spine.publish(Inquiry, { text: 'x' }, 'customer-1' as never), /"customer-1"/],
      ['SPINE_OPTION_INVALID', () => spine.publishAll(nothing), /list/],
      ['SPINE_EVENT_INVALID', () => spine.publishAll([nothing]), /publishAll/],
      ['SPINE_AGENT_INVALID', () => spine.start(nothing, {} as never), CIRCULAR],
      ['SPINE_AGENT_INVALID', () => spine.start('ok' as never, {} as never), /"ok"/],
      ['SPINE_EVENT_INVALID', () => spine.waitFor(nothing, { within: 1 }), CIRCULAR],
      ['SPINE_DURATION_INVALID', () => spine.waitFor(Inquiry, nothing), /within: undefined/],
      ['SPINE_OPTION_INVALID', () => spine.settled('x', null as never), /null/],
    ]
    for (const [code, attempt, says] of attempts)
      expect(await refusalOf(attempt)).toMatchObject({ name: 'SpineError', code, message: expect.stringMatching(says) })
  })

  it('of a handler', async () => {
    const errors: unknown[] = []
    const a = agent('a', { on: Inquiry, emits: [Inquiry], retry: quickly(1) }, async (_evt, ctx) => {
      const attempts: readonly (() => unknown)[] = [
        () => ctx.gather(null as never),
        () => ctx.gather([ctx.call(ok, { n: 1 })], null as never),
        () => ctx.call(nothing, {} as never),
        () => ctx.handoff(nothing, {} as never),
        () => ctx.route(1, [{ else: nothing }]),
        () => ctx.route(1, [{ atLeast: 1, to: nothing }, { else: ok }] as never),
        () => ctx.waitFor(Inquiry, nothing),
        () => ctx.waitFor(Inquiry, {} as never),
        () => ctx.waitFor(nothing, { within: 1 }),
        () => ctx.emit(nothing, {} as never),
        () => ctx.publish(nothing, {} as never),
        () => ctx.step('a', Promise.resolve(1) as never),
        () => ctx.step('a', () => 1, null as never),
      ]
      errors.length = 0
      for (const attempt of attempts) errors.push(await refusalOf(attempt))
    })
    const spine = await world.open({ agents: [a, ok] })
    await spine.settled((await spine.publish(Inquiry, { text: 'x' })).request)
    const says = (code: string, message: RegExp) => ({ code, message: expect.stringMatching(message) })
    expect(errors).toMatchObject([
      says('SPINE_GATHER_BRANCH', /no branches/),
      says('SPINE_OPTION_INVALID', /null/),
      says('SPINE_AGENT_INVALID', CIRCULAR),
      says('SPINE_AGENT_INVALID', CIRCULAR),
      says('SPINE_AGENT_INVALID', CIRCULAR),
      says('SPINE_AGENT_INVALID', CIRCULAR),
      says('SPINE_DURATION_INVALID', /within: undefined/),
      says('SPINE_DURATION_INVALID', /within: undefined/),
      says('SPINE_EVENT_INVALID', CIRCULAR),
      says('SPINE_EVENT_INVALID', CIRCULAR),
      says('SPINE_EVENT_INVALID', CIRCULAR),
      says('SPINE_OPTION_INVALID', /function/),
      says('SPINE_OPTION_INVALID', /null/),
    ])
  })
})
