import { isQueueFull, pendingMaxOf } from '../coordination/unavailability.ts'
import { agentNamed, type SpineState } from '../coordination/state.ts'
import { pendingMaxFor } from '../coordination/shed.ts'
import type { Priority } from '../event/priority.ts'
import { SpineError } from '../kernel/errors.ts'

/** Why a call to a registered agent is refused, when it has as much open work as its `maxPending` allows. */
export function queueFull(
  state: SpineState,
  target: string,
  onTheWay: number,
  priority: Priority = 'normal',
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
