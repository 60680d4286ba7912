import { message, SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { describeOnEachEngine } from '../support/world.ts'
import { Booked, Inquiry, Numbered } from '../support/vocabulary.ts'

describeOnEachEngine('publish', (world) => {
  it('returns id, sequence, request and session, the session being the request unless said otherwise', async () => {
    const spine = await world.open({ agents: [] })
    const own = await spine.publish(Inquiry, { text: 'a haircut' })
    expect(own).toEqual({
      id: own.request,
      sequence: own.sequence,
      request: own.request,
      session: own.request,
      duplicate: false,
    })
    const named = await spine.publish(Inquiry, { text: 'a haircut' }, { session: 'customer-42' })
    expect(named.session).toBe('customer-42')
    expect(named.sequence).toBe(own.sequence + 1)
  })

  it('stores what the schema returns, and reads its own writes', async () => {
    const spine = await world.open({ agents: [] })
    const { sequence } = await spine.publish(Inquiry, { text: 'x', extra: 1 } as never)
    const [record] = await collect(spine.log.read({ after: sequence - 1, limit: 1 }))
    expect(record).toMatchObject({ sequence, type: 'inquiry.received', data: { text: 'x' }, hops: 0, cause: 0 })
    expect(record?.data).toEqual({ text: 'x' })
  })

  it('keeps idempotency keys for ever, scoped to the type', async () => {
    const first = await world.open({ agents: [] })
    const original = await first.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k1', session: 's' })
    const again = await first.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k1', session: 's' })
    expect(again).toEqual({ ...original, duplicate: true })
    const otherType = await first.publish(Booked, { service: 'a' }, { idempotencyKey: 'k1', session: 's' })
    expect(otherType.duplicate).toBe(false)
    await first.close()
    const second = await world.open({ agents: [] })
    expect(await second.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k1', session: 's' })).toEqual({
      ...original,
      duplicate: true,
    })
    await expect(second.publish(Inquiry, { text: 'b' }, { idempotencyKey: 'k1', session: 's' })).rejects.toMatchObject({
      code: 'SPINE_KEY_REUSED',
      outcome: 'refused',
    })
  })

  it('one key published many times at once is one event', async () => {
    const spine = await world.open({ agents: [] })
    const all = await Promise.all(
      Array.from({ length: 20 }, () => spine.publish(Inquiry, { text: 'a' }, { idempotencyKey: 'k', session: 's' })),
    )
    expect(new Set(all.map(({ sequence }) => sequence)).size).toBe(1)
    expect(all.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
  })

  it('publishAll keeps the order of the list; atomic is one commit or nothing', async () => {
    const spine = await world.open({ agents: [] })
    const numbers = Array.from({ length: 50 }, (_, n) => message(Numbered, { n }))
    const published = await spine.publishAll(numbers)
    expect(published.map(({ sequence }) => sequence - (published[0]?.sequence ?? 0))).toEqual(numbers.map((_, n) => n))
    const before = (await world.records(spine)).length
    await expect(
      spine.publishAll([message(Numbered, { n: 1 }), { type: Numbered, data: { n: 'two' } }], { atomic: true }),
    ).rejects.toMatchObject({
      code: 'SPINE_SCHEMA_INVALID',
    })
    expect(await world.records(spine)).toHaveLength(before)
    const together = await spine.publishAll([message(Numbered, { n: 1 }), message(Numbered, { n: 2 })], {
      atomic: true,
    })
    expect(together.map(({ sequence }) => sequence)).toEqual([before + 1, before + 2])
    await expect(
      spine.publishAll(
        Array.from({ length: 257 }, () => message(Numbered, { n: 0 })),
        { atomic: true },
      ),
    ).rejects.toMatchObject({
      code: 'SPINE_COMMIT_TOO_LARGE',
    })
  })

  it('an answer with a cause joins its request and session, and not a request that was cancelled', async () => {
    const spine = await world.open({ agents: [] })
    const question = await spine.publish(Inquiry, { text: 'a' }, { session: 'customer-42' })
    const answer = await spine.publish(Booked, { service: 'a' }, { cause: question.sequence })
    expect(answer).toMatchObject({ request: question.request, session: 'customer-42' })
    expect(answer.id).toBe(`${question.request}.${answer.sequence}`)
    await expect(spine.publish(Booked, { service: 'a' }, { cause: 10_000 })).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
      value: 10_000,
    })
  })

  it('says once when nobody listens to a type', async () => {
    const spine = await world.open({ agents: [] })
    await spine.publish(Inquiry, { text: 'a' })
    await spine.publish(Inquiry, { text: 'b' })
    expect(world.warnings).toEqual(["no agent is registered for 'inquiry.received'; the event is kept on the log"])
  })

  const proto = JSON.parse('{"text":"x","__proto__":{"polluted":true}}')
  const loose = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
  const deep = (levels: number): unknown => (levels === 0 ? 0 : { in: deep(levels - 1) })
  const cases: readonly [string, unknown, string, string][] = [
    ['a field of the wrong type', { text: 5 }, 'SPINE_SCHEMA_INVALID', 'inquiry.received: data.text: expected string'],
    ['a missing field', {}, 'SPINE_SCHEMA_INVALID', 'data.text'],
    ['a payload above 256 KB', { text: 'x'.repeat(256 * 1024) }, 'SPINE_PAYLOAD_TOO_LARGE', '262144'],
    ['many bytes in few characters', { text: '€'.repeat(90_000) }, 'SPINE_PAYLOAD_TOO_LARGE', '262144'],
  ]
  for (const [what, data, code, text] of cases) {
    it(`refuses ${what}: ${code}, nothing written, the process lives`, async () => {
      const spine = await world.open({ agents: [] })
      const before = (await world.records(spine)).length
      const error = await spine.publish(Inquiry, data as never).catch((caught: unknown) => caught)
      expect(SpineError.is(error, code as never)).toBe(true)
      expect((error as SpineError).message).toContain(text)
      expect((error as SpineError).fix).toBeTruthy()
      expect(await world.records(spine)).toHaveLength(before)
      await expect(spine.publish(Inquiry, { text: 'fine' })).resolves.toMatchObject({ duplicate: false })
    })
  }

  const raw: readonly [string, unknown, string][] = [
    ['NaN', { n: Number.NaN }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['Infinity', { n: Number.POSITIVE_INFINITY }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['a Date', { n: new Date(0) }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['a Map', { n: new Map() }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['a BigInt', { n: 1n }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['a function', { n: () => 1 }, 'SPINE_PAYLOAD_NOT_JSON'],
    ['__proto__', proto, 'SPINE_PAYLOAD_NOT_JSON'],
    ['65 levels', deep(65), 'SPINE_PAYLOAD_TOO_DEEP'],
  ]
  for (const [what, data, code] of raw) {
    it(`refuses ${what} even when the schema lets it through: ${code}`, async () => {
      const spine = await world.open({ agents: [] })
      const { event } = await import('event-spine')
      const Anything = event('anything.happened', loose)
      await expect(spine.publish(Anything, data)).rejects.toMatchObject({
        name: 'SpineError',
        code,
        outcome: 'refused',
      })
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
      await expect(spine.publish(Anything, deep(60))).resolves.toMatchObject({ duplicate: false })
    })
  }

  it('refuses a deadline in the past, a duration that does not parse, an empty session, a reserved or foreign type', async () => {
    const spine = await world.open({ agents: [] })
    const publish = (options: object) => spine.publish(Inquiry, { text: 'a' }, options)
    await expect(publish({ deadline: new Date(0) })).rejects.toMatchObject({ code: 'SPINE_DEADLINE_PAST' })
    await expect(publish({ deadline: 0 })).rejects.toMatchObject({ code: 'SPINE_DEADLINE_PAST' })
    await expect(publish({ deadline: 'soon' })).rejects.toMatchObject({ code: 'SPINE_DURATION_INVALID', value: 'soon' })
    await expect(publish({ session: 'a\0b' })).rejects.toMatchObject({ code: 'SPINE_OPTION_INVALID' })
    await expect(publish({ session: '' })).rejects.toMatchObject({ code: 'SPINE_OPTION_INVALID' })
    await expect(publish({ session: 's'.repeat(257) })).rejects.toMatchObject({
      code: 'SPINE_OPTION_INVALID',
      limit: 256,
    })
    await expect(spine.publish('inquiry.received' as never, {} as never)).rejects.toMatchObject({
      code: 'SPINE_EVENT_INVALID',
    })
    const forged = { ...Inquiry, type: 'spine.delivery.completed' }
    await expect(spine.publish(forged, { text: 'a' })).rejects.toMatchObject({ code: 'SPINE_EVENT_INVALID' })
  })

  it('refuses after close', async () => {
    const spine = await world.open({ agents: [] })
    await spine.close()
    await spine.close()
    await expect(spine.publish(Inquiry, { text: 'a' })).rejects.toMatchObject({ code: 'SPINE_CLOSED' })
  })
})

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}
