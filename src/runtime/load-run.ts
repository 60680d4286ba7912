import { claimDedupeKey } from './claim-dedupe-key.ts'
import type { Envelope } from './execution.ts'
import type { Journal } from './journal.ts'
import { loadEnvelope } from './load-envelope.ts'
import type { RatedStart } from './rate-gate.ts'
import { startedRecord } from './record-draft.ts'
import type { Run } from './run.ts'
import type { RunStanding } from './run-standing.ts'

/**
 * What has to be done on the log before a handler is entered, and what it is given. `undefined` when it is not to be entered:
 * the run is over, or it repeats another.
 */
export async function loadRun(
  run: Run,
  standing: RunStanding,
  rated: RatedStart | undefined,
): Promise<{ readonly envelope: Envelope; readonly journal: Journal } | undefined> {
  if (rated?.error !== undefined) throw rated.error
  if (run.isCareful && !(await announce(run, rated))) return undefined
  if (run.agent.options.dedupe !== undefined && !(await isFirst(run, standing))) return undefined
  return loadEnvelope(run.host, run.row, run.source)
}

/** Makes the start durable before the handler is entered, so that a crash in it is counted. */
async function announce(run: Run, rated: RatedStart | undefined): Promise<boolean> {
  const record = startedRecord([run], [], run.host.clock.now(), rated?.key)
  const outcome = await run.append([record], 'lane').finally(rated?.settled)
  return outcome !== undefined && !run.isOver
}

/** A duplicate ends here, and its handler is not entered. */
async function isFirst(run: Run, standing: RunStanding): Promise<boolean> {
  const { state } = run.host
  standing.enter(state.at, state.runs.get(run.row)?.basis ?? 0)
  const first = await claimDedupeKey(run)
  if (first === undefined) return true
  if (first !== 'over' && !run.isOver) await run.skip(first)
  return false
}
