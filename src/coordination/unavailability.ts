/**
 * Whether an agent can take work that somebody is about to give it. The one place that knows the reasons why not.
 *
 * Job: say why an agent is passed over or refuses. Not its job: what follows from that (`route.ts`, calls).
 *
 * N1  Only directed work asks: events wait for their agent, however long, and never block their publisher.
 * N2  It is asked when a decision is made, by whoever makes it; the answer is recorded with the decision, never folded anew.
 */
import { isBreakerOpen } from './breakers.ts'
import type { Priority } from '../event/priority.ts'
import { isShed } from './shed.ts'
import { type AgentState, agentNamed, type SpineState } from './state.ts'

/**
 * - `unknown`: no agent of that name has ever been registered on the log.
 * - `absent`: registered, but hosted by no live process.
 * - `paused`: someone has paused it.
 * - `breaker open`: its attempts kept failing, and it is left alone for a while.
 * - `queue full`: as many deliveries of it are open as its `maxPending` allows a call of that class.
 */
export type Unavailability = 'unknown' | 'absent' | 'paused' | 'breaker open' | 'queue full'

/**
 * Why an agent should not be given work now; `undefined` when it should.
 *
 * `isHosted`: whether a live process runs its code, which no record tells. `onTheWay`: calls to it that are not folded yet.
 */
export function whyUnavailable(
  state: SpineState,
  name: string,
  isHosted: boolean,
  onTheWay: number,
  now: number,
  priority: Priority = 'normal',
): Unavailability | undefined {
  const agent = agentNamed(state, name)
  if (agent?.registration === undefined) return 'unknown'
  if (!isHosted) return 'absent'
  if (agent.paused !== undefined) return 'paused'
  if (isBreakerOpen(agent, now)) return 'breaker open'
  if (isQueueFull(agent, onTheWay, priority)) return 'queue full'
  return undefined
}

export function isQueueFull(agent: AgentState, onTheWay: number, priority: Priority): boolean {
  return isShed(agent.open + onTheWay, pendingMaxOf(agent), priority)
}

const MAX_PENDING_DEFAULT = 10_000

/** What `maxPending` says, as registered: any process that calls the agent knows it. */
export function pendingMaxOf({ registration }: AgentState): number {
  const { maxPending } = (registration?.options ?? {}) as { readonly maxPending?: number }
  return maxPending ?? MAX_PENDING_DEFAULT
}
