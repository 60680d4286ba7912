/**
 * Whether an open delivery stands still until an agent is back that this process does not host.
 *
 * Job: read it off the state, and off what runs here. Not its job: why it is open (`waiting.ts`), or whom to tell.
 *
 * A1  Whatever can still go on here, or is moved by time - a sleep, a wait, a `within`, a backoff, a delay, a deadline -
 *     does not stand still, and neither does what waits for that.
 * A2  What waits for a person or for an event - paused, blocked, held, joining - is not waiting for an agent.
 * A3  A handler is taken at its word that it waits for `ctx` alone: what it awaits outside of that nobody can know.
 */
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import { blockersOf } from '../coordination/blockers-of.ts'
import type { AgentState, SpineState } from '../coordination/state.ts'
import type { Run } from './run.ts'

export interface AbsenceHost {
  readonly state: SpineState
  readonly hosted: ReadonlyMap<string, unknown>
  runOf(row: Row): Pick<Run, 'isAtRest'> | undefined
  isForgotten(row: Row): boolean
}

/** `known`: answers of this look, because many wait for the same; a circle of waits is for its owner to break. */
export function awaitsAbsent(host: AbsenceHost, row: Row, known: Map<Row, boolean> = new Map()): boolean {
  if (!isHosted(host, row)) return true
  const answer = known.get(row)
  if (answer !== undefined) return answer
  known.set(row, false)
  const stands = standsStill(host, row, known)
  known.set(row, stands)
  return stands
}

function standsStill(host: AbsenceHost, row: Row, known: Map<Row, boolean>): boolean {
  const { state } = host
  const { deliveries, turns } = state
  if (deliveries.deadline[row] !== 0 || turns.isStale(row)) return false
  const status = deliveries.status[row]
  if (status === STATUS.queued) {
    // Of a key that is blocked, the head is queued itself.
    const head = agentOf(state, row).keys.get(deliveries.key[row] as string)
    return head !== undefined && awaitsAbsent(host, head, known)
  }
  const blockers = state.exclusives.size > 0 ? blockersOf(state, row) : []
  if (blockers.length > 0) return blockers.some((holder) => awaitsAbsent(host, holder, known))
  const isAtRest = host.runOf(row)?.isAtRest ?? host.isForgotten(row)
  return status === STATUS.ready && isAtRest && callsAbsent(host, row, known)
}

/** Whether calls that stand still are all that its run has open. A gather waits for its branches, which are told of here. */
function callsAbsent(host: AbsenceHost, row: Row, known: Map<Row, boolean>): boolean {
  const { deliveries, runs } = host.state
  let calls = 0
  for (const { kind, ended, due, row: callee } of runs.get(row)?.commands.values() ?? []) {
    if (ended !== 0) continue
    if (due !== 0) return false
    // No step executes under a run at rest: an open one was left by an earlier attempt, and is not asked for.
    if (kind !== 'call') continue
    if (callee === 0 || deliveries.deadline[callee] !== 0 || !awaitsAbsent(host, callee, known)) return false
    calls++
  }
  return calls > 0
}

function isHosted({ state, hosted }: AbsenceHost, row: Row): boolean {
  return hosted.has(agentOf(state, row).name)
}

function agentOf({ agents, deliveries }: SpineState, row: Row): AgentState {
  return agents[deliveries.agent[row] as number] as AgentState
}
