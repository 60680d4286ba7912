import { durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { requireWholeNumber } from './require-whole-number.ts'

export interface RetryOptions {
  readonly attempts?: number
  readonly backoff?: string
}

const RETRY_OPTIONS = optionNames<RetryOptions>({ attempts: true, backoff: true })
export const RETRY_DEFAULT = { attempts: 10, backoff: '500ms..1m' } as const

export interface RetryPolicy {
  readonly attempts: number
  readonly delayMsMin: number
  readonly delayMsMax: number
}

/** Reads `{ attempts, backoff: '500ms..1m' }`; a single duration is a constant bound. @throws SPINE_OPTION_INVALID */
export function retryPolicy(
  retry: RetryOptions | undefined,
  what: string,
  defaults: { attempts: number; backoff: string } = RETRY_DEFAULT,
): RetryPolicy {
  if (retry !== undefined) requireKnownOptions(retry, RETRY_OPTIONS, `${what}: retry`)
  const attempts = retry?.attempts ?? defaults.attempts
  requireWholeNumber(attempts, limits.attemptsMax, `${what}: retry.attempts`)
  const [low, high] = (retry?.backoff ?? defaults.backoff).split('..')
  const delayMsMin = durationMs(low, `${what}: retry.backoff`)
  const delayMsMax = high === undefined ? delayMsMin : durationMs(high, `${what}: retry.backoff`)
  if (delayMsMax >= delayMsMin) return { attempts, delayMsMin, delayMsMax }
  throw new SpineError('SPINE_OPTION_INVALID', `${what}: retry.backoff '${retry?.backoff}' ends below its start.`, {
    value: retry?.backoff,
    fix: "Write the shorter duration first: '500ms..1m'.",
  })
}
