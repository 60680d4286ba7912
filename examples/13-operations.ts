/**
 * Running it: who waits and why, who watches, what comes after what, what is a repetition.
 *
 * Offers are only made once the customer is known (`after`), a customer who clicks twice is served once (`dedupe`), an
 * audit hears everything and holds nobody (`on: '*'`, `observes`), and an agent is paused while its mail server is repaired.
 * `settled` says at every point what is waited for. Run it with `npm run example -- 13-operations`.
 */
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Clicked = event('offer.wanted', z.object({ click: z.string(), item: z.string() }))
const Known = event('customer.known', z.object({ name: z.string() }))
const Offered = event('offer.made', z.object({ text: z.string() }))

const heard = new Map<string, number>()
const auditing = agent('auditing', { on: '*', observes: true }, async (evt, ctx) => {
  await ctx.step('count', () => void heard.set(evt.type, (heard.get(evt.type) ?? 0) + 1))
})

const offering = agent(
  'offering',
  { on: Clicked, after: [Known], dedupe: (evt) => evt.data.click, emits: [Offered] },
  (evt, ctx) => ctx.emit(Offered, { text: `${evt.data.item} for 30 euros` }),
)

const mailing = agent('mailing', { on: Offered }, async (evt, ctx) => {
  await ctx.step('send', () => console.log(`  sent: ${evt.data.text}`), { effect: true })
})

const spine = await createSpine({ engine: memory(), agents: [auditing, offering, mailing] })
const show = async (request: string) => {
  const { status, waiting } = await spine.settled(request, { within: '500ms' })
  const reasons = waiting.map(
    ({ agent: who, why, detail }) => `${who}: ${why}${detail === undefined ? '' : `, ${detail}`}`,
  )
  console.log(`  ${[status, ...reasons].join('; ')}`)
}

console.log('An offer is wanted, and nobody knows by whom:')
const first = await spine.publish(Clicked, { click: 'c1', item: 'a kettle' }, { session: 'ann' })
await show(first.request)

console.log('The mail server is repaired, then the customer is known:')
await spine.agents.pause('mailing', 'the mail server is repaired')
await spine.publish(Known, { name: 'Ann' }, { session: 'ann' })
await show(first.request)

console.log('The server is back:')
await spine.agents.resume('mailing')
await show(first.request)

console.log('She clicked twice:')
const second = await spine.publish(Clicked, { click: 'c1', item: 'a kettle' }, { session: 'ann' })
await show(second.request)
for await (const { data } of spine.log.read({ request: second.request, types: ['spine.delivery.skipped'] })) {
  const { why, of } = data as { why: string; of: number }
  console.log(`  skipped: ${why} of record ${of}${of === first.sequence ? ', the first click' : ''}`)
}

await spine.close()
console.log(`The audit heard: ${[...heard].map(([type, count]) => `${count} ${type}`).join(', ')}`)
