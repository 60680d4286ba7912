/** What a handler is told when its run ends before it does, as the reason of its signal. */
import type { LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'

export const PREEMPTED = new SpineError(
  'SPINE_PREEMPTED',
  'More urgent work took the slot of this run; it goes on later.',
)
export const OVER = new SpineError('SPINE_CLOSED', 'The run is over; nobody waits for this any more.')

/** Its delivery was ended by somebody else, or by time. */
export function endedBy({ type }: LogRecord): SpineError {
  const code = type.endsWith('expired') ? 'SPINE_EXPIRED' : 'SPINE_REQUEST_CANCELLED'
  return new SpineError(code, `The work ended by ${type}.`)
}
