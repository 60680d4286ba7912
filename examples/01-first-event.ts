/**
 * One event, one agent.
 *
 * Whoever publishes does not know who reacts, and need not: `settled` tells when nothing is left to do.
 * Run it with `npm run example -- 01-first-event`.
 */
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

// A type of event is a past-tense name and a schema. Data that does not fit never reaches the log.
const Inquiry = event('inquiry.received', z.object({ text: z.string() }))

// An agent reacts. What it learns goes into the session: state that every later agent of this customer is given.
const inquiry = agent('inquiry', { on: Inquiry }, (evt, ctx) => {
  ctx.session.set({ service: evt.data.text.includes('haircut') ? 'haircut' : 'unknown' })
})

// A log in memory is enough to look around. With sqlite('./spine.db') of 'event-spine/sqlite' it outlives the process.
const spine = await createSpine({ engine: memory(), agents: [inquiry] })

const { request } = await spine.publish(Inquiry, { text: 'a haircut on friday' }, { session: 'customer-42' })
const end = await spine.settled(request)
const session = await spine.sessions.get('customer-42')

console.log(`The request is ${end.status}.`)
console.log('The session knows:', session.state)

await spine.close()
