import { isQueueFull, pendingMaxOf } from '../coordination/unavailability.ts'
import { agentNamed, type SpineState } from '../coordination/state.ts'
import { pendingMaxFor, type PriorityClass } from '../coordination/shed.ts'
import { SpineError } from '../kernel/errors.ts'

/** The class of a call or start. Every one is 'normal' as long as nothing on the log says otherwise. */
export function callClass(): PriorityClass {
  return 'normal'
}

/** Why a call to a registered agent is refused, when it has as much open work as its `maxPending` allows. */
export function queueFull(
  state: SpineState,
  target: string,
  onTheWay: number,
  priority: PriorityClass = callClass(),
): SpineError | undefined {
  const agent = agentNamed(state, target)
  if (agent === undefined || !isQueueFull(agent, onTheWay, priority)) return undefined
  const open = agent.open + onTheWay
  return new SpineError('SPINE_QUEUE_FULL', `'${target}' has ${open} open deliveries.`, {
    agent: target,
    value: open,
    limit: pendingMaxFor(pendingMaxOf(agent), priority),
    fix: "Try again later, route around it with ctx.route, or raise its option 'maxPending'.",
  })
}
