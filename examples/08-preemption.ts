/**
 * An urgent conversation does not wait behind background research.
 *
 * Two researchers are all that the pool of the model can take. A customer whose house is flooded writes: her message is
 * `critical`, so the researcher that started last makes room in the same moment. It goes on later from its journal: what its
 * first step found is not asked for again. Then a second conversation is made urgent while it waits. Run it with
 * `npm run example -- 08-preemption`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Topic = event('topic.chosen', z.object({ topic: z.string() }))
const Message = event('message.received', z.object({ text: z.string() }))

/** Stands for a model: it takes its time, and stops when it is told to. */
const ask = async (prompt: string, ms: number, signal: AbortSignal) => {
  calls.push(prompt)
  await pause(ms, undefined, { signal })
  return `about ${prompt}`
}
const calls: string[] = []

const research = agent('research', { on: Topic, pool: 'model', priority: 'background' }, async (evt, ctx) => {
  const { topic } = evt.data
  const sources = await ctx.step('sources', ({ signal }) => ask(`${topic}: sources`, 20, signal))
  await ctx.step('summary', ({ signal }) => ask(`${topic}: summary`, 300, signal))
  console.log(`  Research on ${topic} is done (attempt ${ctx.attempt}, ${sources}).`)
})

const support = agent('support', { on: Message, pool: 'model' }, async (evt, ctx) => {
  await ctx.step('reply', ({ signal }) => ask(`reply to "${evt.data.text}"`, 20, signal))
  console.log(`  Replied to "${evt.data.text}" (${ctx.priority}).`)
})

const spine = await createSpine({ engine: memory(), agents: [research, support], pools: { model: 2 } })
const until = async (holds: () => boolean) => {
  while (!holds()) await pause(2)
}

console.log('Two topics, two slots:')
const topics = [
  await spine.publish(Topic, { topic: 'whales' }, { session: 'a' }),
  await spine.publish(Topic, { topic: 'bees' }, { session: 'b' }),
]
await until(() => calls.includes('whales: summary') && calls.includes('bees: summary'))

const flood = await spine.publish(Message, { text: 'my house is flooded' }, { session: 'c', priority: 'critical' })
await spine.settled(flood.request)
const waiting = await Promise.all(topics.map(({ request }) => spine.settled(request, { within: 0 })))
console.log(`  Meanwhile ${waiting.filter(({ status }) => status === 'open').length} topics wait or run.`)
for (const { request } of topics) await spine.settled(request)

const times = (prompt: string) => calls.filter((call) => call === prompt).length
for (const topic of ['whales', 'bees'])
  console.log(`  ${topic}: sources asked ${times(`${topic}: sources`)} times, summary ${times(`${topic}: summary`)}.`)
for await (const { agent: who, data } of spine.log.read({ types: ['spine.delivery.preempted'] }))
  console.log(
    `  The log says: ${who} made room for ${(data as { by: number }).by === flood.sequence ? 'the flood' : '?'}.`,
  )

console.log('A request that becomes urgent while it waits:')
await spine.agents.pause('support')
const low = await spine.publish(Message, { text: 'a question' }, { session: 'd', priority: 'low' })
const other = await spine.publish(Message, { text: 'hello' }, { session: 'e' })
await spine.requests.setPriority(low.request, 'high', 'the customer called')
await spine.agents.resume('support')
await Promise.all([spine.settled(low.request), spine.settled(other.request)])
console.log(`  First: ${calls.at(-2)}. Then: ${calls.at(-1)}.`)
await spine.close()
