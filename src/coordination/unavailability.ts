/**
 * Whether an agent can take work that somebody is about to give it. The one place that knows the reasons why not.
 *
 * Job: say why an agent is passed over or refuses. Not its job: what follows from that (`route.ts`, calls).
 *
 * N1  Only directed work asks: events wait for their agent, however long, and never block their publisher.
 * N2  It is asked when a decision is made, by whoever makes it; the answer is recorded with the decision, never folded anew.
 */
import { type AgentState, agentNamed, type SpineState } from './state.ts'

/**
 * - `unknown`: no agent of that name has ever been registered on the log.
 * - `absent`: registered, but hosted by no live process.
 * - `paused`: someone has paused it.
 * - `queue full`: as many deliveries of it are open as its `maxPending` allows.
 */
export type Unavailability = 'unknown' | 'absent' | 'paused' | 'queue full'

/**
 * Why an agent should not be given work now; `undefined` when it should. An open breaker belongs here, too.
 *
 * `isHosted`: whether a live process runs its code, which no record tells. `onTheWay`: calls to it that are not folded yet.
 */
export function whyUnavailable(
  state: SpineState,
  name: string,
  isHosted: boolean,
  onTheWay: number,
): Unavailability | undefined {
  const agent = agentNamed(state, name)
  if (agent?.registration === undefined) return 'unknown'
  if (!isHosted) return 'absent'
  if (agent.paused !== undefined) return 'paused'
  if (isQueueFull(agent, onTheWay)) return 'queue full'
  return undefined
}

export function isQueueFull(agent: AgentState, onTheWay: number): boolean {
  return agent.open + onTheWay >= pendingMaxOf(agent)
}

const MAX_PENDING_DEFAULT = 10_000

/** What `maxPending` says, as registered: any process that calls the agent knows it. */
export function pendingMaxOf({ registration }: AgentState): number {
  const { maxPending } = (registration?.options ?? {}) as { readonly maxPending?: number }
  return maxPending ?? MAX_PENDING_DEFAULT
}
