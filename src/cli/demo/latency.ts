/** A modelled latency: how long something that we do not have would take. */
import { setTimeout as pause } from 'node:timers/promises'
import { fraction, seededRandom } from '../../kernel/random.ts'
import { UsageError } from '../usage-error.ts'

/** Uniform between the two, both included. */
export interface Latency {
  readonly msMin: number
  readonly msMax: number
}

/** Below it, a modelled latency is still a demo; above it, a typing error. */
const MS_MAX = 600_000

/** Reads `5` or `2..8`. @throws UsageError */
export function parseLatency(text: string): Latency {
  const match = /^(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?$/.exec(text)
  const msMin = Number(match?.[1])
  const msMax = Number(match?.[2] ?? match?.[1])
  if (msMin <= msMax && msMax <= MS_MAX) return { msMin, msMax }
  throw new UsageError(`'${text}' is no latency: write milliseconds, such as 5, or a range, such as 2..8.`)
}

/** The same for the same seed, so that a run repeated takes the same time. */
export function latencyMs({ msMin, msMax }: Latency, seed: string): number {
  return msMin + (msMax - msMin) * fraction(seededRandom(seed))
}

/** Waits that long. Timers count whole milliseconds: zero does not wait at all. */
export async function pauseFor(ms: number, signal?: AbortSignal): Promise<void> {
  const whole = Math.round(ms)
  if (whole > 0) await pause(whole, undefined, signal === undefined ? {} : { signal })
}

export function describeLatency({ msMin, msMax }: Latency): string {
  return msMin === msMax ? `${msMin} ms` : `${msMin} to ${msMax} ms`
}
