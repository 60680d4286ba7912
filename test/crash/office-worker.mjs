// A small office that dies by SIGKILL at the n-th point it passes (argument 3; 0 for never), wherever that is.
// It plays three conversations and prints 'done' when all have settled well.
import { appendFileSync } from 'node:fs'
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

const [path, ledger, dieAt] = process.argv.slice(2)
let passed = 0
function point() {
  if (++passed === Number(dieAt)) process.kill(process.pid, 'SIGKILL')
}

const Inquiry = event('inquiry.received', z.object({ text: z.string() }))
const Requirements = event('requirements.completed', z.object({ service: z.string() }))
const Booked = event('appointment.booked', z.object({ service: z.string() }))
const Question = z.object({ question: z.string() })
const Answer = z.object({ answer: z.string() })

const expert = agent('expert', { input: Question, output: Answer }, async (evt, ctx) => {
  point()
  const answer = await ctx.step('think', () => {
    point()
    return `${evt.data.question}!`
  })
  await ctx.sleep(5)
  point()
  return { answer }
})
const inquiry = agent('inquiry', { on: Inquiry, emits: [Requirements] }, async (evt, ctx) => {
  point()
  const [left, right] = await Promise.all([
    ctx.call(expert, { question: evt.data.text }),
    ctx.call(expert, { question: 'and' }),
  ])
  point()
  ctx.session.set({ asked: left.answer })
  ctx.emit(Requirements, { service: left.answer + right.answer })
})
const scheduling = agent('scheduling', { on: Requirements, emits: [Booked] }, async (evt, ctx) => {
  point()
  await ctx.step(
    'book',
    ({ idempotencyKey, maybeDone }) => {
      point()
      appendFileSync(ledger, `${JSON.stringify({ key: idempotencyKey, maybeDone, service: evt.data.service })}\n`)
      point()
      return null
    },
    { effect: true },
  )
  point()
  ctx.emit(Booked, evt.data)
})

const spine = await createSpine({
  engine: sqlite(path),
  agents: [inquiry, scheduling, expert],
  logger: { warn: () => {} },
})
for (const text of ['one', 'two', 'three']) {
  const { request } = await spine.publish(Inquiry, { text }, { session: text, idempotencyKey: text })
  point()
  const { status } = await spine.settled(request)
  if (status !== 'done') throw new Error(`${text} settled as ${status}`)
}
await spine.close()
process.stdout.write('done')
