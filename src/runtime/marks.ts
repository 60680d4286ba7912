/**
 * Takes what the fold has marked, and what a takeover has found, to whoever acts on it in this process.
 *
 * Job: the way from a mark to its reader. Not its job: what a mark means (`coordination/`), or what is done about it.
 */
import { takeOver } from '../coordination/decide.ts'
import type { Mark } from '../coordination/state.ts'
import { SpineError } from '../kernel/errors.ts'
import type { AfterLookUps } from './after-look-ups.ts'
import type { CatchUp } from './catch-up.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { EventWaits } from './event-waits.ts'
import type { LaneOwner } from './lane-owner.ts'
import type { RunHost } from './run-host.ts'

const RESTARTED = new SpineError('SPINE_REQUEST_CANCELLED', 'The run was started over.')

export class Marks {
  readonly #host: RunHost
  readonly #dispatcher: Dispatcher
  readonly #owner: LaneOwner
  readonly #lookUps: AfterLookUps
  readonly #waits: EventWaits
  readonly #catchUp: CatchUp

  constructor(
    host: RunHost,
    dispatcher: Dispatcher,
    owner: LaneOwner,
    lookUps: AfterLookUps,
    waits: EventWaits,
    catchUp: CatchUp,
  ) {
    this.#host = host
    this.#dispatcher = dispatcher
    this.#owner = owner
    this.#lookUps = lookUps
    this.#waits = waits
    this.#catchUp = catchUp
  }

  /** From here on this process decides: what the records before it have left to do. */
  async takeOver(): Promise<void> {
    const { state } = this.#host
    const { ready, crashLoops, waitingCalls, held, late, waits, stale } = takeOver(state)
    // First, because what comes from here on must not be taken before what came earlier.
    this.#waits.look(waits)
    await Promise.all(crashLoops.map((place) => this.#owner.endCrashLoop(place)))
    for (const place of waitingCalls) this.#owner.breakCycle(place)
    for (const place of stale) this.#owner.overtake(place)
    this.#lookUps.add(held)
    for (const place of late) this.#owner.cancelLate(place)
    for (const { name, breaker } of state.agents) {
      if (breaker !== undefined) this.#owner.moveBreaker(name)
      this.#catchUp.goOn(name)
    }
    for (const { row, source } of ready) this.#dispatcher.ready(row, source)
  }

  /** In their order. */
  carryOut(marks: readonly Mark[]): void {
    for (const mark of marks) {
      if (mark.kind === 'ready') this.#dispatcher.ready(mark.row, mark.source)
      else if (mark.kind === 'let in') this.#dispatcher.letIn(mark.row, mark.source)
      else if (mark.kind === 'outcome') this.#tell(mark)
      else if (mark.kind === 'ended') this.#ended(mark)
      else if (mark.kind === 'restarted') this.#dispatcher.runOf(mark.row, mark.source)?.stop(RESTARTED)
      else if (mark.kind === 'cycle') this.#owner.breakCycle(mark)
      else if (mark.kind === 'held') this.#lookUps.add([mark])
      else if (mark.kind === 'waiting') this.#waits.look([mark])
      else if (mark.kind === 'awaited') this.#waits.came(mark.record)
      else if (mark.kind === 'late') this.#owner.cancelLate(mark)
      else if (mark.kind === 'urged') this.#dispatcher.urged(mark.row, mark.source)
      else if (mark.kind === 'stale') this.#owner.overtake(mark)
      else if (mark.kind === 'fresh') this.#dispatcher.fresh(mark.row, mark.source)
      else if (mark.kind === 'resumed') this.#dispatcher.resumed(mark.agent)
      else if (mark.kind === 'breaker') this.#owner.moveBreaker(mark.agent)
      else if (mark.kind === 'behind') this.#catchUp.moved(mark.agent)
    }
  }

  #tell({ row, source, command, record }: Extract<Mark, { kind: 'outcome' }>): void {
    const run = this.#dispatcher.runOf(row, source)
    if (run === undefined) this.#dispatcher.goOn(row, source)
    else run.receive(command, record)
  }

  #ended({ row, source, record }: Extract<Mark, { kind: 'ended' }>): void {
    this.#dispatcher.runOf(row, source)?.ended(record)
    if (!this.#host.state.deliveries.hasSource(source)) this.#host.records.letGo(source)
  }
}
