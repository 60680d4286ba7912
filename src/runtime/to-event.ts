import type { AnyEventType, SpineEvent } from '../agent/event-type.ts'
import type { SystemData } from '../event/catalogue.ts'
import { eventId, type LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'

/** A record as handlers and queries see it: data of an older version upgraded, input of directed work unwrapped. */
export function toEvent(record: LogRecord, types: ReadonlyMap<string, AnyEventType>): SpineEvent {
  return Object.freeze({
    sequence: record.sequence,
    id: eventId(record),
    type: record.type,
    time: new Date(record.time),
    session: record.session,
    request: record.request,
    cause: record.cause,
    source: record.agent,
    priority: record.priority ?? 'normal',
    data: dataOf(record, types.get(record.type)),
  })
}

/** As it is stored, whatever versions this code can read: for looking into what went wrong. */
export function asStored(record: LogRecord): SpineEvent {
  return toEvent(record, new Map())
}

function dataOf(record: LogRecord, type: AnyEventType | undefined): unknown {
  if (record.type === 'spine.call.requested')
    return (record.data as unknown as SystemData<'spine.call.requested'>).input
  if (record.type === 'spine.delivery.completed') {
    return (record.data as unknown as SystemData<'spine.delivery.completed'>).handoff?.input
  }
  return type === undefined ? record.data : upgraded(record.data, record.version ?? 1, type)
}

function upgraded(data: Json, version: number, type: AnyEventType): unknown {
  if (version === type.version) return data
  if (version < type.version && type.upgrade !== undefined) return type.upgrade(data, version)
  throw new SpineError(
    'SPINE_EVENT_VERSION',
    `Event '${type.type}' is stored in version ${version}; this code has ${type.version}.`,
    {
      value: version,
      limit: type.version,
      fix:
        version < type.version
          ? "Give event() an 'upgrade' that reads the older version."
          : 'Deploy the code that wrote it.',
    },
  )
}
