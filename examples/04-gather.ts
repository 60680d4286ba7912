/**
 * Fan-out and gather: one agent asks several others at once, and goes on when it knows enough.
 *
 * Nobody waits in memory: the log knows who was asked, and the record that brings the last answer is what lets the run
 * go on. Run it with `npm run example -- 04-gather`.
 */
import { agent, createSpine, event, quorum } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Wanted = event('trip.wanted', z.object({ to: z.string() }))
const Place = z.object({ to: z.string() })
const Offer = z.object({ by: z.string(), euros: z.number() })

// Each answers in its own time; the ferry has nobody at the desk.
const train = agent('train', { input: Place, output: Offer }, () => ({ by: 'train', euros: 80 }))
const coach = agent('coach', { input: Place, output: Offer }, async (_evt, ctx) => {
  await ctx.sleep(20)
  return { by: 'coach', euros: 35 }
})
const ferry = agent('ferry', { input: Place, output: Offer }, async (_evt, ctx) => {
  await ctx.sleep('1d')
  return { by: 'ferry', euros: 20 }
})
const airline = agent('airline', { input: Place, output: Offer, retry: { attempts: 1 } }, () => {
  throw new Error('fully booked')
})

const travel = agent('travel', { on: Wanted }, async (evt, ctx) => {
  const { to } = evt.data

  // Every branch, by key. The functions have a ctx of their own, so both may call their step 'ask'.
  const { weather, visa } = await ctx.gather({
    weather: (scope) => scope.step('ask', () => 'sunny'),
    visa: (scope) => scope.step('ask', () => 'not needed'),
  })
  console.log(`${to}: ${weather}, visa ${visa}`)

  // Whatever is there after a while. It never rejects: it says what is missing, and why.
  const offers = await ctx.gather(
    {
      train: ctx.call(train, { to }),
      coach: ctx.call(coach, { to }),
      ferry: ctx.call(ferry, { to }),
      airline: ctx.call(airline, { to }),
    },
    { until: 'settled', within: 400, atLeast: 1 },
  )
  console.log(
    `Offers: ${Object.values(offers.values)
      .map(({ by, euros }) => `${by} ${euros}`)
      .join(', ')}`,
  )
  console.log(`Missing: ${offers.missing.map(({ branch, reason }) => `${branch} (${reason})`).join(', ')}`)

  // Two of three are enough; the third is cancelled.
  const confirmed = await ctx.gather([ctx.call(train, { to }), ctx.call(ferry, { to }), ctx.call(coach, { to })], {
    until: quorum(2),
  })
  console.log(`Confirmed by ${confirmed.values.map(({ by }) => by).join(' and ')}`)
})

// What fails on purpose here would be warned about.
const logger = { warn: () => {} }
const spine = await createSpine({ engine: memory(), agents: [travel, train, coach, ferry, airline], logger })
const { request } = await spine.publish(Wanted, { to: 'Lisbon' })
await spine.settled(request, { within: '10s' })

console.log('\nWhat the log says of the gathers:')
for await (const { type, data } of spine.log.read({ request })) {
  const { command, until } = data as { command?: string; until?: unknown }
  if (type === 'spine.gather.opened') console.log(`  ${command} until ${JSON.stringify(until)}`)
  if (type === 'spine.timer.fired' && command?.startsWith('@gather')) console.log(`  ${command} ran out of time`)
}
await spine.close()
