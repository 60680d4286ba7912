/** Agents that read and write one account of a customer, with a crash at every append: no update is lost. */
import { agent } from 'event-spine'
import { crashEverywhere } from 'event-spine/testing'
import { expect, it } from 'vitest'
import { Answer, Inquiry, Numbered, Question, quickly } from '../support/vocabulary.ts'

it('exclusive agents never overwrite what another has written in between', async () => {
  const report = await crashEverywhere(async (open) => {
    const account = { balance: 0 }
    const done = new Set<string>()
    const Auditor = agent('auditor', { input: Question, output: Answer, exclusive: 'account' })
    const auditor = Auditor.handle(async (_evt, ctx) => {
      await ctx.step('look', () => account.balance)
      return { answer: 'fine' }
    })
    const booking = (name: string, amount: number) =>
      agent(name, { on: Numbered, exclusive: 'account', retry: quickly(3) }, async (_evt, ctx) => {
        const before = await ctx.step('read', () => account.balance)
        await ctx.call(Auditor, { question: name })
        await ctx.sleep(10)
        const write = ({ idempotencyKey }: { idempotencyKey: string }) => {
          if (!done.has(idempotencyKey)) account.balance = before + amount
          done.add(idempotencyKey)
        }
        await ctx.step('write', write, { effect: true })
      })
    const watching = agent('watching', { on: Inquiry, exclusive: 'account' }, async (_evt, ctx) => {
      await ctx.step('look', () => account.balance)
    })
    const spine = await open({
      agents: [booking('one', 1), booking('ten', 10), booking('hundred', 100), watching, auditor],
    })
    await spine.publish(Numbered, { n: 1 }, { session: 'customer', idempotencyKey: 'a' })
    await spine.publish(Inquiry, { text: '' }, { session: 'customer', idempotencyKey: 'b', priority: 'critical' })
    await spine.publish(Numbered, { n: 2 }, { session: 'customer', idempotencyKey: 'c' })
    await spine.idle()
    await spine.advance('1m')
    await spine.idle()
    expect(account.balance).toBe(222)
    return account
  })
  expect(report.plays).toBeGreaterThan(30)
})
