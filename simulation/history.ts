/** What the outside world saw: clients, tools, and who wrote what. The checkers compare the log with it. */
import type { LogRecord } from 'event-spine'
import type { GatherOp } from './office.ts'

/** One thing that a client wanted on the log, tried until somebody acknowledged it. */
export interface Publication {
  readonly key: string
  readonly id: number
  readonly session: string
  /** Order of all that clients saw: the first try. */
  invoked: number
  acknowledged: { readonly at: number; readonly sequence: number; readonly request: string }[]
}

/** One call of an outside tool. */
export interface ToolCall {
  readonly kind: 'step' | 'effect'
  readonly process: number
  readonly agent: string
  readonly source: number
  readonly name: string
  readonly idempotencyKey: string
}

/** A step of a handler executed. */
export interface Visit {
  readonly process: number
  readonly agent: string
  readonly source: number
  readonly at: number
  /** Absent when its process died in it. */
  left?: number
}

/** A handler was entered. */
export interface Entry {
  readonly process: number
  readonly agent: string
  readonly source: number
  readonly at: number
  readonly deadline: number | undefined
}

/** A handler was given the outcome of a gather. A replay is told the same again. */
export interface Gathered {
  readonly source: number
  readonly op: GatherOp
  readonly values: readonly string[]
  readonly missing: readonly { readonly branch: string; readonly reason: string }[]
  readonly reached: boolean
}

/** A handler was given what it had waited for. */
export interface Waited {
  readonly source: number
  readonly name: string
  readonly asked: number
  readonly answer: number | undefined
}

/** A handler was given the events of a join. */
export interface Joined {
  readonly source: number
  readonly events: readonly number[]
  readonly missing: readonly string[]
}

/** Records `first` to `last` were written by this process. */
export interface Written {
  readonly process: number
  readonly first: number
  readonly last: number
}

export class History {
  readonly publications: Publication[] = []
  readonly tools: ToolCall[] = []
  readonly entries: Entry[] = []
  readonly visits: Visit[] = []
  readonly written: Written[] = []
  readonly gathers: Gathered[] = []
  readonly waits: Waited[] = []
  readonly joins: Joined[] = []
  #order = 0

  /** The next place in the order of what clients saw. */
  next(): number {
    return ++this.#order
  }
}

/** Everything that a checker may look at, when all is quiet. */
export interface Evidence {
  readonly records: readonly LogRecord[]
  readonly history: History
  /** State of the last owner, and of someone who folded the log from the start. */
  readonly owner: string
  readonly observer: string
  /** Expected results by the id of the order. */
  readonly expected: ReadonlyMap<number, readonly string[]>
  /** Orders whose request someone cancelled, or which had a deadline: they may end without a result. */
  readonly mayEndEarly: ReadonlySet<number>
  readonly open: number
}
