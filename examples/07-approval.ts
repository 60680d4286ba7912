/**
 * A person decides, and takes his time.
 *
 * A refund over 100 euros waits for an approval. The process ends while it waits; a new version of the agent is deployed;
 * then a person answers, on the log, with the question as the cause, and the run goes on where it stood. A refund that
 * nobody answers is escalated when its time is up, after a reminder. Run it with `npm run example -- 07-approval`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

const Wanted = event('refund.wanted', z.object({ customer: z.string(), euros: z.number(), patienceMs: z.number() }))
const ApprovalAsked = event('approval.asked', z.object({ customer: z.string(), euros: z.number() }))
const ReminderDue = event('reminder.due', z.object({ customer: z.string() }))
const ApprovalGiven = event('approval.given', z.object({ by: z.string(), yes: z.boolean() }))

const DAY_MS = 86_400_000

// The world outside.
const payments: string[] = []
const checks: string[] = []

/** Version 2 thanks by name. What it asks of the log up to the wait is what version 1 asked, so open runs can go on. */
const refunds = (version: '1' | '2') =>
  agent('refunds', { version, on: Wanted, emits: [ApprovalAsked, ReminderDue] }, async (evt, ctx) => {
    const { customer, euros, patienceMs } = evt.data
    await ctx.step('check', () => void checks.push(customer))
    // On the log before the wait begins: an answer may come at any moment from here on.
    const asked = await ctx.publish(ApprovalAsked, { customer, euros })
    await ctx.publish(ReminderDue, { customer }, { delay: '100ms' })
    const answer = await ctx.waitFor(ApprovalGiven, { cause: asked, within: patienceMs })
    if (answer === undefined) return console.log(`  Nobody answered for ${customer}: on to the head of support.`)
    if (!answer.data.yes) return console.log(`  ${answer.data.by} said no to ${customer}.`)
    await ctx.step('pay', () => void payments.push(customer), { effect: true })
    console.log(`  Paid ${euros} euros to ${customer}${version === '2' ? `, thanks to ${answer.data.by}` : ''}.`)
  })

const reminding = agent('reminding', { on: ReminderDue }, (evt) =>
  console.log(`  Reminder: ${evt.data.customer} waits for an approval.`),
)

const folder = mkdtempSync(join(tmpdir(), 'event-spine-example-'))
const open = (version: '1' | '2') =>
  createSpine({ engine: sqlite(join(folder, 'spine.db')), agents: [refunds(version), reminding] })

try {
  console.log('Monday, version 1:')
  const monday = await open('1')
  const ann = await monday.publish(Wanted, { customer: 'Ann', euros: 120, patienceMs: 3 * DAY_MS })
  const question = await monday.waitFor(ApprovalAsked, { request: ann.request, within: '5s' })
  while ((await monday.settled(ann.request, { within: 0 })).waiting[0]?.why !== 'suspended')
    await new Promise((resolve) => setTimeout(resolve, 10))
  console.log('  Ann waits; the process ends.')
  await monday.close()

  console.log('Tuesday, version 2:')
  const tuesday = await open('2')
  if (question === undefined) throw new Error('nobody asked')
  await tuesday.publish(ApprovalGiven, { by: 'Mia', yes: true }, { cause: question.sequence })
  console.log(`  The request is ${(await tuesday.settled(ann.request)).status}.`)

  const bob = await tuesday.publish(Wanted, { customer: 'Bob', euros: 900, patienceMs: 300 })
  console.log(`  The request is ${(await tuesday.settled(bob.request)).status}.`)
  console.log(`Checked: ${checks.join(', ')}. Paid: ${payments.join(', ')}.`)
  await tuesday.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
