/** Errors on their way to the log and back: what handlers catch is the same on the first run and on a replay. */
import type { Failure } from '../event/catalogue.ts'
import { durationMs } from '../kernel/duration.ts'
import { ERROR_TABLE, type ErrorCode, Permanent, RetryAfter, SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'

/** Errors that no retry can help: the same code and data fail in the same way, and a callee has had its own retries. */
const HOPELESS = new Set<ErrorCode>([
  'SPINE_BUDGET_EXHAUSTED',
  'SPINE_BUDGET_INVALID',
  'SPINE_CALL_DEPTH',
  'SPINE_CALL_FAILED',
  'SPINE_COMMIT_TOO_LARGE',
  'SPINE_CYCLE_REPEATED',
  'SPINE_DURATION_INVALID',
  'SPINE_EMIT_UNDECLARED',
  'SPINE_EVENT_VERSION',
  'SPINE_GATHER_BRANCH',
  'SPINE_HANDOFF_NOT_RETURNED',
  'SPINE_HOPS_EXCEEDED',
  'SPINE_OPTION_INVALID',
  'SPINE_PAYLOAD_NOT_JSON',
  'SPINE_PAYLOAD_TOO_DEEP',
  'SPINE_PAYLOAD_TOO_LARGE',
  'SPINE_SCHEMA_ASYNC',
  'SPINE_SCHEMA_INVALID',
  'SPINE_STEP_NAME',
])

/** Never throws, whatever was thrown: an object without a prototype, an error whose getters throw. */
export function failureOf(error: unknown): Failure {
  try {
    return error instanceof Error ? readFailure(error) : unnamed(`thrown: ${String(error)}`)
  } catch {
    return unnamed('thrown: something that cannot be shown')
  }
}

function unnamed(message: string): Failure {
  return { code: 'SPINE_HANDLER_FAILED', name: 'Error', message: shorten(message) }
}

function readFailure(error: Error): Failure {
  const code = (error as { code?: unknown }).code
  const permanent =
    error instanceof Permanent || error.name === 'Permanent' || (SpineError.is(error) && HOPELESS.has(error.code))
  const retryAfterMs = error instanceof RetryAfter ? retryAfter(error) : undefined
  return {
    code: typeof code === 'string' ? shorten(code) : 'SPINE_HANDLER_FAILED',
    name: shorten(String(error.name)),
    message: shorten(String(error.message)),
    ...(typeof error.stack === 'string' ? { stack: shorten(error.stack) } : {}),
    ...(permanent ? { permanent: true } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(SpineError.is(error, 'SPINE_BUDGET_EXHAUSTED') ? { value: (error.value ?? null) as Json } : {}),
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

/** Nobody caught it: the run stands still until someone raises the budget. */
export function lacksBudget(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < limits.callDepthMax; depth++) {
    if (SpineError.is(cause, 'SPINE_BUDGET_EXHAUSTED')) return true
    cause = cause.cause
  }
  return false
}

/** What a handler catches for a recorded failure. */
export function errorOf(failure: Failure): Error {
  const error = build(failure)
  if (failure.stack !== undefined) error.stack = failure.stack
  return error
}

function build(failure: Failure): Error {
  const { code, name, message, retryAfterMs, value } = failure
  if (code in ERROR_TABLE && name === 'SpineError')
    return new SpineError(code as ErrorCode, message, value === undefined ? {} : { value })
  const error =
    name === 'Permanent'
      ? new Permanent(message)
      : retryAfterMs === undefined
        ? new Error(message)
        : new RetryAfter(retryAfterMs, message)
  error.name = name
  return code === 'SPINE_HANDLER_FAILED' ? error : Object.assign(error, { code })
}

function shorten(text: string): string {
  return text.length <= limits.errorCharactersMax ? text : `${text.slice(0, limits.errorCharactersMax)}…`
}
