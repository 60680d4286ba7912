/**
 * Plays one scenario again and again, and kills its process at another append each time: once so that nothing which was on
 * its way became durable, once so that it did and nobody heard of it. Whatever happens, the end must be the same.
 */
import { isDeepStrictEqual } from 'node:util'
import { SpineError } from '../kernel/errors.ts'
import { canonicalJson, type Json } from '../kernel/json.ts'
import { type TestSpine, type TestSpineOptions, TestWorld } from './test-spine.ts'

/** Opens the spine of one play. Call it once in each. */
export type OpenTestSpine = (options: TestSpineOptions) => Promise<TestSpine>
/** Does everything from the first agent to the last look, with state of its own. What it returns must be the same each time. */
export type Scenario = (open: OpenTestSpine) => Promise<unknown>

export interface CrashReport {
  /** Appends of the play without a crash: each was a place to die at. */
  readonly appends: number
  /** Plays with a crash. */
  readonly plays: number
}

const APPENDS_MAX = 500

/**
 * Runs `scenario` once without a crash, then twice for each append: dying before it, with everything undurable lost, and
 * dying after it, before the acknowledgement. Throws when a play ends otherwise than the first: in what the scenario
 * returns, in the events on the log, in the state of the sessions, in the dead letters, or in what is left open.
 *
 * @throws SPINE_CRASH_DIFFERS with the append, the way to die, and both ends; SPINE_OPTION_INVALID beyond 500 appends.
 * @example
 * await crashEverywhere(async (open) => {
 *   const spine = await open({ agents: [inquiry, scheduling] })
 *   const { request } = await spine.publish(Inquiry, { text: 'a haircut' })
 *   return (await spine.settled(request)).status
 * })
 */
export async function crashEverywhere(scenario: Scenario): Promise<CrashReport> {
  const smooth = await play(scenario, 0, 'keep')
  if (smooth.appends > APPENDS_MAX) {
    throw new SpineError('SPINE_OPTION_INVALID', `The scenario makes ${smooth.appends} appends.`, {
      value: smooth.appends,
      limit: APPENDS_MAX,
      fix: 'Play something shorter: every append is played twice.',
    })
  }
  let plays = 0
  for (let append = 1; append <= smooth.appends; append++) {
    for (const way of ['lose', 'keep'] as const) {
      const crashed = await play(scenario, append, way)
      plays++
      if (isDeepStrictEqual(crashed.end, smooth.end)) continue
      const place = `append ${append} of ${smooth.appends}, ${way === 'lose' ? 'before it was durable' : 'before it was acknowledged'}`
      throw new SpineError(
        'SPINE_CRASH_DIFFERS',
        `A crash at ${place}, leads to another end.\n- ${show(smooth.end)}\n+ ${show(crashed.end)}`,
        { value: crashed.end, limit: smooth.end, fix: 'Something in the scenario is not replayed, or not idempotent.' },
      )
    }
  }
  return { appends: smooth.appends, plays }
}

interface Played {
  readonly appends: number
  readonly end: Json
}

async function play(scenario: Scenario, crashAt: number, way: 'lose' | 'keep'): Promise<Played> {
  let world: TestWorld | undefined
  const open: OpenTestSpine = async (options) => {
    world = new TestWorld(options, (append) => (append === crashAt ? way : 'none'))
    await world.start()
    return world.spine
  }
  const returned = await scenario(open)
  if (world === undefined) {
    throw new SpineError('SPINE_OPTION_INVALID', 'The scenario has opened no spine.', {
      fix: 'Call the function that it is given: const spine = await open({ agents }).',
    })
  }
  await world.idle()
  // What follows the scenario is the same in every play, and no place to die at.
  const { appends } = world
  const end = await endOf(world, returned)
  await world.spine.close({ drain: 0 })
  return { appends, end }
}

/** What has to be the same: not the sequences, times or ids, which a crash rightly changes. */
async function endOf(world: TestWorld, returned: unknown): Promise<Json> {
  const { spine } = world
  const events = await spine.events()
  const named = [...new Set(events.map(({ session }) => session))]
  const states = await Promise.all(named.map(async (session) => (await spine.sessions.get(session)).state))
  const letters = await spine.deadLetters.list()
  return {
    returned: returned === undefined ? null : (JSON.parse(JSON.stringify(returned)) as Json),
    events: sorted(events.map(({ type, source, data }) => ({ type, source: source ?? null, data: data as Json }))),
    sessions: sorted(states),
    deadLetters: sorted(letters.map(({ agent, error }) => ({ agent, code: error.code, message: error.message }))),
    open: sorted(spine.agents.list().map(({ name, open }) => ({ name, open }))),
  }
}

function sorted(values: readonly Json[]): readonly Json[] {
  return values.map((value) => canonicalJson(value)).sort()
}

function show(end: Json): string {
  const text = JSON.stringify(end)
  return text.length <= 2_000 ? text : `${text.slice(0, 2_000)}…`
}
