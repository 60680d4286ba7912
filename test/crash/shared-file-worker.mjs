// One of several processes that take turns on one file: `node shared-file-worker.mjs FILE NAME TURNS RUNS`.
// Prints a line for each run that its handler did.
import { agent, createSpine, event } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

const [file, name, turns, runs] = process.argv.slice(2)
const Work = event('work.given', z.object({ id: z.string() }))
const worker = agent('worker', { on: Work }, async (evt, ctx) => {
  await ctx.step('do', () => process.stdout.write(`${evt.data.id}\n`), { effect: true })
})

for (let turn = 0; turn < Number(turns); turn++) {
  const spine = await createSpine({ engine: sqlite(file, { lockWait: '60s' }), agents: [worker] })
  const ids = Array.from({ length: Number(runs) }, (_, index) => `${name}-${turn}-${index}`)
  const published = await Promise.all(ids.map((id) => spine.publish(Work, { id }, { idempotencyKey: id })))
  // Half of them are left to whoever comes next.
  for (const { request } of published.slice(0, Number(runs) / 2)) await spine.settled(request)
  await spine.close({ drain: turn % 2 === 0 ? '5s' : 0 })
}
