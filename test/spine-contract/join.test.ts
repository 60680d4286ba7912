/** `on: join([…])`: one delivery for events of several types, wherever they come from (coordination/join.ts). */
import { agent, event, type JoinedEvent, join } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { describeOnEachEngine } from '../support/world.ts'
import { Inquiry, quickly } from '../support/vocabulary.ts'

const Priced = event('order.priced', z.object({ total: z.number() }))
const Checked = event('order.checked', z.object({ ok: z.boolean() }))
const Packed = event('order.packed', z.object({ boxes: z.number() }))
const Offered = event('offer.made', z.object({ says: z.string() }))

/** What an offer says of what it was given. */
const said = (evt: { data: { [type: string]: { sequence: number; data: unknown } | undefined }; missing: readonly string[] }) =>
  `${Object.keys(evt.data).sort().join(' ')}|${evt.missing.join(' ')}`

const pricing = agent('pricing', { on: Inquiry, emits: [Priced] }, (_evt, ctx) => ctx.emit(Priced, { total: 7 }))
const checking = agent('checking', { on: Inquiry, emits: [Checked] }, (_evt, ctx) => ctx.emit(Checked, { ok: true }))

describeOnEachEngine('join', ({ open, records }) => {
  it('gives the handler one event of each type, of one request, once', async () => {
    const given: JoinedEvent[] = []
    const offer = agent('offer', { on: join([Priced, Checked], { per: 'request' }), emits: [Offered] }, (evt, ctx) => {
      given.push(evt)
      ctx.emit(Offered, { says: `${evt.data['order.priced'].data.total} ${evt.data['order.checked'].data.ok}` })
    })
    const spine = await open({ agents: [pricing, checking, offer] })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    expect(await spine.settled(request)).toMatchObject({ status: 'done' })
    const all = await records(spine)
    expect(all.filter(({ type }) => type === 'offer.made').map(({ data }) => data)).toEqual([{ says: '7 true' }])
    const [first] = all.filter(({ type }) => type === 'order.priced' || type === 'order.checked')
    expect(given.at(-1)).toMatchObject({
      type: 'spine.join',
      sequence: first?.sequence,
      session: 's',
      request,
      missing: [],
      data: { 'order.priced': { data: { total: 7 }, source: 'pricing' }, 'order.checked': { source: 'checking' } },
    })
    void said
    void Packed
    void quickly
  })
})
