import type { Row } from './delivery-table.ts'
import type { SpineState } from './state.ts'

const NONE: ReadonlySet<string> = new Set()

/** The open deliveries that a delivery has called, theirs included: what ends with it, save the calls that outlive it. */
export function* calledWork(state: SpineState, row: Row, outliving: ReadonlySet<string> = NONE): IterableIterator<Row> {
  const run = state.runs.get(row)
  if (run === undefined || run.calls.size === 0) return
  for (const name of run.calls.values()) {
    if (outliving.has(name)) continue
    const callee = run.commands.get(name)?.row ?? 0
    if (callee === 0) continue
    yield callee
    yield* calledWork(state, callee)
  }
}
