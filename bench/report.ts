/** From the runs of a scenario to one line, for people or for programs. */
import Table from 'cli-table3'
import type { Sample, Scenario } from './scenario.ts'
import { median } from './statistics.ts'

export interface Result extends Sample {
  readonly scenario: Scenario
  readonly fdatasyncP50Ms: number
}

/** Medians, figure by figure. */
export function resultOf(scenario: Scenario, samples: readonly Sample[], fdatasyncsMs: readonly number[]): Result {
  const of = (figure: (sample: Sample) => number) => median(samples.map(figure))
  const [{ durability, p99Ms }] = samples as readonly [Sample]
  return {
    scenario,
    n: of(({ n }) => n),
    perSecond: of(({ perSecond }) => perSecond),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: p99Ms === null ? null : of((sample) => sample.p99Ms ?? Number.NaN),
    cpuSecondsPer1000: of(({ cpuSecondsPer1000 }) => cpuSecondsPer1000),
    fdatasyncP50Ms: median(fdatasyncsMs),
    durability,
  }
}

export function toJsonLine({ scenario, ...figures }: Result): string {
  return JSON.stringify({
    bench: scenario.name,
    inFlight: scenario.inFlight,
    n: figures.n,
    perSecond: rounded(figures.perSecond),
    p50Ms: rounded(figures.p50Ms),
    p99Ms: figures.p99Ms === null ? null : rounded(figures.p99Ms),
    cpuSecondsPer1000: rounded(figures.cpuSecondsPer1000),
    fdatasyncP50Ms: rounded(figures.fdatasyncP50Ms),
    durability: figures.durability.level,
  })
}

const COLUMNS = [
  'bench',
  'in flight',
  'n',
  'a second',
  'handoffs/s',
  'p50 ms',
  'p99 ms',
  'CPU s/1,000',
  'fdatasync ms',
  'durability',
]

/** Below each figure, what it is in syncs of this machine: `2.1 ×` as long as one, `9.4 a sync` in the time of one. */
export function toTable(results: readonly Result[]): string {
  const table = new Table({ head: COLUMNS, style: { head: [], border: [] } })
  for (const result of results) {
    const { scenario, n, perSecond, p50Ms, p99Ms, cpuSecondsPer1000, fdatasyncP50Ms: sync } = result
    const handoffs = scenario.handoffsPerUnit === undefined ? undefined : perSecond * scenario.handoffsPerUnit
    const rate = (value: number) => `${text(value)}\n${text((value * sync) / 1_000)} a sync`
    const time = (value: number) => `${text(value)}\n${text(value / sync)} ×`
    table.push([
      scenario.name,
      text(scenario.inFlight),
      `${text(n)}\n${plural(scenario.unit)}`,
      rate(perSecond),
      handoffs === undefined ? '' : rate(handoffs),
      time(p50Ms),
      p99Ms === null ? '' : time(p99Ms),
      // Seconds per 1,000 are milliseconds for one.
      time(cpuSecondsPer1000),
      text(sync),
      result.durability.level,
    ])
  }
  const evidence = new Set(results.map(({ durability }) => `${durability.level}: ${durability.evidence}`))
  return [table.toString(), ...evidence].join('\n')
}

function plural(unit: Scenario['unit']): string {
  const plurals = { handoff: 'handoffs', session: 'sessions', publish: 'publishes', delivery: 'deliveries' }
  return plurals[unit]
}

/** Three significant digits, whole numbers in full. */
function rounded(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3))
}

function text(value: number): string {
  return rounded(value).toLocaleString('en-US', { maximumSignificantDigits: 15 })
}
