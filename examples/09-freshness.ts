/**
 * A customer changes her mind, and the agents that work for her notice.
 *
 * She asks for Friday. While the booking agent still looks at the calendar she writes "no, Monday": the booking for Friday
 * is never made. To the next customer's "thanks", which changes nothing, it listens, too: the booking waits until that has
 * been read, and goes on. Run it with `npm run example -- 09-freshness`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Message = event('message.received', z.object({ text: z.string() }))
const Wanted = event('appointment.wanted', z.object({ day: z.string() }))
const Booked = event('appointment.booked', z.object({ day: z.string() }))

const reading = agent('reading', { on: Message, emits: [Wanted] }, async (evt, ctx) => {
  const day = await ctx.step('read', () => /(friday|monday)/i.exec(evt.data.text)?.[0] ?? null)
  if (day !== null) ctx.emit(Wanted, { day })
})

const calendar: string[] = []
const booking = agent(
  'booking',
  // A newer message of the same conversation may make a booking pointless. Until that is known, nothing is booked.
  { on: Wanted, emits: [Booked], freshness: { newer: [Message], then: 'hold' } },
  async (evt, ctx) => {
    const { day } = evt.data
    await ctx.step('look', async () => {
      console.log(`  Looking for a place on ${day}.`)
      await pause(60)
    })
    // Its start is refused by the log if a newer message has come, also one that this process has not heard of yet.
    await ctx.step('book', () => void calendar.push(`${ctx.session.id} ${day}`), { effect: true })
    ctx.emit(Booked, { day })
  },
)

const spine = await createSpine({ engine: memory(), agents: [reading, booking] })
const say = async (session: string, text: string) => {
  console.log(`  ${session}: ${text}`)
  return (await spine.publish(Message, { text }, { session })).request
}

console.log('A correction:')
const first = await say('Ann', 'a haircut on Friday')
await pause(20)
const second = await say('Ann', 'no, Monday')
await spine.settled(second)
await spine.settled(first)
console.log(`  Booked: ${calendar.join(', ')}`)

console.log('A thanks:')
const asked = await say('Bob', 'a haircut on Friday')
await pause(20)
await say('Bob', 'thanks')
await spine.settled(asked)
console.log(`  Booked: ${calendar.join(', ')}`)

console.log('The log says why:')
for await (const { agent: who, cause, data } of spine.log.read({ types: ['spine.delivery.superseded'] }))
  console.log(`  ${who} gave up record ${cause}, overtaken by record ${(data as { by: number }).by}.`)
await spine.close()
