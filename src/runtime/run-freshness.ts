/**
 * What a run does when a newer turn of its session has come: it writes nothing until the fold has judged, and nothing at all
 * when that has superseded it.
 *
 * Job: wait for the judgement. Not its job: the judgement (`coordination/freshness.ts`).
 */
import { turnHead } from '../coordination/freshness.ts'
import type { AppendOutcome } from '../engine/engine.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Run } from './run.ts'

type Conflict = Extract<AppendOutcome, { status: 'conflict' }>

export class RunFreshness {
  #waiting: (() => void)[] | undefined
  #asking = 0

  /** A commit of the run waits for the judgement, and may be tried again. */
  get isAsking(): boolean {
    return this.#asking > 0
  }

  /** True when what was refused may be tried again. False when another head refused it, or the run is over. */
  async passes(run: Run, { head, at }: Conflict): Promise<boolean> {
    if (!run.agent.isFresh || head !== turnHead(run.header.session)) return false
    // Whoever waits holds no slot: the newer turn may need it.
    run.busy--
    this.#asking++
    run.wake()
    try {
      if (!(await run.host.passing(at - 1))) return false
      while (isHeldByTurn(run)) await this.#freshOrOver()
      return !run.isOver
    } finally {
      this.#asking--
      run.busy++
    }
  }

  /** Or over. */
  freshAgain(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const go of waiting) go()
  }

  #freshOrOver(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting ??= []
      this.#waiting.push(resolve)
    })
  }
}

/** Whether it may do nothing more for now, and perhaps ever: for a newer turn, or for who works in its place since that. */
export function isHeldByTurn({ host, agent, row, source, exclusive, isOver }: Run): boolean {
  if (isOver || host.state.deliveries.source[row] !== source) return false
  return host.state.turns.isStale(row) || (exclusive !== undefined && agent.isFresh && host.isBarred(row))
}

/** Up to where newer turns are known to leave it alone: what a stale run writes is refused, until it is fresh again. */
export function judgedUpTo(run: Run): Sequence {
  const { at, turns } = run.host.state
  const stale = isHeldByTurn(run) ? turns.stale.get(run.row) : undefined
  return stale === undefined ? at : stale.by - 1
}
