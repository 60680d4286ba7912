// What a newcomer does wrong, one mistake a run: `node program.mjs MISTAKE FILE`. Prints what they would see.
import { agent, createSpine, event } from 'event-spine'
import { memory } from 'event-spine/memory'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

const [mistake, file] = process.argv.slice(2)
const Inquiry = event('inquiry.received', z.object({ text: z.string(), count: z.number().optional() }))
const Misspelt = event('inquiry.recieved', z.object({ text: z.string() }))
const engine = file === undefined ? memory() : sqlite(file)

const quiet = agent('inquiry', { on: Inquiry }, () => {})
const failing = agent('inquiry', { on: Inquiry, retry: { attempts: 2, backoff: '1ms' } }, async (_evt, ctx) => {
  await ctx.step('extract', () => {
    throw new TypeError('the model said no')
  })
})
const sleeping = agent('inquiry', { on: Inquiry }, async (_evt, ctx) => ctx.sleep('1h'))
const asking = agent('asking', { on: Inquiry, retry: { attempts: 1 } }, async (_evt, ctx) => {
  await ctx.call(agent('expret', { input: z.object({}), output: z.object({}) }), {})
})
const expert = agent('expert', { input: z.object({}), output: z.object({}) }, () => ({}))

const mistakes = {
  async 'an event that nobody handles'() {
    const spine = await createSpine({ engine, agents: [quiet] })
    await spine.publish(Misspelt, { text: 'a' })
    await spine.close()
  },
  async 'a handler that throws'() {
    const spine = await createSpine({ engine, agents: [failing] })
    await spine.settled((await spine.publish(Inquiry, { text: 'a' }, { session: 'customer-42' })).request)
    await spine.close()
  },
  async 'data that does not fit'() {
    const spine = await createSpine({ engine, agents: [quiet] })
    await spine.publish(Inquiry, { text: 7, count: 'many' }).catch((error) => console.error(error.message))
    await spine.close()
  },
  async 'a process that ends too early'() {
    const spine = await createSpine({ engine, agents: [sleeping] })
    await spine.publish(Inquiry, { text: 'a' })
    process.exit(0)
  },
  async 'an agent that was renamed in the code'() {
    const before = await createSpine({ engine, agents: [sleeping] })
    await before.publish(Inquiry, { text: 'a' })
    await before.close({ drain: 0 })
    const after = await createSpine({ engine: file === undefined ? engine : sqlite(file), agents: [] })
    await after.close()
  },
  async 'a call to a name with a slip'() {
    const spine = await createSpine({ engine, agents: [asking, expert] })
    await spine.settled((await spine.publish(Inquiry, { text: 'a' }, { session: 's' })).request)
    await spine.close()
  },
}

await mistakes[mistake]()
