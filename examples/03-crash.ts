/**
 * A failure after something has been done in the world.
 *
 * The card is charged, then the mail server is down until every attempt is used up. The work ends as a dead letter,
 * the process ends too. Later, with the mail server back, the dead letter is redriven from the same log: the mail goes
 * out, and the card is not charged again. Run it with `npm run example -- 03-crash`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

// The world outside, which no log can roll back.
const charges: string[] = []
const mails: string[] = []
let mailServerIsUp = false
let attempts = 0

const Ordered = event('order.placed', z.object({ item: z.string(), euros: z.number() }))

const checkout = agent('checkout', { on: Ordered, retry: { attempts: 3, backoff: '20ms' } }, async (evt, ctx) => {
  attempts++
  // `effect`: this changes the world. Its start is durable before it runs, its result before anyone uses it.
  const receipt = await ctx.step(
    'charge',
    ({ idempotencyKey }) => {
      // A real service would be given the key, and would honour it should we die before we hear its answer.
      charges.push(idempotencyKey)
      return `receipt ${charges.length} over ${evt.data.euros} euros`
    },
    { effect: true },
  )
  await ctx.step('mail', () => {
    if (!mailServerIsUp) throw new Error('the mail server does not answer')
    mails.push(receipt)
  })
})

const folder = mkdtempSync(join(tmpdir(), 'event-spine-example-'))
const open = () => createSpine({ engine: sqlite(join(folder, 'spine.db')), agents: [checkout] })

try {
  const before = await open()
  const { request } = await before.publish(Ordered, { item: 'a kettle', euros: 30 })
  // Each failed attempt is a line on stderr.
  const { status } = await before.settled(request)
  console.log(`The request has ${status} after ${attempts} attempts.`)
  console.log(`Charges: ${charges.length}, mails: ${mails.length}`)
  await before.close()

  // Another day, as it were another process: the same log, the same code, and a mail server that is back.
  mailServerIsUp = true
  const after = await open()
  for (const letter of await after.deadLetters.list()) {
    console.log(`Dead letter of '${letter.agent}': ${letter.error.message}`)
    await after.deadLetters.redrive(letter.id)
  }
  console.log(`After the redrive the request is ${(await after.settled(request)).status}.`)
  console.log(`Charges: ${charges.length}, mails: ${mails.length} (${mails[0]})`)
  await after.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
