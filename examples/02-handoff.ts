/**
 * A handoff: one agent takes the work in, another one ends it and replies.
 *
 * With `return ctx.handoff(…)` the work changes its owner in one commit, and the duty to reply goes with it. Whoever
 * started the work waits for a reply, not for a particular agent. Run it with `npm run example -- 02-handoff`.
 */
import { agent, createSpine } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Question = z.object({ text: z.string() })
const Answer = z.object({ text: z.string() })
/** The session state that all three agree on. */
const Case = z.object({ topic: z.string() })

// Agents with `input` and `output` do directed work: they are started, called or handed to, and they reply.
const billing = agent('billing', { input: Question, output: Answer, session: Case }, (evt, ctx) => ({
  text: `About ${ctx.session.state.topic}: the refund for "${evt.data.text}" is on its way.`,
}))

const repairs = agent('repairs', { input: Question, output: Answer, session: Case }, (evt, ctx) => ({
  text: `About ${ctx.session.state.topic}: a technician looks at "${evt.data.text}" tomorrow.`,
}))

const intake = agent('intake', { input: Question, output: Answer, session: Case }, async (evt, ctx) => {
  // A model would decide here. What a step returns is on the log: after a crash it is read back, not asked again.
  const topic = await ctx.step('classify', () => (evt.data.text.includes('invoice') ? 'billing' : 'repairs'))
  // The specialist sees this: the state, the handoff and the end of this run are one commit.
  ctx.session.set({ topic })
  return ctx.handoff(topic === 'billing' ? billing : repairs, evt.data)
})

const spine = await createSpine({ engine: memory(), agents: [intake, billing, repairs] })

const first = await spine.start(intake, { text: 'my invoice is wrong' }, { session: 'customer-1' })
const second = await spine.start(intake, { text: 'the boiler drips' }, { session: 'customer-2' })
console.log((await first.result()).text)
console.log((await second.result()).text)

// Every action has its place in one order. Of the second request:
console.log('\nThe log of the second request:')
for await (const record of spine.log.read({ request: second.request })) {
  console.log(`  ${record.type}${record.agent === undefined ? '' : ` by ${record.agent}`}`)
}

await spine.close()
