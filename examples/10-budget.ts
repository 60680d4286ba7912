/**
 * A question may cost one dollar, whatever its agents do with it.
 *
 * A desk asks three researchers, each with a part of the budget; one of them would like to know more than its part carries,
 * is told so, and does without. What the desk itself wants then is more than what is left: its run pauses, somebody raises the
 * budget, and it goes on with that very step. Run it with `npm run example -- 10-budget`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { agent, createSpine, event, SpineError } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Question = event('question.asked', z.object({ text: z.string() }))
const Topic = z.object({ topic: z.string() })
const Findings = z.object({ text: z.string() })

/** Stands for a model that tells what it has used. */
const model = async (prompt: string, tokens: number) => ({ text: `about ${prompt}`, tokens })
const price = ({ tokens }: { tokens: number }) => ({ usd: tokens / 10_000, tokens })

const research = agent('research', { input: Topic, output: Findings }, async (evt, ctx) => {
  const { topic } = evt.data
  const found = await ctx.step('read', () => model(topic, 1_500), { cost: { estimate: { usd: 0.2 }, actual: price } })
  try {
    await ctx.step('read more', () => model(`${topic} in depth`, 1_500), {
      cost: { estimate: { usd: topic === 'bees' ? 0.4 : 0.1 }, actual: price },
    })
  } catch (error) {
    if (!SpineError.is(error, 'SPINE_BUDGET_EXHAUSTED')) throw error
    const { wanted, limit } = error.value as { wanted: number; limit: number }
    console.log(`  research on ${topic}: $${wanted} more is beyond its $${limit}; it answers with what it has.`)
  }
  return { text: found.text }
})

const desk = agent('desk', { on: Question }, async (_evt, ctx) => {
  const found = await ctx.gather(
    ['whales', 'bees', 'ants'].map((topic) => ctx.call(research, { topic }, { budget: { usd: 0.3 } })),
  )
  const { usd } = await ctx.budget.remaining()
  const summary = await ctx.step('summarise', () => model(`${found.length} findings`, 2_000), {
    cost: { estimate: { usd: 0.5 }, actual: price },
  })
  console.log(`  The desk has ${summary.text}; there was $${usd?.toFixed(2)} left before.`)
})

const spine = await createSpine({ engine: memory(), agents: [research, desk], logger: { warn: () => {} } })

console.log('A question for $1:')
const { request } = await spine.publish(Question, { text: 'who sings?' }, { budget: { usd: 1 } })
for (let why = ''; why !== 'budget exhausted'; await pause(2))
  why = (await spine.requests.get(request)).waiting.find(({ agent: name }) => name === 'desk')?.why ?? ''
console.log(`  Spent so far: $${(await spine.requests.get(request)).spent['usd']}. The desk waits for more.`)

await spine.requests.raiseBudget(request, { usd: 0.5 }, 'the customer agreed')
const { status, spent } = await spine.settled(request)
console.log(`  ${status}: $${spent['usd']} and ${spent['tokens']} tokens.`)

console.log('The log says:')
for await (const { type, data } of spine.log.read({ types: ['spine.budget.exhausted', 'spine.budget.raised'] }))
  console.log(`  ${type} ${JSON.stringify(data)}`)
await spine.close()
