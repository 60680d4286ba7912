import type { SpineEvent } from '../agent/event-type.ts'
import type { Mark } from '../coordination/state.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { Priority } from '../event/priority.ts'
import type { LogRecord } from '../event/record.ts'
import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { callFailed } from './outcome.ts'
import type { Published } from './publisher.ts'
import type { Requests } from './requests.ts'
import type { Runtime } from './runtime.ts'

/** Directed work that was started from outside. */
export interface WorkHandle<Reply> {
  readonly request: string
  readonly sequence: number
  /** The idempotency key was used before; this is the work that it started. */
  readonly duplicate: boolean
  /**
   * The reply of whoever ends up owning the work. Default bound: 60 s.
   *
   * @throws SPINE_CALL_FAILED with agent and cause; SPINE_WAIT_TIMEOUT: the work goes on.
   */
  result(options?: { readonly within?: Duration }): Promise<Reply>
  /** The events of the request, from its first to its last; the loop ends when the request is at rest at hosted agents. */
  events(): AsyncIterableIterator<SpineEvent>
  /** Ends the request of this work and all that followed from it. */
  cancel(why: string): Promise<void>
  /** Gives the request of this work another class, queued or running: see `requests.setPriority`. */
  setPriority(priority: Priority, why?: string): Promise<void>
}

const RESULT_OPTIONS = optionNames<{ readonly within?: Duration }>({ within: true })

const ENDS = [
  'spine.delivery.completed',
  'spine.delivery.skipped',
  'spine.delivery.superseded',
  'spine.delivery.cancelled',
  'spine.delivery.expired',
  'spine.delivery.dead',
  'spine.delivery.redriven',
  'spine.request.cancelled',
  'spine.request.expired',
]

export function workHandle(
  runtime: Runtime,
  requests: Requests,
  target: string,
  { request, sequence, duplicate }: Published,
): WorkHandle<unknown> {
  return {
    request,
    sequence,
    duplicate,
    cancel: (why) => requests.cancel(request, why),
    setPriority: (priority, why) => requests.setPriority(request, priority, why),
    events: () => requests.events(request),
    async result(options = {}) {
      requireKnownOptions(options, RESULT_OPTIONS, 'result')
      const withinMs = durationMs(options.within ?? '60s', 'result: within')
      const ended = isOpen(runtime, request, sequence)
        ? await nextEnd(runtime, (mark) => mark.call === sequence, withinMs)
        : await findEnd(runtime, { request, sequence, target, withinMs })
      if (ended.type === 'spine.delivery.completed')
        return (ended.data as unknown as SystemData<'spine.delivery.completed'>).reply
      throw callFailed(target, ended)
    },
  }
}

function isOpen({ state }: Runtime, request: string, call: number): boolean {
  const { requests, deliveries } = state
  const slot = requests.find(request)
  for (let row = slot === 0 ? 0 : requests.firstRow(slot); row !== 0; row = deliveries.nextOfRequest(row)) {
    if (deliveries.call[row] === call) return true
  }
  return false
}

type Ended = Extract<Mark, { kind: 'ended' }>

/** The next end that `isIt`, but for a handoff, which only passes the work on. */
function nextEnd(runtime: Runtime, isIt: (mark: Ended) => boolean, withinMs: number): Promise<LogRecord> {
  const { clock, onFolded } = runtime
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(clock.now() + withinMs, () => {
      onFolded.delete(look)
      reject(
        new SpineError('SPINE_WAIT_TIMEOUT', `No reply came within ${withinMs} ms; the work goes on.`, {
          limit: withinMs,
          fix: 'Call result() again, or cancel the work.',
        }),
      )
    })
    const look: Parameters<typeof onFolded.add>[0] = (marks) => {
      if (runtime.isClosed) return end(() => reject(runtime.failure ?? closed()))
      for (const mark of marks) {
        if (mark.kind === 'ended' && isIt(mark) && !isHandoff(mark.record)) return end(() => resolve(mark.record))
      }
    }
    const end = (settle: () => void) => {
      timer.cancel()
      onFolded.delete(look)
      settle()
    }
    onFolded.add(look)
  })
}

function closed(): SpineError {
  return new SpineError('SPINE_CLOSED', 'The spine has closed; the work goes on when this log is opened again.', {
    fix: 'Ask for the result again there: start() with the same idempotency key.',
  })
}

/** Follows the owners of ended work through the log: from handoff to handoff to the end. */
async function findEnd(
  runtime: Runtime,
  { request, sequence, target, withinMs }: { request: string; sequence: number; target: string; withinMs: number },
): Promise<LogRecord> {
  let owner = { source: sequence, agent: target }
  let after = sequence
  let last: LogRecord | undefined
  for (;;) {
    const page = await runtime.engine.read({ request, types: ENDS, after, limit: limits.readRecordsMax })
    for (const record of page) {
      after = record.sequence
      const ofRequest = record.type.startsWith('spine.request.')
      // What ended by itself is not undone by the end of its request; a dead letter that was redriven has no end yet.
      if (ofRequest && last !== undefined && last.type !== 'spine.delivery.dead') continue
      if (!ofRequest && (record.cause !== owner.source || record.agent !== owner.agent)) continue
      if (isHandoff(record)) owner = { source: record.sequence, agent: handoffOf(record)?.target as string }
      else last = record.type === 'spine.delivery.redriven' ? undefined : record
    }
    if (page.length < limits.readRecordsMax) break
  }
  if (last !== undefined) return last
  const { source, agent } = owner
  // Redriven by someone: it owes no reply to the log any more, and still has one for whoever asks here.
  const index = runtime.state.agentIndex.get(agent)
  if (index !== undefined && runtime.state.deliveries.find(source, index) !== 0)
    return nextEnd(runtime, (mark) => mark.source === source && mark.record.agent === agent, withinMs)
  throw new SpineError('SPINE_REMOVED', `The work was given up: its agent '${owner.agent}' was removed or renamed.`, {
    value: owner.agent,
    fix: 'Start it again with an agent that exists.',
  })
}

function isHandoff(record: LogRecord): boolean {
  return record.type === 'spine.delivery.completed' && handoffOf(record) !== undefined
}

function handoffOf(record: LogRecord) {
  return (record.data as unknown as SystemData<'spine.delivery.completed'>).handoff
}
