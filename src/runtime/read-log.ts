/**
 * Reading the log and waiting on it: page by page, pulled by the reader, so that a slow one holds nothing in memory.
 *
 * E1  Nobody is given a record that the fold of this process has not passed: whoever reads it may answer it, or ask for
 *     the state that it led to.
 */
import type { AnyEventType, SpineEvent } from '../agent/event-type.ts'
import { requireEventType } from '../agent/require-event-type.ts'
import type { ReadQuery } from '../engine/engine.ts'
import type { LogRecord } from '../event/record.ts'
import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { includes } from '../kernel/merge-patch.ts'
import type { Runtime } from './runtime.ts'
import { toEvent } from './to-event.ts'

export interface LogQuery {
  /** Exclusive; default 0, or the end when `backwards`. */
  readonly after?: number
  /** How many records at most; default all. */
  readonly limit?: number
  readonly session?: string
  readonly request?: string
  readonly types?: readonly string[]
  readonly agent?: string
  readonly backwards?: boolean
}

export interface WaitOptions<Match = { readonly [key: string]: Json }> {
  readonly within: Duration
  readonly request?: string
  readonly session?: string
  /** Part of the data: every field in it must be there with an equal value. */
  readonly match?: Match
  /** Look above this sequence. Default: from now on, or the whole request when `request` is given. */
  readonly after?: number
}

const LOG_QUERY = optionNames<LogQuery>({
  after: true,
  limit: true,
  session: true,
  request: true,
  types: true,
  agent: true,
  backwards: true,
})
const WAIT_OPTIONS = optionNames<WaitOptions>({ within: true, request: true, session: true, match: true, after: true })

export async function* readLog(runtime: Runtime, query: LogQuery = {}): AsyncIterableIterator<LogRecord> {
  requireKnownOptions(query, LOG_QUERY, 'log.read')
  const { limit = Number.POSITIVE_INFINITY, after: from, ...conditions } = query
  checkPosition(from, 'after')
  if (limit !== Number.POSITIVE_INFINITY) checkPosition(limit, 'limit')
  let after = from
  let left = limit
  while (left > 0) {
    const size = Math.min(left, limits.readRecordsMax)
    const page = await runtime.engine.read({ ...conditions, ...(after === undefined ? {} : { after }), limit: size })
    await folded(runtime, page)
    yield* page
    left -= page.length
    if (page.length < size) return
    after = page.at(-1)?.sequence
  }
}

export async function* tailLog(runtime: Runtime, after: number): AsyncIterableIterator<LogRecord> {
  checkPosition(after, 'after')
  let at = after
  for (;;) {
    if (runtime.isClosed) return
    const page = await runtime.engine.read({ after: at, limit: limits.readRecordsMax })
    await folded(runtime, page)
    yield* page
    at = page.at(-1)?.sequence ?? at
    if (page.length === 0 && !(await runtime.passing(at))) return
  }
}

export async function waitForEvent(
  runtime: Runtime,
  type: AnyEventType,
  options: WaitOptions,
): Promise<SpineEvent | undefined> {
  requireEventType(type, 'waitFor')
  if (options !== undefined) requireKnownOptions(options, WAIT_OPTIONS, 'waitFor')
  const withinMs = durationMs(options?.within, 'waitFor: within')
  const query: ReadQuery = {
    types: [type.type],
    limit: limits.readRecordsMax,
    ...(options.request === undefined ? {} : { request: options.request }),
    ...(options.session === undefined ? {} : { session: options.session }),
  }
  const until = deadline(runtime, withinMs)
  let after = options.after ?? (options.request === undefined ? runtime.state.at : 0)
  checkPosition(after, 'after')
  try {
    for (;;) {
      const head = runtime.state.at
      const page = await runtime.engine.read({ ...query, after })
      await folded(runtime, page)
      for (const record of page) {
        const event = toEvent(record, runtime.types)
        if (options.match === undefined || includes(event.data as Json, options.match)) return event
      }
      after = page.length === limits.readRecordsMax ? (page.at(-1)?.sequence as number) : Math.max(after, head)
      // What was folded while the page was read is looked at before anything is waited for.
      if (page.length === limits.readRecordsMax || runtime.state.at > head) continue
      if (!(await until.race(sawRecordOf(runtime, type.type, after)))) return undefined
    }
  } finally {
    until.cancel()
  }
}

/** E1; a spine that folds nothing more can still be read. */
async function folded(runtime: Runtime, page: readonly LogRecord[]): Promise<void> {
  const highest = Math.max(page[0]?.sequence ?? 0, page.at(-1)?.sequence ?? 0)
  if (highest > runtime.state.at) await runtime.passing(highest - 1)
}

/** Resolves true when a record of that type above `after` is folded; false when the spine closes. */
function sawRecordOf(runtime: Runtime, type: string, after: number): Wait {
  const { onRecord, onFolded } = runtime
  let stop = () => {}
  const seen = new Promise<boolean>((resolve) => {
    const look = (record: LogRecord) => {
      if (record.type === type && record.sequence > after) resolve(true)
    }
    const closed = () => {
      if (runtime.isClosed) resolve(false)
    }
    stop = () => {
      onRecord.delete(look)
      onFolded.delete(closed)
    }
    onRecord.add(look)
    onFolded.add(closed)
    closed()
  })
  return { seen, stop }
}

interface Wait {
  readonly seen: Promise<boolean>
  readonly stop: () => void
}

function deadline({ clock }: Runtime, ms: number) {
  let late = () => {}
  const passed = new Promise<false>((resolve) => {
    late = () => resolve(false)
  })
  const timer = clock.setTimer(clock.now() + ms, () => late())
  return {
    cancel: () => timer.cancel(),
    async race(wait: Wait): Promise<boolean> {
      const result = await Promise.race([wait.seen, passed])
      wait.stop()
      return result
    },
  }
}

export function checkPosition(after: number | undefined, name: string): void {
  if (after === undefined || (Number.isSafeInteger(after) && after >= 0)) return
  throw new SpineError('SPINE_OPTION_INVALID', `${name} is ${after}.`, {
    value: after,
    fix: 'Use a sequence: a whole number from 0.',
  })
}
