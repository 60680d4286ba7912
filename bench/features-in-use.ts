/**
 * Every coordination feature, in use by agents beside the measured ones: what it costs those who use none of them.
 *
 * A run waits for an event, one for a gather, one sleeps; a round of a join is open, a delivery is held, one is delayed,
 * one waits for a paused agent. All of it stays open while the bench measures, in sessions and of types of its own.
 */
import { agent, event, join, type Spine } from 'event-spine'
import { Payload, payload } from './payload.ts'

const Begun = event('aside.begun', Payload)
const Other = event('aside.other', Payload)
const Never = event('aside.never', Payload)
const Later = event('aside.later', Payload)

const Slow = agent('aside-slow', { input: Payload, output: Payload })

/** One more name for each that must be open. */
const OPEN = ['waiting', 'gathering', 'sleeping', 'slow', 'joining', 'coming-after', 'paused', 'delayed'].length

export const asideAgents = [
  agent('aside-waiting', { on: Begun }, (_evt, ctx) => ctx.waitFor(Never, { within: '1h' }).then(() => undefined)),
  agent('aside-gathering', { on: Begun }, async (evt, ctx) => {
    await ctx.gather([ctx.call(Slow, evt.data)], { until: 'settled', within: '1h' })
  }),
  agent('aside-sleeping', { on: Begun }, (_evt, ctx) => ctx.sleep('1h')),
  Slow.handle(async (evt, ctx) => {
    await ctx.sleep('1h')
    return evt.data
  }),
  agent('aside-joining', { on: join([Begun, Never], { per: 'request' }) }, () => {}),
  agent('aside-coming-after', { on: Begun, after: [Never] }, () => {}),
  agent('aside-paused', { on: Begun, dedupe: (evt) => String(evt.data.index), maxPending: 10 }, () => {}),
  agent('aside-delayed', { on: Later }, () => {}),
]

/** Resolves with the requests that it opened, once all of it is open. */
export async function useFeatures(spine: Spine): Promise<readonly string[]> {
  await spine.agents.pause('aside-paused')
  const opened = await Promise.all([
    spine.publish(Begun, payload(0), { session: 'aside' }),
    spine.publish(Later, payload(0), { session: 'aside', delay: '1h' }),
    spine.publish(Other, payload(0), { session: 'aside' }),
  ])
  const requests = opened.map(({ request }) => request)
  for (let turn = 0; openOf(spine) < OPEN; turn++) {
    if (turn === 1_000) throw new Error(`${openOf(spine)} of ${OPEN} deliveries aside are open.`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return requests
}

function openOf(spine: Spine): number {
  return spine.agents.list().reduce((open, { name, open: own }) => open + (name.startsWith('aside-') ? own : 0), 0)
}
