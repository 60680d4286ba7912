/**
 * Agents that could never start: each comes after what another emits, and that one, directly or around, waits for what it
 * emits itself. Found when a spine is created, from what the agents declare.
 *
 * Job: name one such circle. Not its job: types that nobody emits, which may come from outside at any time.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { JoinSpec } from './join-rounds.ts'
import { EVERYTHING } from './terms.ts'

export type Declared = Pick<SystemData<'spine.agent.registered'>, 'name' | 'kind' | 'on' | 'emits' | 'after' | 'join'>

/** One link: the agent waits for the type. The next link is of an agent that emits it; the last one's is the first. */
export interface Link {
  readonly agent: string
  readonly type: string
}

/** A circle through an `after`, or `undefined` where every agent can start. */
export function findAfterCircle(agents: readonly Declared[]): readonly Link[] | undefined {
  for (const agent of agents) {
    if (agent.after === undefined) continue
    const circle = circleThrough(agents, agent)
    if (circle !== undefined) return circle
  }
  return undefined
}

/** Suppose that it never starts: who else never does, and does that include whoever emits what it comes after? */
function circleThrough(agents: readonly Declared[], suspect: Declared): readonly Link[] | undefined {
  /** Agent → the type that it waits for in vain. */
  const stuck = new Map<Declared, string | undefined>([[suspect, undefined]])
  const isGone = (type: string) => {
    const emitters = agents.filter(({ emits }) => emits.includes(type))
    return emitters.length > 0 && emitters.every((emitter) => stuck.has(emitter))
  }
  for (let before = 0; before < stuck.size; ) {
    before = stuck.size
    for (const agent of agents) {
      const lacking = stuck.has(agent) ? undefined : lackingOf(agent, isGone)
      if (lacking !== undefined) stuck.set(agent, lacking)
    }
  }
  const lacking = (suspect.after ?? []).find(isGone)
  if (lacking === undefined) return undefined
  const links: Link[] = [{ agent: suspect.name, type: lacking }]
  for (let type = lacking, left = agents.length; left > 0; left--) {
    const emitter = agents.find(({ emits }) => emits.includes(type)) as Declared
    if (emitter === suspect) break
    type = stuck.get(emitter) as string
    links.push({ agent: emitter.name, type })
  }
  return links
}

/** A type without which it cannot start, and which will never come. */
function lackingOf({ kind, on, after, join }: Declared, isGone: (type: string) => boolean): string | undefined {
  const type = after?.find(isGone)
  if (type !== undefined || kind !== 'reacts' || on.includes(EVERYTHING)) return type
  const gone = on.filter(isGone)
  const { withinMs, atLeast } = (join ?? {}) as Partial<JoinSpec>
  const needed = join === undefined ? 1 : (atLeast ?? (withinMs === undefined ? on.length : 1))
  return on.length - gone.length < needed ? gone[0] : undefined
}
