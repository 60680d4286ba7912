/** Errors on their way to the log and back: what handlers catch is the same on the first run and on a replay. */
import type { Failure } from '../event/catalogue.ts'
import { durationMs } from '../kernel/duration.ts'
import { ERROR_TABLE, Permanent, RetryAfter, SpineError, type ErrorCode } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'

/** Errors that no retry can help: the same code and data fail in the same way, and a callee has had its own retries. */
const HOPELESS = new Set<ErrorCode>([
  'SPINE_CALL_DEPTH',
  'SPINE_CALL_FAILED',
  'SPINE_COMMIT_TOO_LARGE',
  'SPINE_EMIT_UNDECLARED',
  'SPINE_EVENT_VERSION',
  'SPINE_HANDOFF_NOT_RETURNED',
  'SPINE_HOPS_EXCEEDED',
  'SPINE_PAYLOAD_NOT_JSON',
  'SPINE_PAYLOAD_TOO_DEEP',
  'SPINE_PAYLOAD_TOO_LARGE',
  'SPINE_SCHEMA_ASYNC',
  'SPINE_SCHEMA_INVALID',
  'SPINE_STEP_NAME',
])

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: 'SPINE_HANDLER_FAILED', name: 'Error', message: shorten(`thrown: ${String(error)}`) }
  const code = (error as { code?: unknown }).code
  const permanent = error.name === 'Permanent' || (SpineError.is(error) && HOPELESS.has(error.code))
  const retryAfterMs = error instanceof RetryAfter ? retryAfter(error) : undefined
  return {
    code: typeof code === 'string' ? shorten(code) : 'SPINE_HANDLER_FAILED',
    name: shorten(String(error.name)),
    message: shorten(String(error.message)),
    ...(error.stack === undefined ? {} : { stack: shorten(error.stack) }),
    ...(permanent ? { permanent: true } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** A handler's own wrong duration must not hide the error that it reports: it then backs off as usual. */
function retryAfter(error: RetryAfter): number | undefined {
  try {
    return durationMs(error.delay, 'RetryAfter')
  } catch {
    return undefined
  }
}

/** What a handler catches for a recorded failure. */
export function errorOf(failure: Failure): Error {
  const error = build(failure)
  if (failure.stack !== undefined) error.stack = failure.stack
  return error
}

function build(failure: Failure): Error {
  if (failure.code in ERROR_TABLE && failure.name === 'SpineError') return new SpineError(failure.code as ErrorCode, failure.message)
  if (failure.name === 'Permanent') return new Permanent(failure.message)
  if (failure.retryAfterMs !== undefined) return new RetryAfter(failure.retryAfterMs, failure.message)
  const error = new Error(failure.message)
  error.name = failure.name
  if (failure.code !== 'SPINE_HANDLER_FAILED') Object.assign(error, { code: failure.code })
  return error
}

function shorten(text: string): string {
  return text.length <= limits.errorCharactersMax ? text : `${text.slice(0, limits.errorCharactersMax)}…`
}
