/**
 * A steady load: `inFlight` operations are always open; whenever one ends, the next begins.
 *
 * Not one `Promise.all` over everything: that would measure how a machine swallows a burst, not what it sustains.
 */
import type { Durability } from 'event-spine'
import type { Sample } from './scenario.ts'
import { percentile } from './statistics.ts'

interface Load {
  readonly inFlight: number
  readonly durability: Durability | null
  /** Starts one operation; resolves with its latency in milliseconds when it has ended. */
  one(index: number): Promise<number>
}

/** Compilers and caches settle within this. */
const WARM_UP_MS = 1_000
/** How often the event loop is asked whether it still turns. */
const TURN_MS = 5
/** When nothing has ended for so long, nothing will: a bench must not hang. */
const STALL_MS_MAX = 30_000

/**
 * Warms up, measures for `seconds`, lets what is open end.
 *
 * It looks at the time when an operation ends and sets no timer: a load that keeps the event loop to itself would let
 * a timer wait for seconds, and the figure would be of another stretch of time than it says.
 */
export async function measureForSeconds(load: Load & { readonly seconds: number }): Promise<Sample> {
  const startedAt = performance.now()
  let meter: Meter | undefined
  let sample: Sample | undefined
  const onEnded = (latencyMs: number) => {
    if (sample !== undefined) return
    const elapsedMs = performance.now() - startedAt
    meter?.latenciesMs.push(latencyMs)
    if (elapsedMs >= WARM_UP_MS) meter ??= new Meter()
    if (meter !== undefined && meter.elapsedMs() >= load.seconds * 1_000) sample = meter.sample(load.durability)
  }
  await slide(load, () => sample === undefined, onEnded)
  return sample as unknown as Sample
}

/** Exactly `count` operations, from the start of the first to the end of the last. */
export async function measureCount(load: Load & { readonly count: number }): Promise<Sample> {
  const meter = new Meter()
  await slide(
    load,
    (index) => index < load.count,
    (latencyMs) => meter.latenciesMs.push(latencyMs),
  )
  return meter.sample(load.durability)
}

/** Until `isWanted` says no and all that began has ended. */
function slide(load: Load, isWanted: (index: number) => boolean, onEnded: (latencyMs: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let begun = 0
    let open = 0
    let endedCount = 0
    let endedAtLastLook = -1
    const watch = setInterval(() => {
      if (endedCount === endedAtLastLook) fail(new Error(`None of ${open} operations has ended in ${STALL_MS_MAX} ms.`))
      endedAtLastLook = endedCount
    }, STALL_MS_MAX)
    let isFailed = false

    const fail = (error: unknown) => {
      isFailed = true
      clearInterval(watch)
      reject(error)
    }
    const fill = () => {
      while (!isFailed && open < load.inFlight && isWanted(begun)) {
        open++
        load.one(begun++).then(ended, fail)
      }
      if (open > 0 || isFailed) return
      clearInterval(watch)
      resolve()
    }
    const ended = (latencyMs: number) => {
      open--
      endedCount++
      onEnded(latencyMs)
      fill()
    }
    fill()
  })
}

/** Time, CPU and the longest wait of a due timer, from its making to its sample. */
class Meter {
  readonly latenciesMs: number[] = []
  readonly #startedAt = performance.now()
  readonly #startedCpu = process.cpuUsage()
  #turnedAt = this.#startedAt
  #stallMs = 0
  readonly #turns = setInterval(() => this.#turn(), TURN_MS)

  elapsedMs(): number {
    return performance.now() - this.#startedAt
  }

  sample(durability: Durability | null): Sample {
    const elapsedSeconds = this.elapsedMs() / 1_000
    const { user, system } = process.cpuUsage(this.#startedCpu)
    clearInterval(this.#turns)
    this.#turn()
    const n = this.latenciesMs.length
    return {
      n,
      perSecond: n / elapsedSeconds,
      p50Ms: percentile(this.latenciesMs, 0.5),
      p99Ms: percentile(this.latenciesMs, 0.99),
      cpuSecondsPer1000: (user + system) / 1_000 / n,
      loopStallMsMax: this.#stallMs,
      durability,
    }
  }

  #turn(): void {
    const now = performance.now()
    this.#stallMs = Math.max(this.#stallMs, now - this.#turnedAt - TURN_MS)
    this.#turnedAt = now
  }
}
