import type { AppendOutcome, IdempotencyKey } from '../engine/engine.ts'
import type { NewRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Run } from './run.ts'

/**
 * What a commit of a run depends on beside its lane:
 * - `all`: that its request goes on, and that no newer turn has overtaken it.
 * - `request`: that its request goes on. What a step brought is a fact, whatever has overtaken it.
 * - `lane`: nothing. An effect that started is recorded.
 */
export type Guarded = 'all' | 'request' | 'lane'

/**
 * Appends for a run. `undefined` when the log refused it: the request has ended, a newer turn has superseded it or the lane is
 * lost, and the fold has told, or will tell, the run so.
 *
 * @throws SPINE_COMMIT_TOO_LARGE
 */
export async function appendFor(
  run: Run,
  records: readonly NewRecord[],
  guarded: Guarded,
  key: IdempotencyKey | undefined,
): Promise<AppendOutcome | undefined> {
  const { host } = run
  const all = run.withMarkers(records)
  run.busy++
  host.startedRuns.settled(run)
  try {
    for (;;) {
      const commit = { guards: run.guards(guarded), records: all }
      const outcome = await host.append(key === undefined ? commit : { ...commit, key })
      if (outcome.status !== 'conflict') return outcome
      if (await run.freshness.passes(run, outcome)) continue
      run.stop(outcome)
      return undefined
    }
  } catch (error) {
    if (SpineError.is(error, 'SPINE_COMMIT_TOO_LARGE')) throw error
    run.stop(error)
    return undefined
  } finally {
    run.busy--
    if (run.phase === 'running' && host.state.deliveries.started[run.row] === 0) host.startedRuns.entered(run)
    run.wake()
  }
}
