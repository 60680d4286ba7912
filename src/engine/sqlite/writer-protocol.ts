/** What the two threads of an SQLite engine say to each other. The transport is `writer-thread.ts`. */
import type { Sequence } from '../../event/sequence.ts'
import type { CommitRow } from './commit-row.ts'

export interface WriterOptions {
  readonly path: string
  readonly maxBytes: number | undefined
  readonly lockWaitMs: number
}

export type ToWriter =
  | { readonly kind: 'write'; readonly rows: readonly CommitRow[] }
  | { readonly kind: 'flush'; readonly call: number }
  | { readonly kind: 'trim'; readonly before: Sequence; readonly call: number }
  | {
      readonly kind: 'snapshot'
      readonly name: string
      readonly at: Sequence
      readonly state: Uint8Array
      readonly call: number
    }
  | { readonly kind: 'close' }

/** A `SpineError` that crosses a thread. */
export interface ErrorParts {
  readonly code: string
  /** Without the fix, which the error adds by itself. */
  readonly message: string
  readonly value: unknown
  readonly limit: unknown
  readonly fix: string | undefined
  readonly outcome: 'refused' | 'unknown'
}

export type FromWriter =
  | { readonly kind: 'ready'; readonly synchronous: number; readonly sqlite: string; readonly driver: string }
  | { readonly kind: 'refused'; readonly error: ErrorParts }
  | { readonly kind: 'durable'; readonly last: Sequence }
  | { readonly kind: 'failed'; readonly error: ErrorParts }
  | { readonly kind: 'answer'; readonly call: number; readonly error?: ErrorParts }
  | { readonly kind: 'closed' }
