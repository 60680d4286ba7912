import { SpineError } from '../kernel/errors.ts'
import { fixOfImport, shown } from '../kernel/shown.ts'
import { type AnyEventType, isStandardSchema } from './event-type.ts'

export function isEventType(value: unknown): value is AnyEventType {
  const { type, schema } = (value ?? {}) as Partial<AnyEventType>
  return typeof type === 'string' && isStandardSchema(schema)
}

/** `what` was given it. @throws SPINE_EVENT_INVALID */
export function requireEventType(value: unknown, what: string): void {
  if (isEventType(value)) return
  throw new SpineError('SPINE_EVENT_INVALID', `${what} was given ${shown(value)} for a type of event.`, {
    value,
    fix: fixOfImport(value, "Pass what event('noun.happened', schema) returned."),
  })
}
