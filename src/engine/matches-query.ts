import type { LogRecord } from '../event/record.ts'
import type { ReadQuery } from './engine.ts'

/** Whether a record meets the conditions of a query, its position and limit aside. */
export function matchesQuery(record: LogRecord, query: ReadQuery): boolean {
  if (query.session !== undefined && record.session !== query.session) return false
  if (query.request !== undefined && record.request !== query.request) return false
  if (query.agent !== undefined && record.agent !== query.agent) return false
  return query.types === undefined || query.types.includes(record.type)
}
