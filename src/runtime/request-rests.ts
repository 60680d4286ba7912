/**
 * Waits for requests of which nothing goes on here any more: all of it has ended, or what is open waits for absent agents.
 *
 * Job: look when something of a request has moved. Not its job: what stands still (`awaits-absent.ts`), what is told of it.
 */
import type { Row } from '../coordination/delivery-table.ts'
import { STATUS } from '../coordination/delivery-table.ts'
import type { Mark } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import { awaitsAbsent } from './awaits-absent.ts'
import type { Runtime } from './runtime.ts'

export class RequestRests {
  readonly #runtime: Runtime
  readonly #looks = new Map<string, Set<() => void>>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    runtime.onFolded.add((marks) => this.#folded(marks))
    runtime.onSuspended.add((row) => {
      if (this.#looks.size > 0) this.#suspended(row, new Set())
    })
  }

  /** Resolves when nothing of it goes on here, when the bound passes, or when the log has failed. */
  rest(request: string, withinMs: number): Promise<void> {
    const { clock, state } = this.#runtime
    let row = this.#goingOn(request)
    if (row === 0) return Promise.resolve()
    let source = state.deliveries.source[row] as Sequence
    return new Promise((resolve) => {
      const looks = this.#looks.get(request) ?? new Set()
      this.#looks.set(request, looks)
      const done = () => {
        timer.cancel()
        looks.delete(look)
        if (looks.size === 0) this.#looks.delete(request)
        resolve()
      }
      const look = () => {
        if (this.#runtime.isClosed) return done()
        // What went on a moment ago mostly still does: a crowd is not walked through for each step of one of it.
        if (state.deliveries.source[row] === source && !awaitsAbsent(this.#runtime, row)) return
        row = this.#goingOn(request)
        source = state.deliveries.source[row] as Sequence
        if (row === 0) done()
      }
      const timer = clock.setTimer(clock.now() + withinMs, done)
      looks.add(look)
    })
  }

  /** An open delivery of the request that may go on; 0 when there is none. */
  #goingOn(request: string): Row {
    const { requests, deliveries } = this.#runtime.state
    const known = new Map<Row, boolean>()
    const slot = requests.find(request)
    let row = slot === 0 ? 0 : requests.firstRow(slot)
    while (row !== 0 && awaitsAbsent(this.#runtime, row, known)) row = deliveries.nextOfRequest(row)
    return row
  }

  #folded(marks: readonly Mark[]): void {
    if (this.#looks.size === 0) return
    if (this.#runtime.isClosed) {
      for (const request of [...this.#looks.keys()]) this.#look(request)
      return
    }
    for (const mark of marks) if (mark.kind === 'ended') this.#look(mark.request)
  }

  /** A run waits for the log: those that wait for it may stand still by that, in other requests, too. */
  #suspended(row: Row, seen: Set<Row>): void {
    const { requests, deliveries } = this.#runtime.state
    if (seen.has(row)) return
    seen.add(row)
    this.#look(requests.id[deliveries.request[row] as number] as string)
    if (!awaitsAbsent(this.#runtime, row)) return
    const caller = deliveries.caller[row] as Row
    if (caller !== 0) this.#suspended(caller, seen)
    if (deliveries.key[row] === '' || deliveries.status[row] === STATUS.queued) return
    for (let next = deliveries.nextOfKey(row); next !== 0; next = deliveries.nextOfKey(next))
      this.#suspended(next, seen)
  }

  #look(request: string): void {
    for (const look of [...(this.#looks.get(request) ?? [])]) look()
  }
}
