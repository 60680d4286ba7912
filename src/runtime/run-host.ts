import type { AnyHandler } from '../agent/agent.ts'
import type { AnyEventType } from '../agent/event-type.ts'
import type { FailureDecision } from '../coordination/decide.ts'
import type { Row } from '../coordination/delivery-table.ts'
import type { SpineState } from '../coordination/state.ts'
import type { Unavailability } from '../coordination/unavailability.ts'
import type { AppendOutcome, Guard } from '../engine/engine.ts'
import type { Failure } from '../event/catalogue.ts'
import type { Priority } from '../event/priority.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { CommitDraft, Settled } from './appender.ts'
import type { ChargesOnTheWay } from './charges-on-the-way.ts'
import type { LowBudgetsTold } from './low-budgets-told.ts'
import type { CallsOnTheWay } from './calls-on-the-way.ts'
import type { StepCommand } from './command.ts'
import type { HostedAgent } from './hosted-agent.ts'
import type { Logger } from './logger.ts'
import type { PreemptedSteps } from './preempted-steps.ts'
import type { Records } from './records.ts'
import type { Run } from './run.ts'
import type { SessionStates } from './session-states.ts'
import type { StartedRuns } from './started-runs.ts'

export type StepFunction = StepCommand['run']

/** What a test kit puts between a run and the code of its user. */
export interface Interception {
  /** Every outcome is given to a handler that has been run again from the top, not to the one that waits. */
  readonly replaysAlways: boolean
  /** Instead of `limits.suspendedRunsMax`. */
  readonly suspendedRunsMax?: number
  /** Instead of `limits.pendingInMemoryMax`. */
  readonly pendingInMemory?: number
  handlerOf(agent: HostedAgent): AnyHandler
  stepOf(agent: HostedAgent, name: string, run: StepFunction): StepFunction
}

/** What a run needs of the process around it. */
export interface RunHost {
  readonly state: SpineState
  readonly records: Records
  readonly sessions: SessionStates
  readonly types: ReadonlyMap<string, AnyEventType>
  readonly clock: Clock
  readonly random: Random
  /** Effects whose function has been entered and whose outcome is not recorded yet, by idempotency key. */
  readonly effectsUnderWay: Map<string, Promise<unknown>>
  readonly startedRuns: StartedRuns
  readonly preemptedSteps: PreemptedSteps
  readonly logger: Logger
  readonly interception: Interception | undefined
  readonly callsOnTheWay: CallsOnTheWay
  readonly chargesOnTheWay: ChargesOnTheWay
  readonly lowBudgetsTold: LowBudgetsTold
  /** Why an agent should not be given work now. */
  unavailability(agent: string, priority: Priority | undefined): Unavailability | undefined
  laneGuard(): Guard
  /** True when the fold has passed `at`, false when that will not happen any more. */
  passing(at: Sequence): Promise<boolean> | boolean
  append(commit: CommitDraft): Promise<AppendOutcome>
  /** `append` without a promise. Never throws. */
  post(commit: CommitDraft, settled: Settled): void
  /** @throws SPINE_AGENT_UNKNOWN */
  requireRegistered(agent: string): void
  /** It stood still for a newer turn, and others work in its place now. */
  isBarred(row: Row): boolean
  /** A suspended run has something to do. */
  requestSlot(run: Run): void
  slotFreed(run: Run): void
  /** A run that was asked to make room has come to its next step. True when it makes room. */
  yields(run: Run): boolean
  runOver(run: Run): void
  /** It was ended from outside; code of it may still execute. */
  runStopped(run: Run): void
  /** A run ends for good, and its end is on the way: what it has called stops, save what outlives it. */
  giveUpCalls(row: Row, outliving: ReadonlySet<string> | undefined): void
  /** A delivery whose key is parked joins its dead letters. */
  park(row: Row): void
  /** A delivery that its breaker holds is to show whether the agent works again. */
  probe(row: Row): void
  /** A line for people; `undefined` for a pause. */
  reportFailure(run: Run, failure: Failure, decision: FailureDecision | undefined): void
}
