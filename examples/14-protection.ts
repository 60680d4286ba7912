/**
 * Agents and what they rely on, protected from each other.
 *
 * A translation service allows three requests in a moment, and goes down for a while. The rate of the agent keeps to what
 * the service allows; its breaker leaves a service alone that is down, keeps what waits in its order, and tries again with
 * one text before the others come. Nothing is lost, no attempt is spent on a service that is known to be down. At the end a
 * fan-out of 16 is told "429, come back later", all at once. Run it with `npm run example -- 14-protection`.
 */
import { agent, createSpine, event, RetryAfter } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Written = event('text.written', z.object({ text: z.string() }))
const Translated = event('text.translated', z.object({ text: z.string() }))
const Batch = event('batch.received', z.object({ pages: z.number() }))

// The service, outside.
let isDown = false
const requests: { readonly text: string; readonly at: number }[] = []
function translate(text: string): string {
  requests.push({ text, at: Date.now() })
  if (isDown) throw new Error('503')
  return text.toUpperCase()
}
const mostWithin = (ms: number) =>
  Math.max(...requests.map(({ at }) => requests.filter((other) => other.at > at - ms && other.at <= at).length))

const translating = agent(
  'translating',
  {
    on: Written,
    emits: [Translated],
    rate: { limit: 3, per: '200ms' },
    breaker: { failures: 2, within: '1m', cooldown: '300ms' },
    retry: { attempts: 5, backoff: '10ms' },
  },
  async (evt, ctx) => {
    ctx.emit(Translated, { text: await ctx.step('translate', () => translate(evt.data.text)) })
  },
)

const Page = z.object({ page: z.number() })
const Ocr = agent('ocr', { input: Page, output: Page, retry: { backoff: '20ms..100ms' } })
const refused = new Set<number>()
const ocr = Ocr.handle(async (evt, ctx) => {
  await ctx.step('read', () => {
    if (refused.has(evt.data.page)) return
    refused.add(evt.data.page)
    throw new RetryAfter('50ms', '429 Too Many Requests')
  })
  return evt.data
})
let read = 0
const scanning = agent('scanning', { on: Batch }, async (evt, ctx) => {
  const pages = await ctx.gather(Array.from({ length: evt.data.pages }, (_, page) => ctx.call(Ocr, { page })))
  read = pages.length
})

const spine = await createSpine({
  engine: memory(),
  agents: [translating, ocr, scanning],
  logger: { warn: () => {} },
})

const publish = (texts: readonly string[]) =>
  Promise.all(texts.map((text) => spine.publish(Written, { text }, { session: text })))

console.log('Seven texts, and a service that allows three in a moment:')
const seven = await publish(['one', 'two', 'three', 'four', 'five', 'six', 'seven'])
const [last] = (await spine.settled(seven[6]?.request as string, { within: 50 })).waiting
console.log(`  seven is ${last?.why}`)
for (const { request } of seven) await spine.settled(request)
console.log(`  done; at most ${mostWithin(180)} requests at once`)

console.log('The service is down:')
isDown = true
const before = requests.length
const three = await publish(['eight', 'nine', 'ten'])
while (spine.agents.list()[0]?.breaker?.state !== 'open') await new Promise((resolve) => setTimeout(resolve, 10))
const [waiting] = (await spine.settled(three[2]?.request as string, { within: 50 })).waiting
console.log(`  ten waits: ${waiting?.why}`)
isDown = false
const statuses: string[] = []
for (const { request } of three) statuses.push((await spine.settled(request)).status)
console.log(`  it is back: ${statuses.join(', ')}; dead letters: ${(await spine.deadLetters.list()).length}`)
const opened: unknown[] = []
for await (const { data } of spine.log.read({ types: ['spine.breaker.opened'] }))
  opened.push((data as { probe?: number }).probe === undefined ? 'open' : 'one is let through')
console.log(`  the log says: ${opened.slice(0, 2).join(', then ')}`)
if (requests.length - before > 9) throw new Error('the service was asked too often')

console.log('A fan-out of 16 that is told to come back later:')
const { request } = await spine.publish(Batch, { pages: 16 })
console.log(`  ${(await spine.settled(request)).status}: ${read} pages`)

await spine.close()
