/**
 * The one error class of the library and the one table of its codes.
 *
 * Job: give every refusal a stable code, the offending value, the limit and the way out.
 * Not its job: deciding what is an error. Expected outcomes (a duplicate append, a conflict) are return values.
 *
 * E1  A code never changes its meaning; messages may change.
 * E2  Every thrown error names what was wrong and what to do about it.
 */

export interface ErrorFact {
  /** HTTP status that the doors answer with. */
  readonly status: number
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable: boolean
  readonly meaning: string
}

const fact = (status: number, retryable: boolean, meaning: string): ErrorFact => ({ status, retryable, meaning })

/** Code → HTTP status, retryable, meaning. `docs/reference/errors.md` is generated from this table. */
export const ERROR_TABLE = {
  SPINE_AGENT_INVALID: fact(400, false, 'An agent was declared in a way that cannot work.'),
  SPINE_AGENT_UNKNOWN: fact(404, false, 'No agent of that name has ever been registered on this log.'),
  SPINE_AGENT_HOSTED: fact(409, false, 'The agent is hosted by this process, so it cannot be removed or renamed here.'),
  SPINE_BUDGET_EXHAUSTED: fact(402, false, 'A budget cannot carry what a step is estimated to cost.'),
  SPINE_BUDGET_INVALID: fact(400, false, 'A budget or cost is no object of finite amounts of named units.'),
  SPINE_CALL_CYCLE: fact(508, true, 'A call waited, through others, for its own caller.'),
  SPINE_CALL_DEPTH: fact(508, false, 'Calls inside calls are nested more deeply than the limit.'),
  SPINE_CALL_FAILED: fact(502, false, 'A called agent ended without a reply; the cause says why.'),
  SPINE_CLOSED: fact(503, true, 'The spine or its engine is closed.'),
  SPINE_COMMIT_TOO_LARGE: fact(413, false, 'The records of one commit exceed the size limit.'),
  SPINE_CRASH_DIFFERS: fact(500, false, 'A scenario ended otherwise after a crash than without one.'),
  SPINE_CRASH_LOOP: fact(500, false, 'A run took down every process that it ran in.'),
  SPINE_DEADLINE_PAST: fact(400, false, 'The deadline lies in the past.'),
  SPINE_DEAD_LETTER_UNKNOWN: fact(404, false, 'No dead letter has that id.'),
  SPINE_DURATION_INVALID: fact(400, false, "A duration is neither a number of ms nor a text like '30s'."),
  SPINE_DUPLICATE: fact(
    409,
    false,
    "The work's 'dedupe' key was used before; its value is the record that used it first.",
  ),
  SPINE_EMIT_UNDECLARED: fact(400, false, "An agent emitted an event type that its option 'emits' does not name."),
  SPINE_ENGINE_LOCKED: fact(423, true, 'Another process owns this log.'),
  SPINE_EVENT_INVALID: fact(400, false, 'An event type is malformed, reserved, or declared twice.'),
  SPINE_EVENT_VERSION: fact(409, false, 'A stored event has a version that this code cannot read.'),
  SPINE_EXPIRED: fact(408, false, 'A deadline passed before the work ended.'),
  SPINE_GATHER_BRANCH: fact(400, false, 'What was gathered is neither a promise of this ctx nor a function.'),
  SPINE_GATHER_LATE: fact(409, false, 'A branch came too late for its gather, and was cancelled.'),
  SPINE_HANDLER_FAILED: fact(500, true, 'A handler or step threw an error without a code.'),
  SPINE_HANDOFF_NOT_RETURNED: fact(500, false, 'A handler made a handoff but did not return it.'),
  SPINE_HOPS_EXCEEDED: fact(508, false, 'A causal chain is longer than the hop limit.'),
  SPINE_CYCLE_REPEATED: fact(508, false, 'The same agents pass the same work around.'),
  SPINE_KEY_PARKED: fact(409, false, 'An earlier delivery of the same key died, and this one waits for its redrive.'),
  SPINE_KEY_REUSED: fact(409, false, 'An idempotency key was used before with other data.'),
  SPINE_LANE_LOST: fact(409, true, 'Another process has claimed this log; this one may no longer decide.'),
  SPINE_LOG_BUSY: fact(503, true, 'More waits to be written to the log than the limit; this append was not accepted.'),
  SPINE_LOG_CORRUPT: fact(500, false, 'The log is damaged or is not an Event Spine log.'),
  SPINE_LOG_FAILED: fact(503, true, 'Writing to the log failed; nothing more is acknowledged until it is reopened.'),
  SPINE_LOG_FULL: fact(507, false, 'The disk or the configured size limit of the log is full.'),
  SPINE_LOG_NEWER: fact(409, false, 'The log was written by a newer version of Event Spine.'),
  SPINE_NO_SQLITE: fact(500, false, 'No usable SQLite driver was found.'),
  SPINE_OPTION_INVALID: fact(400, false, 'An option does not exist, or has a value outside its bounds.'),
  SPINE_PAYLOAD_NOT_JSON: fact(400, false, 'A value cannot be stored as JSON without changing it.'),
  SPINE_PAYLOAD_TOO_DEEP: fact(400, false, 'A value is nested more deeply than the limit.'),
  SPINE_PAYLOAD_TOO_LARGE: fact(413, false, 'A value is larger than the limit.'),
  SPINE_PREEMPTED: fact(503, true, 'More urgent work took the slot of a run, which goes on later.'),
  SPINE_QUEUE_FULL: fact(429, true, "An agent has as much open work as its 'maxPending' allows."),
  SPINE_READ_ONLY: fact(405, false, 'The log was opened read-only.'),
  SPINE_REMOVED: fact(410, false, 'The agent was removed while it had open work.'),
  SPINE_REPLAY_MISMATCH: fact(409, false, 'A handler asked for something else than its journal records.'),
  SPINE_REQUEST_CANCELLED: fact(409, false, 'The request was cancelled.'),
  SPINE_REQUEST_UNKNOWN: fact(404, false, 'No request has that id.'),
  SPINE_SCHEMA_ASYNC: fact(400, false, 'An asynchronous schema was used where only a synchronous one can be.'),
  SPINE_SCHEMA_INVALID: fact(422, false, 'A value does not match its schema.'),
  SPINE_STEP_NAME: fact(400, false, 'A step has no name, or two parallel steps share one.'),
  SPINE_STEP_TIMEOUT: fact(504, true, 'A step ran longer than its timeout.'),
  SPINE_SUPERSEDED: fact(409, false, 'A newer turn of the session made the work pointless.'),
  SPINE_TIMEOUT: fact(504, true, 'A handler ran longer than its timeout.'),
  SPINE_TRIMMED: fact(410, false, 'The requested position is below the oldest retained record.'),
  SPINE_WAIT_TIMEOUT: fact(504, true, 'A wait ended before what it waited for happened.'),
} as const satisfies Record<string, ErrorFact>

export type ErrorCode = keyof typeof ERROR_TABLE

export interface SpineErrorDetails {
  /** The offending value, shortened; it is shown to people and logged. */
  readonly value?: unknown
  /** The limit that was passed. */
  readonly limit?: unknown
  /** What to do about it, one sentence. */
  readonly fix?: string
  readonly cause?: unknown
  /** `refused`: certainly not on the log. `unknown`: it may be; retry with the same idempotency key. */
  readonly outcome?: 'refused' | 'unknown'
  /** The agent that the error is about. */
  readonly agent?: string
}

/**
 * Every error that Event Spine itself raises. Match on `code`, which is stable; read `fix` for the way out.
 *
 * @example
 * try { await spine.publish(Inquiry, data) } catch (error) {
 *   if (SpineError.is(error, 'SPINE_SCHEMA_INVALID')) reply(422, error.message)
 * }
 */
export class SpineError extends Error {
  readonly code: ErrorCode
  readonly value: unknown
  readonly limit: unknown
  readonly fix: string | undefined
  readonly outcome: 'refused' | 'unknown'
  readonly agent: string | undefined

  constructor(code: ErrorCode, message: string, details: SpineErrorDetails = {}) {
    const text = details.fix === undefined ? message : `${message} ${details.fix}`
    super(text, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'SpineError'
    this.code = code
    this.value = details.value
    this.limit = details.limit
    this.fix = details.fix
    this.outcome = details.outcome ?? 'refused'
    this.agent = details.agent
  }

  get status(): number {
    return ERROR_TABLE[this.code].status
  }

  get retryable(): boolean {
    return ERROR_TABLE[this.code].retryable
  }

  /** Structural, so that it also holds for errors of another copy of this package or from another thread. */
  static is(value: unknown, code?: ErrorCode): value is SpineError {
    if (typeof value !== 'object' || value === null) return false
    const candidate = value as { name?: unknown; code?: unknown }
    if (candidate.name !== 'SpineError' || typeof candidate.code !== 'string') return false
    return Object.hasOwn(ERROR_TABLE, candidate.code) && (code === undefined || candidate.code === code)
  }
}

/** Thrown by a handler or step: do not retry, the work can never succeed. It ends in the dead letters at once. */
export class Permanent extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Permanent'
  }
}

/** Thrown by a handler or step that was told when to come back (an HTTP 429, say). It overrides the backoff. */
export class RetryAfter extends Error {
  /** A duration (`'30s'` or a number of ms) from now. */
  readonly delay: number | string

  constructor(delay: number | string, message = 'retry later', options?: ErrorOptions) {
    super(message, options)
    this.name = 'RetryAfter'
    this.delay = delay
  }
}
