/** Runs the function of one step: its own tries, its own timeout, its result encoded. Journaling it is `run.ts`'s job. */

import { delayMs } from '../coordination/decide.ts'
import type { Clock } from '../kernel/clock.ts'
import { SpineError } from '../kernel/errors.ts'
import { type Encoded, encodeJson } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import type { Random } from '../kernel/random.ts'
import type { StepCommand } from './command.ts'
import { failureOf } from './failure.ts'

export interface StepSurroundings {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  readonly idempotencyKey: string
  readonly maybeDone: boolean
  readonly what: string
}

/** `undefined` when the function returned nothing. Rejects with what the last try threw. */
export async function runStep(command: StepCommand, around: StepSurroundings): Promise<Encoded | undefined> {
  const { attempts, delayMsMin, delayMsMax } = command.retry
  for (let attempt = 1; ; attempt++) {
    try {
      const isRetried = attempt > 1 && command.kind === 'effect'
      return encoded(await runOnce(command, isRetried ? { ...around, maybeDone: true } : around), around.what)
    } catch (error) {
      const { permanent, retryAfterMs } = failureOf(error)
      if (attempt >= attempts || around.signal.aborted || permanent === true) throw error
      await pause(around, delayMs(attempt, delayMsMin, delayMsMax, retryAfterMs, around.random))
      if (around.signal.aborted) throw error
    }
  }
}

function encoded(value: unknown, what: string): Encoded | undefined {
  return value === undefined ? undefined : encodeJson(value, `${what}: result`, limits.stepResultBytesMax)
}

function runOnce(command: StepCommand, around: StepSurroundings): Promise<unknown> {
  const { signal, idempotencyKey, maybeDone } = around
  const { timeoutMs } = command
  if (timeoutMs === undefined) return Promise.resolve(command.run({ signal, idempotencyKey, maybeDone }))
  const own = new AbortController()
  const both = AbortSignal.any([signal, own.signal])
  return new Promise((resolve, reject) => {
    const timer = around.clock.setTimer(around.clock.now() + timeoutMs, () => {
      const error = new SpineError('SPINE_STEP_TIMEOUT', `${around.what} ran longer than ${timeoutMs} ms.`, {
        limit: timeoutMs,
        fix: "Hand 'signal' to what it calls, or raise the step's timeout.",
      })
      own.abort(error)
      reject(error)
    })
    Promise.resolve()
      .then(() => command.run({ signal: both, idempotencyKey, maybeDone }))
      .then(resolve, reject)
      .finally(() => timer.cancel())
  })
}

function pause(around: StepSurroundings, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = around.clock.setTimer(around.clock.now() + ms, done)
    around.signal.addEventListener('abort', done, { once: true })
    function done() {
      timer.cancel()
      around.signal.removeEventListener('abort', done)
      resolve()
    }
  })
}
