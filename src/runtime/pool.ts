/**
 * Slots that agents share, and the lines of agents that wait for one.
 *
 * Job: count slots, and say which line goes next. Not its job: which of its line (`line.ts`), starting it, or making room
 * (`dispatcher.ts`).
 *
 * P1  Of the lines that wait, one with the most urgent work goes next; lines of equal urgency take turns.
 * P2  Of every `limits.oldestEveryStarts` starts one goes to the oldest work, whatever its class: so nothing waits for ever, and
 *     no clock is asked. It stops nobody.
 */
import { PRIORITIES, type Urgency } from '../event/priority.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { Line } from './line.ts'
import type { Run } from './run.ts'

export const DEFAULT_POOL = 'default'

/** As urgent as nothing: no line waits. */
export const NOTHING: Urgency = PRIORITIES.length

export class Pool {
  readonly name: string
  readonly slots: number
  slotsTaken = 0
  /** Runs that hold a slot, in the order in which they took it. */
  readonly running = new Set<Run>()
  isFilling = false
  readonly #waiting: readonly Set<Line>[] = PRIORITIES.map(() => new Set())
  #linesWaiting = 0
  #sinceOldest = 0

  constructor(name: string, slots: number) {
    this.name = name
    this.slots = slots
  }

  get isFull(): boolean {
    return this.slotsTaken >= this.slots
  }

  /** One more than all: for what cannot wait for an effect to end. */
  get hasReserve(): boolean {
    return this.slotsTaken <= this.slots
  }

  get hasWaiting(): boolean {
    return this.#linesWaiting > 0
  }

  /** The class of the most urgent work that waits for a slot of this pool. */
  get mostUrgent(): Urgency {
    if (this.#linesWaiting === 0) return NOTHING
    let urgency = 0
    while ((this.#waiting[urgency] as Set<Line>).size === 0) urgency++
    return urgency
  }

  /** What this line has to do, or whether it has a slot of its own to do it with, has changed. */
  offer(line: Line): void {
    const urgency = line.isFull ? NOTHING : line.mostUrgent
    if (urgency === line.listedAs) return
    this.#unlist(line)
    if (urgency === NOTHING) return
    ;(this.#waiting[urgency] as Set<Line>).add(line)
    line.listedAs = urgency
    this.#linesWaiting++
  }

  /** Whether the next start is the turn of the oldest. */
  get isTurnOfOldest(): boolean {
    return this.#sinceOldest >= limits.oldestEveryStarts - 1
  }

  next(): Line | undefined {
    const urgency = this.mostUrgent
    if (urgency === NOTHING) return undefined
    const [line] = this.#waiting[urgency] as unknown as readonly [Line]
    return line
  }

  oldest(): Line | undefined {
    let oldest: Line | undefined
    for (const lines of this.#waiting)
      for (const line of lines) if (oldest === undefined || line.oldestSource < oldest.oldestSource) oldest = line
    return oldest
  }

  /** A line has started something. `wasOldest`: in the turn of the oldest. */
  started(line: Line, wasOldest: boolean): void {
    this.#sinceOldest = wasOldest ? 0 : this.#sinceOldest + 1
    // Behind the others of its class.
    this.#unlist(line)
    this.offer(line)
  }

  #unlist(line: Line): void {
    if (line.listedAs === NOTHING) return
    ;(this.#waiting[line.listedAs] as Set<Line>).delete(line)
    line.listedAs = NOTHING
    this.#linesWaiting--
  }
}

/** The pools of a process, by name. @throws SPINE_OPTION_INVALID */
export function createPools(sizes: { readonly [name: string]: number } = {}): ReadonlyMap<string, Pool> {
  const named = Object.entries(sizes)
  if (named.length > limits.poolsMax) {
    throw new SpineError('SPINE_OPTION_INVALID', `createSpine was given ${named.length} pools.`, {
      value: named.length,
      limit: limits.poolsMax,
      fix: 'Let agents that need the same thing share a pool.',
    })
  }
  const pools = new Map([[DEFAULT_POOL, new Pool(DEFAULT_POOL, limits.defaultPoolRuns)]])
  for (const [name, slots] of named) {
    if (!Number.isSafeInteger(slots) || slots < 1 || slots > limits.poolRunsMax) {
      throw new SpineError('SPINE_OPTION_INVALID', `pools.${name} is ${slots}.`, {
        value: slots,
        limit: limits.poolRunsMax,
        fix: `Use a whole number from 1 to ${limits.poolRunsMax}.`,
      })
    }
    pools.set(name, new Pool(name, slots))
  }
  return pools
}
