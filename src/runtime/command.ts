import type { Priority } from '../event/priority.ts'
import type { RetryPolicy } from '../agent/retry-policy.ts'
import type { StepContext } from '../agent/context.ts'
import type { AnyEventType } from '../agent/event-type.ts'
import type { Amounts } from '../event/amounts.ts'
import type { NewRecord } from '../event/record.ts'
import type { Encoded, Json } from '../kernel/json.ts'
import type { Lateness } from './branches.ts'
import type { Gather } from './gather.ts'
import type { StepCost } from './step-costs.ts'
import type { RouteCommand } from './route-command.ts'

/** What a handler asked its context for. The name on the log is `name#occurrence`; all but steps begin with '@'. */
export type Command =
  | StepCommand
  | {
      readonly kind: 'call'
      readonly target: string
      readonly input: Encoded
      readonly session: string | undefined
      readonly withinMs: number | undefined
      readonly priority: Priority | undefined
      readonly budget: Amounts | undefined
    }
  | { readonly kind: 'remaining' }
  | { readonly kind: 'publish'; readonly event: (time: number) => NewRecord }
  | { readonly kind: 'sleep'; readonly ms: number }
  | WaitCommand
  | RouteCommand
  | { readonly kind: 'gather'; readonly gather: Gather }
  | BranchCommand

export interface WaitCommand {
  readonly kind: 'wait'
  readonly type: AnyEventType
  readonly withinMs: number
  readonly cause: number | undefined
  readonly match: Json | undefined
  /** Only events above it count. Asked for when it is performed. */
  readonly after: () => number
  /** What other waits for the type took above that. */
  readonly others: () => readonly number[]
}

export interface StepCommand {
  readonly kind: 'step' | 'effect'
  readonly run: (step: StepContext) => unknown
  readonly retry: RetryPolicy
  readonly timeoutMs: number | undefined
  /** Its value outlives a generation. */
  readonly keep: boolean
  readonly cost?: StepCost | undefined
  /** Of a step inside a branch, or that is one: whether somebody still waits for it. */
  lateness?: Lateness | undefined
}

/** A branch of a gather that is a function of the handler: ends when that does. */
export interface BranchCommand {
  readonly kind: 'branch'
  readonly work: Promise<unknown>
  /** Whether its end still counts: it is not late, and its handler has not been replaced. */
  readonly isWanted: () => boolean
}
