/** One agent that gathers, one that answers, and what they leave on the log. */
import { agent, type LogRecord } from 'event-spine'
import { Answer, Numbered, Question, quickly } from './vocabulary.ts'
import type { World } from './world.ts'

export const Worker = agent('worker', { input: Question, output: Answer, retry: quickly(1) })

/** Replies with the question; 'fail' fails, 'hang' waits for the signal. */
export const worker = Worker.handle(async (evt, ctx) => {
  const { question } = evt.data
  if (question.startsWith('fail')) throw new Error(`no answer to ${question}`)
  if (question.startsWith('hang')) await ctx.sleep('1h')
  if (question.startsWith('slow')) await ctx.sleep(40)
  return { answer: question }
})

export const missingOf = (missing: readonly { branch: string | number; reason: string; error?: Error }[]) =>
  missing.map(({ branch, reason, error }) => `${branch} ${reason}${error === undefined ? '' : `: ${error.message}`}`)

/** Runs one handler over one event, and gives what it left behind. */
export async function once<Left>(
  world: World,
  handle: (ctx: Parameters<Parameters<typeof Collector.handle>[0]>[1], left: (what: Left) => void) => Promise<void>,
) {
  let found: { readonly left: Left } | undefined
  const leave = (left: Left) => {
    found = { left }
  }
  const collector = Collector.handle((_evt, ctx) => handle(ctx, leave))
  const spine = await world.open({ agents: [collector, worker] })
  const { request } = await spine.publish(Numbered, { n: 1 })
  const settled = await spine.settled(request, { within: '10s' })
  const records = (await world.records(spine)).filter((record) => record.request === request)
  return { spine, request, settled, left: found?.left as Left, records }
}

export const Collector = agent('collector', { on: Numbered, emits: [Numbered], retry: quickly(3) })
export const typesOf = (records: readonly LogRecord[]) => records.map(({ type }) => type)
export const openings = (records: readonly LogRecord[]) => records.filter(({ type }) => type === 'spine.gather.opened')
