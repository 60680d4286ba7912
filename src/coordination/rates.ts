/**
 * Rates: how many attempts of an agent may start in any window of time, per key. Used by `evolve.ts` and by whoever starts
 * work.
 *
 * The start of an attempt of an agent with a rate is durable before its handler is entered, and tells its key: so the count
 * survives every crash, and whoever folds the log counts the same.
 *
 * Y1  In no window of `perMs`, wherever it begins, do more than `limit` attempts of a key start, by the times of their
 *     records.
 * Y2  A run that resumes is no start. One that is entered again because its process ended is: it may do again what it did.
 * Y3  What would have no effect any more is forgotten: starts before the window, and keys without any.
 */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { DeliveryTable, Row } from './delivery-table.ts'
import type { AgentState, SpineState } from './state.ts'

export interface RateOptions {
  readonly limit: number
  readonly perMs: number
}

/** Key → times of its last starts, in the order of the log; the key that started last is the last of the map. */
export type RateState = Map<string, readonly number[]>

/** As registered. */
export function rateOptions({ registration }: AgentState): RateOptions | undefined {
  return (registration?.options as { readonly rate?: RateOptions } | undefined)?.rate
}

/** After a registration. */
export function applyRate(agent: AgentState): void {
  if (rateOptions(agent) === undefined) agent.rate = undefined
  else agent.rate ??= new Map()
}

export function foldRatedStarts(state: SpineState, record: LogRecord): void {
  const { agents, rates = [] } = record.data as SystemData<'spine.runs.started'>
  for (const [at, key] of rates.entries()) {
    const index = state.agentIndex.get(agents[at] ?? '')
    const agent = index === undefined ? undefined : state.agents[index]
    if (agent?.rate !== undefined) count(agent.rate, rateOptions(agent) as RateOptions, key, record.time)
  }
}

function count(starts: RateState, { limit, perMs }: RateOptions, key: string, time: number): void {
  const before = starts.get(key) ?? []
  starts.delete(key)
  starts.set(key, [...before.filter((start) => start > time - perMs), time].slice(-limit))
  for (const [idle, times] of starts) {
    if ((times.at(-1) as number) > time - perMs) break
    starts.delete(idle)
  }
}

/** Whether the start of this delivery counts (Y2). */
export function isRatedStart({ began }: DeliveryTable, row: Row): boolean {
  return began[row] === 0
}

/** This attempt was cut off, by the end of its process or by more urgent work: entering it again is another start. */
export function foldCut({ agents, deliveries }: SpineState, row: Row): void {
  const { rate } = agents[deliveries.agent[row] as number] as AgentState
  if (rate !== undefined) deliveries.began[row] = 0
}

/** When one more attempt may start: `now`, or later. `others` are about to start, or were told that they may. */
export function freeAt(
  { limit, perMs }: RateOptions,
  starts: readonly number[],
  others: readonly number[],
  now: number,
): number {
  if (starts.length + others.length < limit) return now
  const all = [...starts, ...others].filter((time) => time > now - perMs).sort((left, right) => left - right)
  return all.length < limit ? now : (all[all.length - limit] as number) + perMs
}
