/**
 * A steady load: `inFlight` operations are always open; whenever one ends, the next begins.
 *
 * Not one `Promise.all` over everything: that would measure how a machine swallows a burst, not what it sustains.
 */
import type { Durability } from 'event-spine'
import type { Sample } from './scenario.ts'
import { percentile } from './statistics.ts'

export interface WindowOptions {
  readonly inFlight: number
  readonly seconds: number
  readonly durability: Durability
  /** Starts one operation; resolves with its latency in milliseconds when it has ended. */
  one(index: number): Promise<number>
}

/** Compilers and caches settle within this. */
const WARM_UP_MS = 1_000
/** What is still open so long after the load has stopped will never end: a bench must not hang. */
const DRAIN_MS_MAX = 30_000

export function measureWindow(options: WindowOptions): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const { inFlight, seconds, one } = options
    const latenciesMs: number[] = []
    let phase: 'warm-up' | 'measuring' | 'draining' = 'warm-up'
    let sample: Sample | undefined
    let begun = 0
    let open = 0
    let startedAt = 0
    let startedCpu = process.cpuUsage()
    let timer = setTimeout(measure, WARM_UP_MS)

    const fail = (error: unknown) => {
      clearTimeout(timer)
      phase = 'draining'
      reject(error)
    }
    const fill = () => {
      while (phase !== 'draining' && open < inFlight) {
        open++
        one(begun++).then(ended, fail)
      }
      if (open === 0 && sample !== undefined) {
        clearTimeout(timer)
        resolve(sample)
      }
    }
    const ended = (latencyMs: number) => {
      open--
      if (phase === 'measuring') latenciesMs.push(latencyMs)
      fill()
    }

    function measure(): void {
      phase = 'measuring'
      startedAt = performance.now()
      startedCpu = process.cpuUsage()
      timer = setTimeout(stop, seconds * 1_000)
    }

    function stop(): void {
      const elapsedSeconds = (performance.now() - startedAt) / 1_000
      const { user, system } = process.cpuUsage(startedCpu)
      const n = latenciesMs.length
      phase = 'draining'
      timer = setTimeout(
        () => fail(new Error(`${open} operations have not ended ${DRAIN_MS_MAX} ms after the last began`)),
        DRAIN_MS_MAX,
      )
      try {
        sample = {
          n,
          perSecond: n / elapsedSeconds,
          p50Ms: percentile(latenciesMs, 0.5),
          p99Ms: percentile(latenciesMs, 0.99),
          cpuSecondsPer1000: (user + system) / 1_000 / n,
          durability: options.durability,
        }
      } catch (error) {
        fail(error)
      }
      fill()
    }

    fill()
  })
}
