import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { takenBy } from './journal.ts'
import type { Outcome } from './replay.ts'
import type { Run } from './run.ts'

/** What the fold tells a run. A wait gives its event, which may have to be read first. */
export function receivedOutcome(run: Run, command: string, record: LogRecord): Outcome {
  const taken = takenBy(record)
  if (taken === undefined) return { command, record }
  const outcome: Outcome = { command, record, event: run.host.records.recent(taken) }
  if (outcome.event === undefined) void loadEvent(run, outcome, taken)
  return outcome
}

async function loadEvent(run: Run, outcome: Outcome, sequence: Sequence): Promise<void> {
  outcome.isLoading = true
  run.busy++
  try {
    outcome.event = await run.host.records.get(sequence)
  } catch (error) {
    void run.fail(error)
  }
  outcome.isLoading = false
  run.busy--
  run.stirred()
}
