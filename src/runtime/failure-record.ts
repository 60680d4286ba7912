import { decideFailure } from '../coordination/decide.ts'
import type { NewRecord } from '../event/record.ts'
import { type Execution, headerNow } from './execution.ts'
import { failureOf } from './failure.ts'
import { fact } from './record-draft.ts'
import type { Run } from './run.ts'

/** What a failed attempt ends with: the time of the next one, or the dead letters. People are told. */
export function failureRecord(run: Run, error: unknown, came: Partial<ReturnType<Execution['came']>>): NewRecord {
  const { host, agent } = run
  const failure = failureOf(error)
  const header = headerNow(run)
  const { attempts: attemptsMax, delayMsMin, delayMsMax } = agent.retry
  const decision = decideFailure({
    failedBefore: host.state.deliveries.attempt[run.row] as number,
    attemptsMax,
    delayMsMin,
    delayMsMax,
    failure,
    retryAfterMs: failure.retryAfterMs,
    now: header.time,
    random: host.random,
  })
  host.reportFailure(run, failure, decision)
  if (decision.kind === 'dead')
    return fact('spine.delivery.dead', header, { attempts: decision.attempts, error: failure, ...came })
  const { attempt, due } = decision
  return fact('spine.delivery.retried', header, { attempt, due, error: failure, ...came })
}
