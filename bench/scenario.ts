/** What a scenario is and what one run of it gives. Scenarios themselves are in `scenarios/`. */
import type { Durability } from 'event-spine'

export interface Scenario {
  readonly name: string
  readonly inFlight: number
  /** What `n`, `perSecond` and the latencies count. */
  readonly unit: 'handoff' | 'session' | 'publish' | 'delivery'
  /** Durable handoffs in one unit, where the unit consists of them. */
  readonly handoffsPerUnit?: number
  run(options: RunOptions): Promise<Sample>
}

export interface RunOptions {
  /** A fresh folder for the log; removed afterwards. */
  readonly directory: string
  /** How long to measure, warm-up not counted. */
  readonly seconds: number
}

/** The figures of one run. */
export interface Sample {
  readonly n: number
  readonly perSecond: number
  readonly p50Ms: number
  /** `null` where one run gives a single latency. */
  readonly p99Ms: number | null
  /** User and system time of all threads of the process. */
  readonly cpuSecondsPer1000: number
  readonly durability: Durability
}
