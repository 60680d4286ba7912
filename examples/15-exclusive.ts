/**
 * Agents that must not work on one customer at once.
 *
 * Three agents read the calendar of a customer, think for a moment and write it. They do not know each other, and react to
 * different events; by chance two of them would write over what the third has just written. They share the name
 * `exclusive: 'calendar'`: on one customer they take turns, on different ones they work side by side. An agent that is paused
 * keeps nobody waiting, because it has not started. Run it with `npm run example -- 15-exclusive`.
 */
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Booked = event('haircut.booked', z.object({ at: z.string() }))
const Invited = event('invitation.received', z.object({ at: z.string() }))
const Moved = event('holiday.moved', z.object({ at: z.string() }))

// The calendars, outside: who writes one writes all of it.
const calendars = new Map<string, readonly string[]>()
let writing = 0
let atOnce = 0

function keeping(name: string, on: typeof Booked | typeof Invited | typeof Moved) {
  return agent(name, { on, exclusive: 'calendar' }, async (evt, ctx) => {
    const before = await ctx.step('read', () => calendars.get(evt.session) ?? [])
    await ctx.sleep(20)
    await ctx.step('write', async () => {
      atOnce = Math.max(atOnce, ++writing)
      await new Promise((resolve) => setTimeout(resolve, 30))
      calendars.set(evt.session, [...before, `${evt.data.at} ${name}`])
      writing--
    })
  })
}

const agents = [keeping('haircut', Booked), keeping('party', Invited), keeping('holiday', Moved)]
const spine = await createSpine({ engine: memory(), agents })
const show = (customer: string) =>
  console.log(`  ${customer}: ${[...(calendars.get(customer) ?? [])].sort().join(', ')}`)

console.log('Two customers, six entries, all at once:')
const requests = await Promise.all(
  ['Ann', 'Ben'].flatMap((session) => [
    spine.publish(Booked, { at: '10:00' }, { session }),
    spine.publish(Invited, { at: '20:00' }, { session }),
    spine.publish(Moved, { at: '12:00' }, { session }),
  ]),
)
for (const { request } of requests) await spine.settled(request)
show('Ann')
show('Ben')
console.log(`  calendars written at once: ${atOnce}`)

console.log("The haircut agent is paused; a party and a haircut are wanted on Cas's day:")
await spine.agents.pause('haircut', 'closed on mondays')
const waiting = await spine.publish(Booked, { at: '10:00' }, { session: 'Cas' })
const party = await spine.publish(Invited, { at: '20:00' }, { session: 'Cas' })
console.log(`  the party: ${(await spine.settled(party.request)).status}`)
const { status, waiting: why } = await spine.settled(waiting.request, { within: 10 })
console.log(`  the haircut: ${status}, ${why[0]?.why}`)
await spine.agents.resume('haircut')
await spine.settled(waiting.request)
show('Cas')
await spine.close()
