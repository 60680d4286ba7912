/** What the two threads of an SQLite engine say to each other, beside the commits, which go through `commit-ring.ts`. */
import type { Sequence } from '../../event/sequence.ts'

export interface WriterOptions {
  readonly path: string
  readonly maxBytes: number | undefined
  readonly lockWaitMs: number
  /** Memory of the ring that commits come through. */
  readonly ring: SharedArrayBuffer
}

/** Done between batches, after every commit that was put into the ring before. */
export type ToWriter =
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
  /** More commits are durable; how many, the ring says. */
  | { readonly kind: 'durable' }
  | { readonly kind: 'failed'; readonly error: ErrorParts }
  | { readonly kind: 'answer'; readonly call: number; readonly error?: ErrorParts }
  | { readonly kind: 'closed' }
