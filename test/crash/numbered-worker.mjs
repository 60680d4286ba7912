// Publishes numbered events, has them handled, and writes down outside of the log whatever it was told, at once: a line
// in `told` survives the process, whichever way it dies. After an error of the log it closes the spine and opens it
// again, `reopens` times at most. It never calls process.exit: what it leaves behind would keep it alive.
import { appendFileSync } from 'node:fs'
import { agent, createSpine, event, SpineError } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { z } from 'zod'

const { path, told, ledger, events, fillerBytes, reopens } = JSON.parse(process.argv[2])
const IN_FLIGHT = 6
const SESSIONS = 4
const tell = (line) => appendFileSync(told, `${JSON.stringify(line)}\n`)

const Published = event('number.published', z.object({ number: z.number(), filler: z.string() }))
const Counted = event('number.counted', z.object({ number: z.number() }))

const counting = agent('counting', { on: Published, emits: [Counted] }, async (evt, ctx) => {
  const { number } = evt.data
  await ctx.step(
    'count',
    ({ idempotencyKey }) => {
      appendFileSync(ledger, `${JSON.stringify({ number, key: idempotencyKey })}\n`)
      return null
    },
    { effect: true },
  )
  if (number % 3 === 0) await ctx.sleep(2)
  ctx.emit(Counted, { number })
})
const remembering = agent('remembering', { on: Counted }, (evt, ctx) => {
  ctx.session.set({ last: evt.data.number })
})

for (let life = 0; life <= reopens; life++) {
  const end = await live()
  tell({ kind: 'ended', end })
  if (end === 'done') break
}

/** From opening the spine to closing it. */
async function live() {
  let spine
  try {
    const logger = { warn: () => {} }
    spine = await createSpine({ engine: sqlite(path), agents: [counting, remembering], logger })
  } catch (error) {
    tell({ kind: 'refused', ...partsOf(error) })
    return 'refused'
  }
  tell({ kind: 'opened' })
  const end = await work(spine).catch(() => 'failed')
  if (end === 'failed') await publish(spine, 0, 'late').catch(() => {})
  try {
    await spine.close()
  } catch (error) {
    tell({ kind: 'unclosed', ...partsOf(error) })
  }
  return end
}

async function work(spine) {
  for (let first = 1; first <= events; first += IN_FLIGHT) {
    const numbers = Array.from({ length: Math.min(IN_FLIGHT, events - first + 1) }, (_, index) => first + index)
    // All are heard out: an acknowledgement that comes beside an error is one too.
    const published = await Promise.allSettled(numbers.map((number) => publish(spine, number, 'acknowledged')))
    for (const { reason, value: request } of published) {
      if (reason !== undefined) throw reason
      const { status } = await spine.settled(request)
      if (status !== 'done') return status === 'open' ? 'failed' : status
    }
  }
  return 'done'
}

async function publish(spine, number, kind) {
  const filler = 'x'.repeat(number % 2 === 0 ? fillerBytes : 10)
  try {
    const { sequence, request, duplicate } = await spine.publish(
      Published,
      { number, filler },
      { session: `s${number % SESSIONS}`, idempotencyKey: `number ${number}` },
    )
    tell({ kind, number, sequence, duplicate })
    return request
  } catch (error) {
    tell({ kind: 'failed', number, ...partsOf(error) })
    throw error
  }
}

function partsOf(error) {
  const { code, outcome, fix } = error
  return { isSpineError: SpineError.is(error), code, outcome, fix, text: String(error?.stack ?? error) }
}
