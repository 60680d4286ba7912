import type { Scenario } from './scenario.ts'
import { append } from './scenarios/append.ts'
import { fanOut } from './scenarios/fan-out.ts'
import { fold } from './scenarios/fold.ts'
import { handoff } from './scenarios/handoff.ts'
import { memoryPerDelivery } from './scenarios/memory-per-delivery.ts'
import { ordered } from './scenarios/ordered.ts'
import { pipeline } from './scenarios/pipeline.ts'
import { publish } from './scenarios/publish.ts'
import { recovery } from './scenarios/recovery.ts'
import { preempted, urgent } from './scenarios/urgent.ts'
import { waiters } from './scenarios/waiters.ts'

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  handoff(null),
  handoff('fresh'),
  pipeline(100),
  pipeline(100, 'others use all'),
  pipeline(1_000),
  fanOut(1),
  fanOut(20),
  waiters,
  urgent,
  preempted,
  ordered,
  publish,
  append('sqlite'),
  append('memory'),
  recovery,
  memoryPerDelivery('busy agent'),
  memoryPerDelivery('busy agent, 1,000 sessions'),
  memoryPerDelivery('absent agent'),
  fold('evolve'),
  fold('open'),
]

/** For people: `pipeline, 100 in flight`. */
export function titleOf({ name, variant, inFlight }: Scenario): string {
  const parts = [name, variant, inFlight === null ? null : `${inFlight} in flight`]
  return parts.filter((part) => part !== null).join(', ')
}
