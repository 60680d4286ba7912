/**
 * The working process: hosts the office on its spine and lets the customers speak. It may be killed at any moment.
 *
 * It keeps nothing of its own. What it needs after a kill it finds on the log.
 */
import { createSpine, type Spine, SpineError, stateOf } from '../../index.ts'
import { engineFromUrl } from '../engine-from-url.ts'
import { childConfig, tellParent } from './child-process.ts'
import { describeTurn } from './describe-turn.ts'
import { type Dialogue, readDialogues } from './dialogue.ts'
import { Model } from './model.ts'
import { fingerprintOf, type Observation, observeLog } from './observe-log.ts'
import { staffHelpDesk } from './help-desk.ts'
import { type Latency, latencyMs, pauseFor } from './latency.ts'
import { createOffice } from './office.ts'
import { isUrgent, type PlayedTurn, playDialogues } from './play-dialogues.ts'
import { ServiceClient } from './service-client.ts'

export interface WorkerProcessConfig {
  readonly engineUrl: string
  readonly dialoguesPath: string
  readonly servicesUrl: string
  readonly inFlight: number
  readonly modelLatency: Latency
  readonly correctedWithinMs: number
  /** Ms since 1970: when the demo began. */
  readonly since: number
  /** The conversation of which a few turns are shown. */
  readonly shown: string | undefined
}

export type WorkerMessage =
  | { readonly kind: 'ready' }
  /** An agent has ended some work in this process. */
  | { readonly kind: 'progressing' }
  | { readonly kind: 'resumed'; readonly dialogue: string; readonly turns: number }
  | ({ readonly kind: 'settled' } & PlayedTurn)
  | { readonly kind: 'shown'; readonly dialogue: string; readonly turn: number; readonly lines: readonly string[] }
  | {
      readonly kind: 'finished'
      readonly at: number
      readonly state: string
      readonly observation: Observation | undefined
    }
  | { readonly kind: 'failed'; readonly message: string }

const tell = tellParent<WorkerMessage>
const config = childConfig<WorkerProcessConfig>()

try {
  await work()
  process.exit(0)
} catch (error) {
  const known = SpineError.is(error)
  await tell({
    kind: 'failed',
    message: known ? `${error.code}: ${error.message}` : String((error as Error).stack ?? error),
  })
  process.exit(1)
}

async function work(): Promise<void> {
  const dialogues = await readDialogues(config.dialoguesPath)
  const spine = await openSpine(dialogues)
  const think = () => pauseFor(latencyMs(config.modelLatency, 'a person'))
  const helpDesk = staffHelpDesk({ spine, think })
  void tell({ kind: 'ready' })
  await Promise.race([helpDesk, play(spine, dialogues), tellProgress(spine)])
  await tell(await finish(spine))
  await spine.close()
}

/** Never resolves: it only tells. */
async function tellProgress(spine: Spine): Promise<never> {
  for await (const { type } of spine.log.tail()) {
    if (type !== 'spine.delivery.completed') continue
    void tell({ kind: 'progressing' })
    break
  }
  return new Promise(() => {})
}

async function play(spine: Spine, dialogues: readonly Dialogue[]): Promise<void> {
  await playDialogues({
    spine,
    dialogues,
    inFlight: config.inFlight,
    correctedWithinMs: config.correctedWithinMs,
    since: config.since,
    onResumed: (dialogue, turns) => void tell({ kind: 'resumed', dialogue, turns }),
    onTurn: (played) => report(played, spine, dialogues),
  })
}

async function openSpine(dialogues: readonly Dialogue[]): Promise<Spine> {
  const services = new Set(
    dialogues.flatMap(({ turns }) => turns.flatMap(({ calls = [] }) => calls)).map((call) => call.service),
  )
  const agents = createOffice({
    services: [...services].sort(),
    model: new Model(new Map(dialogues.map((dialogue) => [dialogue.id, dialogue])), config.modelLatency),
    client: new ServiceClient(config.servicesUrl),
    concurrency: Math.max(16, config.inFlight),
  })
  const engine = await engineFromUrl(config.engineUrl)
  // Where somebody is in a hurry, slots are few enough to be worth taking.
  if (!dialogues.some(isUrgent)) return createSpine({ engine, agents })
  return createSpine({ engine, agents, pools: { default: Math.max(2, Math.ceil(config.inFlight / 2)) } })
}

async function report(played: PlayedTurn, spine: Spine, dialogues: readonly Dialogue[]): Promise<void> {
  const { dialogue, turn, request } = played
  // Awaited: a turn that nobody heard of must not be followed by the next.
  await tell({ kind: 'settled', ...played })
  if (dialogue !== config.shown) return
  const calls = dialogues.find(({ id }) => id === dialogue)?.turns[turn]?.calls ?? []
  if (calls.length === 0) return
  const records = []
  for await (const record of spine.log.read({ request })) records.push(record)
  void tell({ kind: 'shown', dialogue, turn, lines: describeTurn(records) })
}

/** Another process can check the state at this position; a log in memory only this one can read. */
async function finish(spine: Spine): Promise<WorkerMessage> {
  const { at } = stateOf(spine)
  const state = fingerprintOf(stateOf(spine))
  const inMemory = config.engineUrl === 'memory'
  const observation = inMemory ? await observeLog(spine.log.read(), { since: config.since, until: at }) : undefined
  return { kind: 'finished', at, state, observation }
}
