/**
 * Deliveries of a delayed event. Used by `deliveries.ts` and `evolve.ts`.
 *
 * - `delayed`: opened by an event that is not due yet: in no queue, open in its request, ended with it. Entered on opening.
 *   Leaves by `spine.timer.fired` of `@delay` into the queue of its key, as if its event had come then.
 */
import { lineUp, orderKey } from './deliveries.ts'
import { STATUS, type Row } from './delivery-table.ts'
import type { AgentState, SpineState } from './state.ts'

/** Command of the timer that a delayed delivery is. */
export const DELAY = '@delay'

export function endDelay(state: SpineState, row: Row): void {
  const { deliveries } = state
  if (deliveries.status[row] !== STATUS.delayed) return
  const agent = state.agents[deliveries.agent[row] as number] as AgentState
  const place = { session: deliveries.session[row] as string, key: deliveries.partition[row] as string }
  deliveries.due[row] = 0
  deliveries.key[row] = orderKey(agent, place, true)
  lineUp(state, agent, row)
}
