/**
 * One record ends a whole tree of work.
 *
 * A trip is planned by several agents that call each other. The customer changes her mind: one cancel ends everything that
 * is open of her request, the step that runs is told to stop, and a payment that has begun is finished and recorded. A
 * second trip has a deadline, and an agent that nobody hosts: it expires all the same. Run it with
 * `npm run example -- 12-cancel`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Wanted = event('trip.wanted', z.object({ to: z.string() }))
const Planned = event('trip.planned', z.object({ to: z.string() }))

const Leg = z.object({ to: z.string() })
const Done = z.object({ by: z.string() })
const Hotel = agent('hotel', { input: Leg, output: Done })
const Flight = agent('flight', { input: Leg, output: Done })
/** Its process is down: nobody hosts it here. */
const Rail = agent('rail', { input: Leg, output: Done })

// What happens outside.
let begun = 0
const until = async (holds: () => boolean | Promise<boolean>) => {
  while (!(await holds())) await pause(5)
}

const planning = agent('planning', { on: Wanted, emits: [Planned] }, async (evt, ctx) => {
  const { to } = evt.data
  if (to === 'Turin') await ctx.call(Rail, { to })
  else await ctx.gather([ctx.call(Hotel, { to }), ctx.call(Flight, { to })])
  ctx.emit(Planned, { to })
})

const hotel = Hotel.handle(async (_evt, ctx) => {
  const found = await ctx.step('search', async ({ signal }) => {
    begun++
    // A real client is given the signal.
    await pause(60_000, undefined, { signal }).catch(() => console.log('  hotel: the search was told to stop'))
    return 'nothing'
  })
  console.log(`  hotel: found ${found}: never reached`)
  return { by: 'hotel' }
})

const flight = Flight.handle(async (_evt, ctx) => {
  await ctx.step(
    'pay',
    async () => {
      begun++
      await pause(150)
      console.log('  flight: the payment that had begun is through')
    },
    { effect: true },
  )
  console.log('  flight: never reached')
  return { by: 'flight' }
})

// What was registered once is known to the log; then its process goes.
const engine = memory()
const before = await createSpine({ engine, agents: [Rail.handle(() => ({ by: 'rail' }))] })
await before.close()

const spine = await createSpine({ engine, agents: [planning, hotel, flight], logger: { warn: () => {} } })
const typesOf = async (request: string) => {
  const types: string[] = []
  for await (const { type, agent: who } of spine.log.read({ request })) types.push(who ? `${type} (${who})` : type)
  return types
}

console.log('A trip to Rome, cancelled:')
const rome = await spine.publish(Wanted, { to: 'Rome' })
await until(() => begun === 2)
await spine.requests.cancel(rome.request, 'the customer has changed her mind')
console.log(`  The request is ${(await spine.settled(rome.request)).status}.`)
await until(async () => (await typesOf(rome.request)).some((type) => type.startsWith('spine.step.recorded')))
const ofRome = await typesOf(rome.request)
console.log(`  After the cancel the log has: ${ofRome.slice(ofRome.indexOf('spine.request.cancelled') + 1).join(', ')}`)

console.log('A trip to Turin, with a deadline:')
const turin = await spine.publish(Wanted, { to: 'Turin' }, { deadline: '1s' })
await until(async () => (await spine.settled(turin.request, { within: 0 })).absent.length > 0)
const { status, absent } = await spine.settled(turin.request, { within: 0 })
console.log(`  The request is ${status}. Nobody hosts: ${absent.join(', ')}`)
await until(async () => (await typesOf(turin.request)).includes('spine.request.expired'))
console.log(`  The request is ${(await spine.settled(turin.request)).status}.`)
await spine.close()
