/** A correction and a thanks before, during and after the booking, with a crash at every append. */
import { agent, event } from 'event-spine'
import { crashEverywhere } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, quickly } from '../support/vocabulary.ts'

const Message = event('message.received', z.object({ text: z.string() }))
const Wanted = event('appointment.wanted', z.object({ day: z.string() }))

type Then = 'hold' | 'cancel'
/** Where in the first booking the second message comes. */
type When = 'before' | 'during' | 'after'

const reading = agent('reading', { on: Message, emits: [Wanted] }, async (evt, ctx) => {
  const day = await ctx.step('read', () => /on (\w+)/.exec(evt.data.text)?.[1] ?? '')
  if (day !== '') ctx.emit(Wanted, { day })
})

/** What the outside world saw, by idempotency key: a repetition after a crash is no second booking. */
async function play(open: Parameters<Parameters<typeof crashEverywhere>[0]>[0], then: Then, when: When, text: string) {
  const made = new Map<string, string>()
  let second: Promise<unknown> | undefined
  let say: () => Promise<unknown> = () => Promise.resolve()
  const booking = agent(
    'booking',
    { on: Wanted, emits: [Booked], retry: quickly(3), freshness: { newer: [Message], then } },
    async (evt, ctx) => {
      const { day } = evt.data
      const comes = async (place: When) => {
        if (day !== 'friday' || place !== when) return
        second ??= say()
        await second
      }
      await ctx.step('look', () => comes('before'))
      await ctx.step(
        'book',
        async ({ idempotencyKey }) => {
          made.set(idempotencyKey, day)
          await comes('during')
        },
        { effect: true },
      )
      ctx.emit(Booked, { service: day })
    },
  )
  const spine = await open({ agents: [reading, booking] })
  say = () => spine.publish(Message, { text }, { session: 'customer', idempotencyKey: 'second' })
  await spine.publish(Message, { text: 'on friday' }, { session: 'customer', idempotencyKey: 'first' })
  await spine.idle()
  if (when === 'after') await say()
  await spine.idle()
  const booked = (await spine.events(Booked)).map(({ data }) => data.service)
  return { booked: booked.sort(), made: [...made.values()].sort() }
}

const CORRECTION = 'no, on monday'
const THANKS = 'thanks'

describe('with a crash at every append', () => {
  it.each<[Then, When, string, readonly string[], readonly string[]]>([
    ['hold', 'before', CORRECTION, ['monday'], ['monday']],
    ['cancel', 'before', CORRECTION, ['monday'], ['monday']],
    ['hold', 'before', THANKS, ['friday'], ['friday']],
    ['cancel', 'during', CORRECTION, ['monday'], ['friday', 'monday']],
    ['hold', 'during', CORRECTION, ['monday'], ['friday', 'monday']],
    ['hold', 'during', THANKS, ['friday'], ['friday']],
    ['hold', 'after', CORRECTION, ['friday', 'monday'], ['friday', 'monday']],
    ['cancel', 'after', THANKS, ['friday'], ['friday']],
  ])("'%s', %s the booking, '%s': booked %j, made %j", async (then, when, text, booked, made) => {
    const report = await crashEverywhere(async (open) => {
      const end = await play(open, then, when, text)
      expect(end).toEqual({ booked, made })
      return end
    })
    expect(report.plays).toBeGreaterThan(10)
  })
})
