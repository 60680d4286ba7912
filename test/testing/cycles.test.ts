/** Work that goes around, with a crash at every append: the same number of rounds, one dead letter. */
import { agent } from 'event-spine'
import { crashEverywhere } from 'event-spine/testing'
import { expect, it } from 'vitest'
import { Booked, Numbered, quickly } from '../support/vocabulary.ts'

it('a circle ends at the same round, whatever crashed', async () => {
  const ping = agent('ping', { on: Numbered, emits: [Booked], retry: quickly(3) }, async (evt, ctx) => {
    await ctx.step('think', () => evt.data.n)
    ctx.emit(Booked, { service: 'the same' })
  })
  const pong = agent('pong', { on: Booked, emits: [Numbered], retry: quickly(3) }, (_evt, ctx) => {
    ctx.emit(Numbered, { n: 1 })
  })
  const report = await crashEverywhere(async (open) => {
    const spine = await open({ agents: [ping, pong] })
    await spine.publish(Numbered, { n: 1 }, { idempotencyKey: 'one' })
    await spine.idle()
    const letters = await spine.deadLetters.list()
    expect(letters.map(({ agent: who, error }) => [who, error.code])).toEqual([['ping', 'SPINE_CYCLE_REPEATED']])
    const rounds = (await spine.events(Booked)).length
    expect(rounds).toBe(3)
    return rounds
  })
  expect(report.plays).toBeGreaterThan(10)
})
