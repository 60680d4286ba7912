import type { LogRecord } from 'event-spine'

/** Sources of runs that were started over on another basis: in each generation they may see the world otherwise. */
export function startedOver(records: readonly LogRecord[]): ReadonlySet<number> {
  const sources = new Set<number>()
  for (const { type, cause, data } of records) {
    if (type !== 'spine.delivery.preempted' && type !== 'spine.delivery.restarted') continue
    if ((data as { generation?: number }).generation !== undefined) sources.add(cause)
  }
  return sources
}
