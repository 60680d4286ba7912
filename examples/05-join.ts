/**
 * A join: an agent that acts when the work of several others is there.
 *
 * An order is paid for and packed by two agents that know nothing of each other. On the first day nobody puts the two
 * together. On the second day an agent is added that ships what is paid and packed: it joins their events, and neither of
 * them changes. The shop is also told of parcels that wait too long for one half. Run it with
 * `npm run example -- 05-join`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { agent, createSpine, event, join } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

const Ordered = event('order.placed', z.object({ item: z.string(), inStock: z.boolean() }))
const Paid = event('order.paid', z.object({ euros: z.number() }))
const Packed = event('order.packed', z.object({ shelf: z.string() }))

const paying = agent('paying', { on: Ordered, emits: [Paid] }, (evt, ctx) => {
  ctx.emit(Paid, { euros: evt.data.item.length * 10 })
})

const packing = agent('packing', { on: Ordered, emits: [Packed] }, (evt, ctx) => {
  // What is not in stock is never packed: a join that waits for it must not wait for ever.
  if (evt.data.inStock) ctx.emit(Packed, { shelf: 'B7' })
})

/** Ships when both are there; after a tenth of a second it goes on with one of them. */
const shipping = agent('shipping', { on: join([Paid, Packed], { per: 'request', within: '100ms' }) }, (evt) => {
  const { 'order.paid': paid, 'order.packed': packed } = evt.data
  if (paid !== undefined && packed !== undefined)
    console.log(`Day 2: ship from shelf ${packed.data.shelf}, paid ${paid.data.euros} euros.`)
  else console.log(`Day 2: still missing ${evt.missing.join(', ')}: tell the shop.`)
})

const folder = mkdtempSync(joinPath(tmpdir(), 'spine-join-'))
const engine = () => sqlite(joinPath(folder, 'spine.db'))

const firstDay = await createSpine({ engine: engine(), agents: [paying, packing] })
const early = await firstDay.publish(Ordered, { item: 'lamp', inStock: true })
console.log(`Day 1: the order is ${(await firstDay.settled(early.request)).status}, and nobody ships it.`)
await firstDay.close()

// The same log, the same two agents, and one more: it reacts to what comes from here on.
const secondDay = await createSpine({ engine: engine(), agents: [paying, packing, shipping] })
const whole = await secondDay.publish(Ordered, { item: 'table', inStock: true })
await secondDay.settled(whole.request)

const half = await secondDay.publish(Ordered, { item: 'chair', inStock: false })
const { waiting } = await secondDay.settled(half.request, { within: '20ms' })
console.log(`Day 2: ${waiting.map(({ agent: name, why }) => `${name} is ${why}`).join()}`)
await secondDay.settled(half.request)

await secondDay.close()
rmSync(folder, { recursive: true })
