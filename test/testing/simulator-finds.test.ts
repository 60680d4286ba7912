/** What the simulator found, each as the smallest story that shows it. */
import { agent, type LogRecord } from 'event-spine'
import { type TestSpine, testSpine } from 'event-spine/testing'
import { expect, it } from 'vitest'
import { Booked, Inquiry, quickly } from '../support/vocabulary.ts'

async function records(spine: TestSpine, type: string): Promise<readonly LogRecord[]> {
  await spine.idle()
  const all: LogRecord[] = []
  for await (const record of spine.log.read({ types: [type] })) all.push(record)
  return all
}

it('seed 8: a failure is tried again though a step that lost a race succeeded after it', async () => {
  let tries = 0
  const racing = agent('racing', { on: Inquiry, emits: [Booked], retry: quickly(3) }, async (_evt, ctx) => {
    const loses = ctx.step('loses', () => new Promise((resolve) => setTimeout(() => resolve(null), 10)))
    await Promise.race([loses, ctx.step('wins', () => null)])
    await ctx.step('fails once', async () => {
      if (++tries > 1) return
      await new Promise((resolve) => setTimeout(resolve, 5))
      throw new Error('once')
    })
    ctx.emit(Booked, { service: 'done' })
  })
  const spine = await testSpine({ agents: [racing] })
  const { request } = await spine.publish(Inquiry, { text: 'a' })
  expect((await spine.settled(request)).status).toBe('done')
  expect(tries).toBe(2)
  await spine.close()
})

it('a failure is tried again though the handler cleaned up before it threw it on; the cleaning is not repeated', async () => {
  const ran: string[] = []
  const booking = agent('booking', { on: Inquiry, emits: [Booked], retry: quickly(4) }, async (_evt, ctx) => {
    await ctx.step('reserve', () => void ran.push('reserve'))
    try {
      await ctx.step('book', () => {
        ran.push('book')
        if (ran.filter((name) => name === 'book').length < 3) throw new Error('calendar is down')
      })
    } catch (error) {
      await ctx.step('release', () => void ran.push('release'))
      throw new Error('no booking', { cause: error })
    }
    ctx.emit(Booked, { service: 'booked' })
  })
  const spine = await testSpine({ agents: [booking] })
  const { request } = await spine.publish(Inquiry, { text: 'a' })
  expect((await spine.settled(request)).status).toBe('done')
  expect(ran).toEqual(['reserve', 'book', 'release', 'book', 'book'])
  await spine.close()
})

it('seed 50: what a step brings after the last commit of its attempt is not recorded', async () => {
  let finish = () => {}
  let poisoned = true
  const dying = agent('dying', { on: Inquiry, retry: { attempts: 1 } }, async (_evt, ctx) => {
    const slow = ctx.step('slow', () => (poisoned ? new Promise<void>((resolve) => (finish = resolve)) : undefined))
    await ctx.step('fast', () => {
      if (poisoned) throw new Error('dead')
    })
    await slow
  })
  const spine = await testSpine({ agents: [dying] })
  const { request } = await spine.publish(Inquiry, { text: 'a' })
  await new Promise((resolve) => setTimeout(resolve, 20))
  finish()
  const { deadLetters } = await spine.settled(request)
  poisoned = false
  await spine.deadLetters.redrive(deadLetters[0] as string)
  expect((await spine.settled(request)).status).toBe('done')
  const outcomes = (await records(spine, 'spine.step.recorded')).map(
    ({ data }) => (data as { command: string }).command,
  )
  expect(outcomes.filter((command) => command === 'slow#0')).toHaveLength(1)
  await spine.close()
})

it('seed 780: a timer that two lives of a run wait for fires once', async () => {
  let poisoned = true
  const sleeping = agent('sleeping', { on: Inquiry, retry: { attempts: 1 } }, async (_evt, ctx) => {
    const nap = ctx.sleep('1h')
    await ctx.step('swallow', () => {
      if (poisoned) throw new Error('dead')
    })
    await nap
  })
  const spine = await testSpine({ agents: [sleeping] })
  const { request } = await spine.publish(Inquiry, { text: 'a' })
  const { deadLetters } = await spine.settled(request)
  poisoned = false
  await spine.deadLetters.redrive(deadLetters[0] as string)
  await spine.advance('2h')
  expect((await spine.settled(request)).status).toBe('done')
  expect(await records(spine, 'spine.timer.fired')).toHaveLength(1)
  await spine.close()
})

it('seed 59: a run that sleeps through crashes is no suspect', async () => {
  const sleeping = agent('sleeping', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
    await ctx.sleep('1h')
    ctx.emit(Booked, { service: 'woken' })
  })
  const spine = await testSpine({ agents: [sleeping] })
  const { request } = await spine.publish(Inquiry, { text: 'a' })
  for (let crash = 0; crash < 8; crash++) {
    await spine.idle()
    await spine.crash()
  }
  await spine.advance('1h')
  expect((await spine.settled(request)).status).toBe('done')
  expect(await spine.deadLetters.list()).toEqual([])
  await spine.close()
})
