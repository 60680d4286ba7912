/** The public names, grouped. No logic here. */

// What users declare
export {
  type Agent,
  agent,
  type AgentOptions,
  type AnyAgent,
  type Handler,
  type InputDataOf,
  type OnFailure,
  type Order,
  type ReplyOf,
  type Subscription,
} from './agent/agent.ts'
export type { Breaker, Rate } from './agent/protection.ts'
export { type AnyJoin, type Join, join, type JoinedEvent, type JoinOptions } from './agent/join.ts'
export type {
  CallOptions,
  Context,
  DirectedAgent,
  EmitOptions,
  Handoff,
  RouteElse,
  RouteRule,
  RouteTarget,
  SessionHandle,
  StepContext,
  StepCost,
  StepOptions,
} from './agent/context.ts'
export {
  type Gathered,
  type GatherAllOptions,
  type GatherOptions,
  type MissingBranch,
  type Quorum,
  quorum,
} from './agent/gather.ts'
export {
  type AnyEventType,
  type DataOf,
  type EventOf,
  type EventOptions,
  type EventType,
  event,
  type InputOf,
  type MatchOf,
  type SpineEvent,
} from './agent/event-type.ts'

// What users hold
export { createSpine, stateOf, type SessionAt, type Spine, type SpineOptions } from './spine.ts'
export type { AgentInfo, BreakerInfo, HeldKey, JoinInfo } from './runtime/agents.ts'
export type { DeadLetter, DeadLetterDetail } from './runtime/dead-letters.ts'
export type { LogQuery, WaitOptions } from './runtime/read-log.ts'
export { type Message, message, type Published, type PublishOptions, type StartOptions } from './runtime/publisher.ts'
export type { RequestInfo, Settled } from './runtime/requests.ts'
export type { Waiting } from './runtime/waiting.ts'
export type { Logger } from './runtime/logger.ts'
export type { WorkHandle } from './runtime/work-handle.ts'

// Errors
export { ERROR_TABLE, type ErrorCode, Permanent, RetryAfter, SpineError } from './kernel/errors.ts'

// For those who bring an engine, a clock, or read the log
export type {
  AppendOutcome,
  Commit,
  Durability,
  Engine,
  Guard,
  IdempotencyKey,
  ReadQuery,
  Snapshot,
  Tail,
} from './engine/engine.ts'
export { answerOpenToolCalls, type ChatMessage } from './agent/answer-open-tool-calls.ts'
export type { Amounts } from './event/amounts.ts'
export type { Priority } from './event/priority.ts'
export type { LogRecord, NewRecord, RecordHeader } from './event/record.ts'
export type { Clock, Timer } from './kernel/clock.ts'
export type { Duration } from './kernel/duration.ts'
export type { Json } from './kernel/json.ts'
export type { Random } from './kernel/random.ts'

// For those who fold the log themselves
export { encodeState } from './coordination/encode-state.ts'
export { evolve } from './coordination/evolve.ts'
export { initialState, type SpineState } from './coordination/state.ts'
