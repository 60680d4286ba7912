/**
 * Whether a delivery whose turn has come may start: the last look at what may have changed since it was put in line.
 *
 * Job: say no to what is out of date, and hand what has to wait to whoever keeps it. Not its job: slots (`dispatcher.ts`), or
 * rates, which count what starts (`rate-gate.ts`).
 */
import { isHeldByBreaker, mayProbe } from '../coordination/breakers.ts'
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import { isHeldByPause } from '../coordination/pauses.ts'
import type { AgentState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import type { ExclusiveRuns } from './exclusive-runs.ts'
import type { Line } from './line.ts'
import type { Preemption } from './preemption.ts'
import type { Run } from './run.ts'
import type { RunHost } from './run-host.ts'
import type { StoppedRuns } from './stopped-runs.ts'

export class StartGate {
  readonly #host: RunHost
  readonly #live: ReadonlyMap<Row, Run>
  readonly #preemption: Preemption
  readonly #stoppedRuns: StoppedRuns
  readonly #exclusives: ExclusiveRuns

  constructor(
    host: RunHost,
    live: ReadonlyMap<Row, Run>,
    preemption: Preemption,
    stoppedRuns: StoppedRuns,
    exclusives: ExclusiveRuns,
  ) {
    this.#host = host
    this.#live = live
    this.#preemption = preemption
    this.#stoppedRuns = stoppedRuns
    this.#exclusives = exclusives
  }

  /** False for what is out of date, and for what is set aside until its time comes. */
  mayStart(line: Line, row: Row, source: Sequence): boolean {
    if (!this.#isDue(row, source)) return false
    // It is told when it is fresh again.
    if (this.#host.state.turns.isStale(row)) return false
    // It comes again when somebody of its place has ended. Before its agent is asked, so that no probe is chosen that cannot go.
    if (this.#exclusives.isExcluded(row)) return false
    if (this.#isHeld(row)) {
      line.held.push(row, source)
      return false
    }
    if (this.#stoppedRuns.holdsBack(row, source)) return false
    if (this.#isParked(row)) {
      this.#host.park(row)
      return false
    }
    return true
  }

  #isHeld(row: Row): boolean {
    const { state, clock } = this.#host
    if (isHeldByPause(state, row)) return true
    const agent = state.agents[state.deliveries.agent[row] as number] as AgentState
    if (agent.breaker === undefined || !isHeldByBreaker(state, row)) return false
    if (mayProbe(agent, clock.now())) this.#host.probe(row)
    return true
  }

  #isParked(row: Row): boolean {
    const { agents, deliveries } = this.#host.state
    const { holds } = agents[deliveries.agent[row] as number] as AgentState
    return holds.size > 0 && holds.get(deliveries.key[row] as string)?.mode === 'park'
  }

  /** One of its callers ends for good: so does this, as soon as that is folded. */
  #isGivenUp(row: Row): boolean {
    const { deliveries, runs } = this.#host.state
    let called = row
    for (let each = deliveries.caller[row] as Row; each !== 0; each = deliveries.caller[each] as Row) {
      const call = runs.get(each)?.calls.get(deliveries.call[called] as Sequence)
      if (this.#live.get(each)?.givesUp(call) === true) return true
      called = each
    }
    return false
  }

  #isDue(row: Row, source: Sequence): boolean {
    const { deliveries } = this.#host.state
    const status = deliveries.status[row]
    if (deliveries.source[row] !== source || this.#live.has(row)) return false
    if (this.#preemption.isOnItsWay(row, source)) return false
    if (deliveries.caller[row] !== 0 && this.#isGivenUp(row)) return false
    const now = this.#host.clock.now()
    const deadline = deliveries.deadline[row] as number
    if (deadline !== 0 && now >= deadline) return false
    return status === STATUS.ready || (status === STATUS.backoff && now >= (deliveries.due[row] as number))
  }
}
