/**
 * Calls that wait for each other. Used when a delivery opens (`deliveries.ts`) and by the owner (`decide.ts`).
 *
 * A called delivery may be ordered by a key that somebody holds. If that somebody is a caller up the chain, waiting would
 * never end, so the call runs inside its hold. The same goes for an exclusive (hold-exclusive.ts). If it is anyone else who, in the end, waits for this very call, one call
 * of the circle has to be given up: the youngest, because it has the least behind it.
 *
 * H1  A call to a key, or an exclusive, that one of its own callers holds never waits for it.
 * H2  In every circle of waits one call is rejected; calls outside a circle never are.
 */
import type { Sequence } from '../event/sequence.ts'
import { STATUS, type Row } from './delivery-table.ts'
import { blockersOf } from './blockers-of.ts'
import type { AgentState, SpineState } from './state.ts'

/** Whether a caller up the chain is at the head of this key of this agent. */
export function isHeldByCaller(state: SpineState, caller: Row, agent: number, key: string): boolean {
  const { deliveries } = state
  const holder = (state.agents[agent] as AgentState).keys.get(key)
  if (holder === undefined) return false
  for (let row = caller; row !== 0; row = deliveries.caller[row] as Row) if (row === holder) return true
  return false
}

export interface CallCycle {
  /** Whose call is rejected. */
  readonly caller: Row
  readonly command: string
  /** Names of the agents around the circle, the caller of the rejected call first and last. */
  readonly chain: readonly string[]
}

/** The circle that a waiting delivery closes, if any, and the call to give up: the one with the highest sequence. */
export function findCallCycle(state: SpineState, row: Row): CallCycle | undefined {
  const circle = pathFrom(state, row, row, new Set())
  if (circle === undefined) return undefined
  const { deliveries } = state
  const calls = circle.filter((each) => deliveries.caller[each] !== 0)
  let youngest = calls[0] as Row
  for (const each of calls)
    if ((deliveries.call[each] as Sequence) > (deliveries.call[youngest] as Sequence)) youngest = each
  const caller = deliveries.caller[youngest] as Row
  const command = state.runs.get(caller)?.calls.get(deliveries.call[youngest] as Sequence)
  if (command === undefined) return undefined
  const from = circle.indexOf(youngest)
  const around = [...circle.slice(from), ...circle.slice(0, from)].map((each) => nameOf(state, each))
  return { caller, command, chain: [nameOf(state, caller), ...around.filter((name, at) => name !== around[at - 1])] }
}

/** The deliveries from `row` to what waits for `goal`, along the waits; `undefined` when none leads back. */
function pathFrom(state: SpineState, row: Row, goal: Row, seen: Set<Row>): readonly Row[] | undefined {
  for (const next of waitsFor(state, row)) {
    if (next === goal) return [row]
    if (seen.has(next)) continue
    seen.add(next)
    const rest = pathFrom(state, next, goal, seen)
    if (rest !== undefined) return [row, ...rest]
  }
  return undefined
}

/** A queued delivery waits for the head of its key, one that is barred for its holders, one that has begun for what it called. */
function waitsFor(state: SpineState, row: Row): readonly Row[] {
  const { deliveries } = state
  if (deliveries.status[row] === STATUS.queued) {
    const head = (state.agents[deliveries.agent[row] as number] as AgentState).keys.get(deliveries.key[row] as string)
    return head === undefined || head === row ? [] : [head]
  }
  const blockers = state.exclusives.size > 0 ? blockersOf(state, row) : []
  if (blockers.length > 0) return blockers
  const run = state.runs.get(row)
  if (run === undefined || run.calls.size === 0) return []
  const called: Row[] = []
  for (const name of run.calls.values()) {
    const callee = run.commands.get(name)?.row ?? 0
    if (callee !== 0) called.push(callee)
  }
  return called
}

function nameOf(state: SpineState, row: Row): string {
  return (state.agents[state.deliveries.agent[row] as number] as AgentState).name
}
