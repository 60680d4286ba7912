import type { RetryPolicy } from '../agent/agent.ts'
import type { StepContext } from '../agent/context.ts'
import type { NewRecord } from '../event/record.ts'
import type { Encoded } from '../kernel/json.ts'
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
    }
  | { readonly kind: 'publish'; readonly event: (time: number) => NewRecord }
  | { readonly kind: 'sleep'; readonly ms: number }
  | RouteCommand

export interface StepCommand {
  readonly kind: 'step' | 'effect'
  readonly run: (step: StepContext) => unknown
  readonly retry: RetryPolicy
  readonly timeoutMs: number | undefined
}
