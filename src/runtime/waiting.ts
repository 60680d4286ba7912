/**
 * Why a delivery is open and not done, in a stable word and in detail, for whoever asks about its request.
 *
 * Job: read it off the state, and off what runs in this process. Not its job: deciding anything.
 */
import { isGathering } from '../coordination/gather.ts'
import { type BreakerState, isHeldByBreaker } from '../coordination/breakers.ts'
import { blockersOf } from '../coordination/blockers-of.ts'
import { isHeldByPause } from '../coordination/pauses.ts'
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import { type AgentState, type Command, deliveryId, type SpineState } from '../coordination/state.ts'
import type { Runtime } from './runtime.ts'

export interface Waiting {
  readonly agent: string
  /**
   * A stable word to match on:
   * - `running`: its handler computes, or a step of it runs here.
   * - `suspended`: its handler waits for the log; `detail`, `until` and `on` say for what.
   * - `ready`: it is about to start.
   * - `slots busy`: it may run, and every slot that its agent has in this process is taken.
   * - `agent paused`: someone paused its agent.
   * - `behind`: its agent is given events later than they come, and has not come to all of this request (`since`: since when).
   * - `breaker open`: attempts of its agent kept failing; one is tried again at `until`.
   * - `rate limited`: its agent has started as many as its `rate` allows; the next may start at `until`.
   * - `behind its key`: another delivery of its key goes first (`on`).
   * - `exclusive`: another delivery of its `exclusive` works on the session (`on`).
   * - `key blocked`: its key stands still behind a dead letter (`on`), until that is redriven or discarded.
   * - `joining`: it joins events, and lacks some (`detail`); `until` where its time is bounded.
   * - `held`: its session lacks an event that its agent comes after (`detail`).
   * - `newer turn`: a newer event of its session may make it pointless, and its request is still open.
   * - `delayed`: its event is delivered at `until`.
   * - `backing off`: an attempt failed; the next one is due at `until`.
   * - `budget exhausted`: the run stands still until someone raises the budget of the request.
   * - `paused`: the run itself stands still after a replay mismatch, until code that fits is deployed or it is started over.
   */
  readonly why:
    | 'running'
    | 'suspended'
    | 'ready'
    | 'slots busy'
    | 'agent paused'
    | 'behind'
    | 'breaker open'
    | 'rate limited'
    | 'behind its key'
    | 'exclusive'
    | 'key blocked'
    | 'backing off'
    | 'paused'
    | 'budget exhausted'
    | 'joining'
    | 'newer turn'
    | 'held'
    | 'delayed'
  /** Sequence of the record that opened the delivery. */
  readonly since: number
  /** The same in words, with what is known; not stable. */
  readonly detail?: string
  /** When the wait is over at the latest, where time ends it. */
  readonly until?: Date
  /** Ids of the deliveries or dead letters (`<sequence>/<agent>`) that it waits for. */
  readonly on?: readonly string[]
}

type Reason = Pick<Waiting, 'why' | 'detail' | 'until' | 'on'>

export function waitingOf(runtime: Runtime, row: Row): Waiting {
  const { deliveries } = runtime.state
  return {
    agent: agentOf(runtime.state, row).name,
    since: deliveries.source[row] as number,
    ...reasonOf(runtime, row),
  }
}

function reasonOf(runtime: Runtime, row: Row): Reason {
  const { state } = runtime
  const status = state.deliveries.status[row]
  if (status === STATUS.queued) return behindKey(state, row)
  if (status === STATUS.joining) return joining(state, row)
  if (status === STATUS.held) return { why: 'held', detail: `held until ${state.held.missingOf(row).join(' and ')}` }
  if (status === STATUS.delayed) return dueAt('delayed', 'delivered', state.deliveries.due[row] as number)
  if (status === STATUS.paused && state.budgets.paused.has(row))
    return {
      why: 'budget exhausted',
      detail: 'its budget cannot carry its next step: requests.raiseBudget, or cancel it',
    }
  if (status === STATUS.paused)
    return { why: 'paused', detail: 'its journal and its code disagree: deploy code that fits, or requests.restart' }
  const stale = state.turns.stale.get(row)
  if (stale !== undefined)
    return {
      why: 'newer turn',
      detail: `record ${stale.by} is newer, and ${[...stale.requests].join(', ') || 'its end'} is under way`,
    }
  const run = runtime.runOf(row)
  if (run !== undefined && run.phase !== 'suspended') return { why: 'running' }
  const suspended = run === undefined && !runtime.isForgotten(row) ? undefined : openCommandsOf(state, row)
  if (suspended !== undefined) return suspended
  const due = state.deliveries.due[row] as number
  if (run === undefined && status === STATUS.backoff && due > runtime.clock.now())
    return {
      why: 'backing off',
      detail: `attempt ${attemptOf(state, row)} is due at ${iso(due)}`,
      until: new Date(due),
    }
  const excluded = excludedBy(runtime, row)
  if (excluded !== undefined) return excluded
  if (run === undefined && isHeldByPause(state, row)) return pausedAgent(agentOf(state, row))
  if (run === undefined && isHeldByBreaker(state, row)) return brokenAgent(agentOf(state, row))
  const rated = run === undefined ? runtime.rateWaitOf(row) : undefined
  if (rated !== undefined) return dueAt('rate limited', 'the next of its agent may start', rated)
  const { name } = agentOf(state, row)
  if (run === undefined && runtime.isHeldByStopped(row))
    return { why: 'behind its key', detail: 'code of the one before it, which was stopped, still executes' }
  if (runtime.isBusy(name)) return { why: 'slots busy', detail: `every slot of '${name}' is taken` }
  return run === undefined ? { why: 'ready' } : { why: 'suspended' }
}

function behindKey(state: SpineState, row: Row): Reason {
  const agent = agentOf(state, row)
  const key = state.deliveries.key[row] as string
  const hold = agent.holds.get(key)
  if (hold !== undefined) {
    const on = hold.letters.map((source) => deliveryId(source, agent.name))
    return { why: 'key blocked', detail: `key '${key}' stands still behind dead letter '${on[0]}'`, on }
  }
  const head = agent.keys.get(key) ?? row
  const first = deliveryId(state.deliveries.source[head] as number, agent.name)
  return { why: 'behind its key', detail: `'${first}' of key '${key}' goes first`, on: [first] }
}

function excludedBy(runtime: Runtime, row: Row): Reason | undefined {
  const { state } = runtime
  const place = state.exclusives.placeOf(row)
  if (place === undefined || place.holders.has(row)) return undefined
  const works = (other: Row) => other !== row && (runtime.runOf(other)?.phase ?? 'suspended') !== 'suspended'
  const begun = [...place.waiting].filter(works)
  const on = [...blockersOf(state, row), ...begun].map((other) => idOf(state, other))
  const detail = `'${on[0]}' holds the exclusive '${place.name}' of the session`
  return on.length === 0 ? undefined : { why: 'exclusive', detail, on }
}

function joining({ joins, deliveries }: SpineState, row: Row): Reason {
  const round = joins.of(row)
  const missing = (round?.spec.types ?? []).filter((type) => round?.seen.has(type) !== true)
  const due = deliveries.due[row] as number
  const detail = `still missing ${missing.join(', ')}`
  return due === 0 ? { why: 'joining', detail } : { why: 'joining', detail, until: new Date(due) }
}

function dueAt(why: Waiting['why'], what: string, due: number): Reason {
  return { why, detail: `${what} at ${iso(due)}`, until: new Date(due) }
}

function pausedAgent({ name, paused }: AgentState): Reason {
  const why = paused?.why === undefined ? '' : `: ${paused.why}`
  return { why: 'agent paused', detail: `'${name}' was paused at ${paused?.since}${why}` }
}

function brokenAgent({ name, breaker }: AgentState): Reason {
  const { until, probe } = breaker as BreakerState
  const detail = `attempts of '${name}' kept failing`
  if (probe !== 0)
    return {
      why: 'breaker open',
      detail: `${detail}: '${deliveryId(probe, name)}' is tried first`,
      on: [deliveryId(probe, name)],
    }
  return until === 0 ? { why: 'breaker open', detail } : { why: 'breaker open', detail, until: new Date(until) }
}

/** What a suspended run waits for; `undefined` when all of it has come and only a slot is missing. */
function openCommandsOf(state: SpineState, row: Row): Reason | undefined {
  const open: Command[] = []
  // What an earlier attempt left open may be awaited by nobody.
  for (const command of state.runs.get(row)?.commands.values() ?? [])
    if (command.ended === 0 && !command.carried) open.push(command)
  if (open.length === 0) return undefined
  const details: string[] = []
  const timed = open.filter(({ due }) => due !== 0).map(({ due }) => due)
  const until = timed.length === 0 ? undefined : Math.min(...timed)
  const sleeps = open.filter(({ kind }) => kind === 'sleep').map(({ due }) => due)
  if (sleeps.length > 0) details.push(`sleeping until ${iso(Math.min(...sleeps))}`)
  for (const { wait, due } of open) if (wait !== undefined) details.push(`waiting for ${wait.event} until ${iso(due)}`)
  if (isGathering(state.runs.get(row))) details.push('gathering')
  const called = open.filter(({ kind, row: callee }) => kind === 'call' && callee !== 0).map((command) => command.row)
  if (called.length > 0) details.push(describeCalls(state, called))
  return {
    why: 'suspended',
    ...(details.length === 0 ? {} : { detail: details.join(', ') }),
    ...(until === undefined ? {} : { until: new Date(until) }),
    ...(called.length === 0 ? {} : { on: called.map((callee) => idOf(state, callee)) }),
  }
}

function describeCalls(state: SpineState, called: readonly Row[]): string {
  const counts = new Map<string, number>()
  for (const callee of called) {
    const { name } = agentOf(state, callee)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const names = [...counts].map(([name, count]) => (count === 1 ? `'${name}'` : `'${name}' (${count})`))
  return `waiting for ${called.length === 1 ? 'a call' : 'calls'} of ${names.join(', ')}`
}

function attemptOf(state: SpineState, row: Row): number {
  return (state.deliveries.attempt[row] as number) + 1
}

function idOf(state: SpineState, row: Row): string {
  return deliveryId(state.deliveries.source[row] as number, agentOf(state, row).name)
}

function agentOf({ agents, deliveries }: SpineState, row: Row): AgentState {
  return agents[deliveries.agent[row] as number] as AgentState
}

function iso(time: number): string {
  return new Date(time).toISOString()
}
