/** From the runs of a scenario to one line, for people or for programs. */
import Table from 'cli-table3'
import type { RunResult } from './run-process.ts'
import type { MemoryPerUnit, Sample, Scenario } from './scenario.ts'
import { median } from './statistics.ts'

export interface Result extends Omit<Sample, 'memory'> {
  readonly scenario: Scenario
  readonly runs: number
  readonly fdatasyncP50Ms: number
  /** What a bare file with group commit does of the same work. */
  readonly floorPerSecond: number | null
  /** The scenario's share of its floor: the median of the runs' own ratios, since both moved together. */
  readonly floorShare: number | null
  readonly memory: MemoryPerUnit | null
}

/** Medians, figure by figure. A figure that a run lacks is `null`, never made up from the others. */
export function resultOf(scenario: Scenario, runs: readonly RunResult[]): Result {
  const of = (figure: (run: RunResult) => number | null | undefined) => {
    const values = runs.map(figure).filter((value) => value !== null && value !== undefined)
    return values.length === runs.length ? median(values) : null
  }
  const memory = {
    heapBytes: of(({ sample }) => sample.memory?.heapBytes),
    arrayBytes: of(({ sample }) => sample.memory?.arrayBytes),
    residentBytes: of(({ sample }) => sample.memory?.residentBytes),
  }
  return {
    scenario,
    runs: runs.length,
    n: median(runs.map(({ sample }) => sample.n)),
    perSecond: of(({ sample }) => sample.perSecond),
    p50Ms: of(({ sample }) => sample.p50Ms),
    p99Ms: of(({ sample }) => sample.p99Ms),
    cpuSecondsPer1000: of(({ sample }) => sample.cpuSecondsPer1000),
    loopStallMsMax: of(({ sample }) => sample.loopStallMsMax),
    fdatasyncP50Ms: median(runs.map(({ fdatasyncMs }) => fdatasyncMs)),
    floorPerSecond: of(({ floorPerSecond }) => floorPerSecond),
    floorShare: of(({ sample: { perSecond }, floorPerSecond }) =>
      perSecond === null || floorPerSecond === null ? null : perSecond / floorPerSecond,
    ),
    durability: runs[0]?.sample.durability ?? null,
    memory: memory.heapBytes === null ? null : (memory as MemoryPerUnit),
  }
}

export function toJsonLine(result: Result): string {
  const { scenario, memory } = result
  const ofMemory = (bytes: number | undefined) => (bytes === undefined ? null : rounded(bytes))
  return JSON.stringify({
    bench: scenario.name,
    variant: scenario.variant,
    inFlight: scenario.inFlight,
    unit: scenario.unit,
    runs: result.runs,
    n: result.n,
    perSecond: rounded(result.perSecond),
    p50Ms: rounded(result.p50Ms),
    p99Ms: rounded(result.p99Ms),
    cpuSecondsPer1000: rounded(result.cpuSecondsPer1000),
    loopStallMsMax: rounded(result.loopStallMsMax),
    fdatasyncP50Ms: rounded(result.fdatasyncP50Ms),
    floorPerSecond: rounded(result.floorPerSecond),
    floorShare: rounded(result.floorShare),
    heapBytesEach: ofMemory(memory?.heapBytes),
    arrayBytesEach: ofMemory(memory?.arrayBytes),
    residentBytesEach: ofMemory(memory?.residentBytes),
    durability: result.durability?.level ?? null,
  })
}

const COLUMNS = [
  'bench',
  'in flight',
  'n',
  'a second',
  'handoffs/s',
  'floor/s',
  'p50 ms',
  'p99 ms',
  'stall ms',
  'CPU s/1,000',
  'bytes each',
  'fdatasync ms',
  'durability',
]

/**
 * Below each figure, what it is in syncs of this machine: `2.1 ×` as long as one, `9.4 a sync` in the time of one; below
 * the floor, how much of it was reached.
 */
export function toTable(results: readonly Result[]): string {
  const table = new Table({ head: COLUMNS, style: { head: [], border: [] } })
  for (const result of results) {
    const { scenario, n, perSecond, floorPerSecond, floorShare, memory, fdatasyncP50Ms: sync } = result
    const { handoffsPerUnit } = scenario
    const rate = (value: number | null) =>
      value === null ? '' : `${text(value)}\n${text((value * sync) / 1_000)} a sync`
    const time = (value: number | null) => (value === null ? '' : `${text(value)}\n${text(value / sync)} ×`)
    table.push([
      scenario.variant === null ? scenario.name : `${scenario.name}\n${scenario.variant}`,
      scenario.inFlight === null ? '' : text(scenario.inFlight),
      `${text(n)}\n${PLURALS[scenario.unit]}`,
      rate(perSecond),
      handoffsPerUnit === undefined || perSecond === null ? '' : rate(perSecond * handoffsPerUnit),
      floorPerSecond === null || floorShare === null
        ? ''
        : `${text(floorPerSecond)}\n${text(floorShare * 100)} % reached`,
      time(result.p50Ms),
      time(result.p99Ms),
      result.loopStallMsMax === null ? '' : text(result.loopStallMsMax),
      // Seconds per 1,000 are milliseconds for one.
      time(result.cpuSecondsPer1000),
      memory === null ? '' : `${text(memory.heapBytes)} heap\n${text(memory.arrayBytes)} arrays`,
      text(sync),
      result.durability?.level ?? '',
    ])
  }
  const evidence = results.map(({ durability }) => durability).filter((durability) => durability !== null)
  return [
    table.toString(),
    ...new Set(evidence.map((durability) => `${durability.level}: ${durability.evidence}`)),
  ].join('\n')
}

const PLURALS: Readonly<Record<Scenario['unit'], string>> = {
  handoff: 'handoffs',
  session: 'sessions',
  gather: 'gathers',
  answer: 'answers',
  message: 'messages',
  publish: 'publishes',
  delivery: 'deliveries',
  record: 'records',
  commit: 'commits',
}

/** Three significant digits, whole numbers in full. */
function rounded(value: number): number
function rounded(value: number | null): number | null
function rounded(value: number | null): number | null {
  if (value === null) return null
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3))
}

function text(value: number): string {
  return rounded(value).toLocaleString('en-US', { maximumSignificantDigits: 15 })
}
