/** The one lane of an embedded log, and the head that its claims move. */
import { turnHead } from '../coordination/freshness.ts'
import type { Guard } from '../engine/engine.ts'
import type { RecordHeader } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'

export const LANE = '*'
export const LANE_HEAD = `lane/${LANE}`

/** Moved by whoever ends directed work from outside, guarded by its run: so that nothing of it comes after its end. */
export function workHead(source: Sequence, agent: string): string {
  return `work/${source}/${agent}`
}

/**
 * What must not have been moved since a run began: its lane, its request unless it only looks on, and its own work where
 * somebody may end that. Work that declares freshness also guards the turn of its session, up to where this process has
 * judged (`judged`).
 */
export function runGuards(
  lane: Guard,
  { request, session, cause }: Pick<RecordHeader, 'request' | 'session' | 'cause'>,
  agent: { readonly name: string; readonly directed: boolean; readonly isFresh: boolean },
  notAfter: Sequence,
  observes: boolean,
  judged: Sequence | undefined,
): readonly Guard[] {
  const guards = observes ? [lane] : [lane, { head: `request/${request}`, notAfter }]
  if (agent.directed) guards.push({ head: workHead(cause, agent.name), notAfter })
  if (agent.isFresh && judged !== undefined) guards.push({ head: turnHead(session), notAfter: judged })
  return guards
}
