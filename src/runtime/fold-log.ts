import { evolve } from '../coordination/evolve.ts'
import type { SpineState } from '../coordination/state.ts'
import type { Engine } from '../engine/engine.ts'
import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'

/** Folds what the log holds above the state, page by page, up to its head. */
export async function foldLog(
  engine: Engine,
  state: SpineState,
  onRecord: (record: LogRecord) => void = () => {},
): Promise<void> {
  for (;;) {
    const page = await engine.read({ after: state.at, limit: limits.readRecordsMax })
    if (page.length === 0) return
    for (const record of page) {
      evolve(state, record)
      onRecord(record)
    }
  }
}
