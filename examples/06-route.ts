/**
 * Confidence decides who answers.
 *
 * A model drafts an answer and says how sure it is. A sure answer goes out by itself, a fair one goes to a specialist, the
 * rest to a person. While the specialist is paused, what he would have got goes to the person, too. The log keeps each
 * decision with the rules that were rejected, and why. Run it with `npm run example -- 06-route`.
 */
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { z } from 'zod'

const Asked = event('question.asked', z.object({ text: z.string() }))
const Answered = event('question.answered', z.object({ by: z.string(), answer: z.string() }))

const Draft = z.object({ text: z.string(), answer: z.string() })
const Reply = z.object({ by: z.string(), answer: z.string() })

const AutoReply = agent('auto-reply', { input: Draft, output: Reply })
const Specialist = agent('specialist', { input: Draft, output: Reply })
const Person = agent('person', { input: Draft, output: Reply })

// Stands for a model: an answer, and how sure it is of it. Of some questions it has nothing to say at all.
const drafts: Record<string, { answer: string; confidence?: number }> = {
  'When do you open?': { answer: 'At nine.', confidence: 0.97 },
  'Does it fit my boiler?': { answer: 'Probably.', confidence: 0.71 },
  'My kitchen is under water!': { answer: '' },
}

const desk = agent('desk', { on: Asked, emits: [Answered] }, async (evt, ctx) => {
  const { text } = evt.data
  const draft = await ctx.step('draft', () => drafts[text] ?? { answer: '' })
  const target = await ctx.route(draft.confidence, [
    { atLeast: 0.9, to: AutoReply },
    { atLeast: 0.6, to: Specialist },
    { else: Person },
  ])
  const reply = await ctx.call(target, { text, answer: draft.answer })
  ctx.emit(Answered, reply)
})

const answering = (by: string, words: (answer: string) => string) => async (evt: { data: { answer: string } }) => ({
  by,
  answer: words(evt.data.answer),
})

const spine = await createSpine({
  engine: memory(),
  agents: [
    desk,
    AutoReply.handle(answering('auto-reply', (answer) => answer)),
    Specialist.handle(answering('specialist', (answer) => `${answer} I have looked it up: yes.`)),
    Person.handle(answering('person', () => 'I call you back in a minute.')),
  ],
})

async function ask(text: string): Promise<void> {
  const { request } = await spine.publish(Asked, { text })
  const answered = await spine.waitFor(Answered, { request, within: '5s' })
  console.log(`${text} → ${answered?.data.by}: ${answered?.data.answer}`)
}

for (const text of Object.keys(drafts)) await ask(text)

await spine.agents.pause('specialist', 'on holiday')
console.log('The specialist is on holiday.')
await ask('Does it fit my boiler?')

console.log('What the log says of the decisions:')
for await (const { data } of spine.log.read({ types: ['spine.route.decided'] })) {
  const { value, target, rejected } = data as {
    value: number | null
    target: string
    rejected: readonly { target: string; why: string }[]
  }
  const others = rejected.map((rule) => `${rule.target}: ${rule.why}`).join(', ')
  console.log(`  ${value} → ${target}${others === '' ? '' : ` (${others})`}`)
}
await spine.close()
