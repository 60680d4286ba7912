import { SpineError } from './errors.ts'
import { shown } from './shown.ts'

/** `'30s'`, `'500ms'`, `'5m'`, `'2h'`, `'3d'`, or a number of milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** A hundred years: longer than any wait, and safely inside what a date can hold. */
const DURATION_MS_MAX = 100 * 365 * 86_400_000

/**
 * Milliseconds of a duration; `option` names it in the error.
 *
 * @throws SPINE_DURATION_INVALID when it does not parse, is negative, or exceeds a hundred years.
 */
export function durationMs(duration: unknown, option: string): number {
  const ms = typeof duration === 'number' ? duration : parseText(duration)
  if (Number.isFinite(ms) && ms >= 0 && ms <= DURATION_MS_MAX) return ms
  throw new SpineError('SPINE_DURATION_INVALID', `${option}: ${shown(duration)} is not a duration.`, {
    value: duration,
    limit: DURATION_MS_MAX,
    fix: "Use a number of milliseconds or a text such as '500ms', '30s', '5m', '2h', '3d'.",
  })
}

function parseText(duration: unknown): number {
  const match = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration.trim()) : null
  return match ? Number(match[1]) * (UNIT_MS[match[2] as string] as number) : Number.NaN
}
