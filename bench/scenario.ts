/** What a scenario is and what one run of it gives. Scenarios themselves are in `scenarios/`. */
import type { Durability } from 'event-spine'

export interface Scenario {
  readonly name: string
  /** Tells scenarios of one name apart where the number in flight does not. */
  readonly variant: string | null
  /** Operations that are open at any time; `null` where nothing is in flight. */
  readonly inFlight: number | null
  /** What `n`, `perSecond` and the latencies count. */
  readonly unit: 'handoff' | 'session' | 'gather' | 'answer' | 'message' | 'publish' | 'delivery' | 'record' | 'commit'
  /** Durable handoffs in one unit, where the unit consists of them. */
  readonly handoffsPerUnit?: number
  /** What a bare file has to do for one unit: the floor that is measured beside every run. */
  readonly floor?: FloorWork
  /** How much of it is done, for scenarios that end by count and not by time; `--n` overrides it. */
  readonly nDefault?: number
  /** Flags of Node that the process of a run needs. */
  readonly nodeFlags?: readonly string[]
  /** @throws when what was measured is not what had to happen: a figure of wrong work is no figure */
  run(options: RunOptions): Promise<Sample>
}

export interface FloorWork {
  /** Durable appends that follow one another: the next begins when the one before is on the disk. */
  readonly awaited: number
  /** Appends at the end that nobody waits for. */
  readonly trailing: number
  readonly bytesEach: number
}

export interface RunOptions {
  /** A fresh folder for the log; removed afterwards. */
  readonly directory: string
  /** Kept for all runs of one invocation: for input that is costly to make and is only read. */
  readonly sharedDirectory: string
  /** How long to measure, warm-up not counted; for scenarios that end by time. */
  readonly seconds: number
  /** `nDefault`, or what `--n` says. */
  readonly n: number
}

/** The figures of one run; `null` is a figure that this scenario does not have. */
export interface Sample {
  readonly n: number
  readonly perSecond: number | null
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** User and system time of all threads of the process. */
  readonly cpuSecondsPer1000: number | null
  /** The longest that a due timer had to wait for the event loop; what else the process does waits as long. */
  readonly loopStallMsMax: number | null
  readonly durability: Durability | null
  /** In bytes per unit, for scenarios that measure memory. */
  readonly memory?: MemoryPerUnit
}

export interface MemoryPerUnit {
  /** Objects, strings, maps: `heapUsed` after a full collection. */
  readonly heapBytes: number
  /** Typed arrays and buffers, capacity that is not yet used included: `arrayBuffers`. */
  readonly arrayBytes: number
  /** What the machine gave the process for it, the engine's threads included. */
  readonly residentBytes: number
}
