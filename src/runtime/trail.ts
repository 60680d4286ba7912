/**
 * The same work, passed around by the same agents: noticed before it goes around once more.
 *
 * Job: what each run before this one, along the chain of causes, has passed on; and whether this one is about to repeat it.
 * Not its job: the limit on hops, which ends every chain (`run-context.ts`).
 *
 * TR1  Only ancestors count: the chain of causes of what the run was given, within its request. Siblings, retries, replays and
 *      redrives repeat nothing.
 * TR2  The same work is: from the same agent, of the same event type or to the same target, with equal data. Where the data
 *      changes, something gets done.
 * TR3  A chain of fewer hops than the limit cannot hold enough repetitions, and is not looked at.
 */
import type { LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import { canonicalJson, type Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import type { Records } from './records.ts'

/** Records by which the work came here, the last one first. */
export type Trail = readonly LogRecord[]

export const NO_TRAIL: Trail = []

/** `undefined` when a part of it has to be read from the log. */
export function trailInMemory(records: Records, source: LogRecord): Trail | undefined {
  if (hopsTo(source) < limits.repeatedCyclesMax) return NO_TRAIL
  const trail = [source]
  for (let last = source; goesOn(last, trail); ) {
    const before = records.recent(last.cause)
    if (before === undefined) return undefined
    if (before.request !== source.request) break
    trail.push(before)
    last = before
  }
  return trail
}

/** What is not retained any more is not looked at. */
export async function loadTrail(records: Records, source: LogRecord): Promise<Trail> {
  if (hopsTo(source) < limits.repeatedCyclesMax) return NO_TRAIL
  const trail = [source]
  for (let last = source; goesOn(last, trail); ) {
    const before = await records.find(last.cause)
    if (before === undefined || before.request !== source.request) break
    trail.push(before)
    last = before
  }
  return trail
}

function goesOn(last: LogRecord, { length }: Trail): boolean {
  return hopsTo(last) > 0 && last.cause !== 0 && length <= limits.hopsMax
}

/** The end of a run stands at the hops of that run; what it hands off is one further. */
function hopsTo({ type, hops }: LogRecord): number {
  return type === 'spine.delivery.completed' ? hops + 1 : hops
}

/** @throws SPINE_CYCLE_REPEATED. `to`: an event type, or the name of a target. */
export function requireNewWork(trail: Trail, agent: string, to: string, data: Json): void {
  let text: string | undefined
  let times = 0
  for (const passed of trail) {
    if (passed.agent !== agent) continue
    const work = workOf(passed)
    if (work?.to !== to) continue
    text ??= canonicalJson(data)
    if (canonicalJson(work.data) === text) times++
  }
  if (times < limits.repeatedCyclesMax) return
  const way = [...[...trail].reverse().flatMap((passed) => passed.agent ?? []), agent].join(' → ')
  throw new SpineError(
    'SPINE_CYCLE_REPEATED',
    `${agent} would pass the same work on to '${to}' for the ${times + 1}th time: ${way}.`,
    {
      value: way,
      limit: limits.repeatedCyclesMax,
      fix: 'Agents pass this work around without changing it: let one of them end it, ask a person, or say in the data what has been tried.',
    },
  )
}

/** What a record passes on, and to whom. */
function workOf({ type, data }: LogRecord): { readonly to: string; readonly data: Json } | undefined {
  if (!type.startsWith('spine.')) return { to: type, data }
  const { target, input, handoff } = data as {
    readonly target?: string
    readonly input?: Json
    readonly handoff?: { readonly target: string; readonly input: Json }
  }
  if (handoff !== undefined) return { to: handoff.target, data: handoff.input }
  return target === undefined || input === undefined ? undefined : { to: target, data: input }
}
