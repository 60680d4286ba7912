/**
 * Lets the customers speak: publishes the turns of the conversations, so many in flight at once.
 *
 * A conversation's next turn is published when the last one has settled; a correction while the turn that it corrects is
 * still worked on, at a moment that chance decides. What was read last stands in the session's
 * state, so a process that knows nothing can go on where a killed one stopped. It publishes that last turn again: the
 * idempotency key makes it the same event, and nothing happens twice.
 */
import type { Spine } from '../../index.ts'
import { fraction, seededRandom } from '../../kernel/random.ts'
import type { Dialogue } from './dialogue.ts'
import { pauseFor } from './latency.ts'
import { TurnCorrected, TurnReceived } from './office.ts'

export interface PlayedTurn {
  readonly dialogue: string
  readonly turn: number
  readonly request: string
  /** From the publish until nothing of the turn was open; `undefined` for a turn that was published before `since`. */
  readonly latencyMs: number | undefined
  /** Of a conversation that is more urgent than others. */
  readonly isUrgent: boolean
  /** Why it did not end well. */
  readonly failure: string | undefined
}

export interface PlayOptions {
  readonly spine: Spine
  readonly dialogues: readonly Dialogue[]
  readonly inFlight: number
  /** Within that time a customer notices what was wrong with a turn. */
  readonly correctedWithinMs: number
  /** When this run began, in ms since 1970: what was published earlier has no latency worth telling. */
  readonly since: number
  /** A conversation of which that many turns have settled in an earlier life. */
  onResumed(dialogue: string, turns: number): void
  onTurn(played: PlayedTurn): void | Promise<void>
}

/** A turn that takes this long is reported as a failure, with what it waits for. */
const SETTLED_WITHIN = '10m'

interface Resumed {
  readonly dialogue: Dialogue
  /** The turn to go on with. */
  readonly turn: number
}

export async function playDialogues(options: PlayOptions): Promise<void> {
  const { spine, dialogues, inFlight, onResumed } = options
  const resumed = await Promise.all(
    dialogues.map(async (dialogue) => ({ dialogue, turn: await lastReadTurn(dialogue, spine) })),
  )
  for (const { dialogue, turn } of resumed) if (turn > 0) onResumed(dialogue.id, turn)
  const waiting = inOrderOfUrgency(resumed).values()
  const playNext = async () => {
    for (const next of waiting) await playDialogue(next, options)
  }
  await Promise.all(Array.from({ length: inFlight }, playNext))
}

async function lastReadTurn({ id }: Dialogue, spine: Spine): Promise<number> {
  const { state } = await spine.sessions.get(id)
  return typeof state['turn'] === 'number' ? state['turn'] : 0
}

/** Customers in the middle of a conversation have waited longest; of those that have said all, most are long done. */
function inOrderOfUrgency(resumed: readonly Resumed[]): readonly Resumed[] {
  const hasSaidAll = ({ dialogue, turn }: Resumed) => turn === dialogue.turns.length - 1
  const classOf = (one: Resumed) => (hasSaidAll(one) ? 2 : one.turn === 0 ? 1 : 0)
  return [...resumed].sort((left, right) => classOf(left) - classOf(right))
}

async function playDialogue({ dialogue, turn: first }: Resumed, options: PlayOptions): Promise<void> {
  for (let turn = first; turn < dialogue.turns.length; turn++) {
    const isCorrected = dialogue.turns[turn + 1]?.corrects === true
    const together = isCorrected
      ? [playTurn(dialogue, turn, options), correct(dialogue, ++turn, options)]
      : [playTurn(dialogue, turn, options)]
    for (const played of await Promise.all(together)) {
      await options.onTurn(played)
      // What a customer would say next made no sense after an answer that never came.
      if (played.failure !== undefined) return
    }
  }
}

async function correct(dialogue: Dialogue, turn: number, options: PlayOptions): Promise<PlayedTurn> {
  const moment = fraction(seededRandom(`when ${dialogue.id}/${turn} is said`))
  await pauseFor(moment * options.correctedWithinMs)
  return playTurn(dialogue, turn, options)
}

async function playTurn(dialogue: Dialogue, turn: number, { spine, since }: PlayOptions): Promise<PlayedTurn> {
  const { id, turns, priority = 'normal' } = dialogue
  const before = performance.now()
  const data = { dialogue: id, turn, text: turns[turn]?.user ?? '' }
  const type = turns[turn]?.corrects === true ? TurnCorrected : TurnReceived
  const published = await spine.publish(type, data, { session: id, idempotencyKey: `${id}/${turn}`, priority })
  const { request, duplicate } = published
  const settled = await spine.settled(request, { within: SETTLED_WITHIN })
  const latencyMs = duplicate ? await latencyOnLog(spine, request, since) : performance.now() - before
  const failure = settled.status === 'done' ? undefined : await describeFailure(spine, settled)
  return { dialogue: id, turn, request, latencyMs, isUrgent: isUrgent(dialogue), failure }
}

/** Others make room for it. */
export function isUrgent({ priority }: Dialogue): boolean {
  return priority === 'critical' || priority === 'high'
}

/** For a turn that a killed process published: from its first record to its last, by the clock on the wall. */
async function latencyOnLog(spine: Spine, request: string, since: number): Promise<number | undefined> {
  const times: number[] = []
  for await (const { time } of spine.log.read({ request })) times.push(time)
  const [published = 0] = times
  return published < since ? undefined : Math.max(...times) - published
}

async function describeFailure(spine: Spine, settled: Awaited<ReturnType<Spine['settled']>>): Promise<string> {
  const letters = await Promise.all(settled.deadLetters.map((id) => spine.deadLetters.get(id)))
  const causes = letters.map(({ agent, error }) => `${agent}: ${error.code}: ${error.message}`)
  const waits = settled.waiting.map(({ agent, why }) => `${agent} is ${why}`)
  return [`settled as '${settled.status}'`, ...causes, ...waits].join('; ')
}
