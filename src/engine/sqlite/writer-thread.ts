/**
 * The main thread's end of the writer: sends rows, hears what is durable. The transport is kept in this file alone, so
 * that a shared ring can take its place.
 */
import { Worker } from 'node:worker_threads'
import { type ErrorCode, SpineError } from '../../kernel/errors.ts'
import type { CommitRow } from './commit-row.ts'
import type { ErrorParts, FromWriter, ToWriter, WriterOptions } from './writer-protocol.ts'

export interface WriterListener {
  onDurable(last: number): void
  onFailed(error: SpineError): void
}

export class WriterThread {
  readonly #worker: Worker
  readonly #listener: WriterListener
  readonly #calls = new Map<number, { resolve: () => void; reject: (error: SpineError) => void }>()
  readonly #exited: Promise<void>
  #nextCall = 1
  #rows: CommitRow[] = []
  #closing = false

  private constructor(worker: Worker, listener: WriterListener) {
    this.#worker = worker
    this.#listener = listener
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
  }

  /** Resolves when the writer holds the lock and the file. @throws what it refused with */
  static async start(
    options: WriterOptions,
    listener: WriterListener,
  ): Promise<{ writer: WriterThread; ready: Extract<FromWriter, { kind: 'ready' }> }> {
    const worker = new Worker(new URL('./sqlite-writer.js', import.meta.url), {
      workerData: options,
      // Flags of the main thread (`--input-type`, a loader) are not meant for this file, and some would refuse it.
      execArgv: [],
    })
    const writer = new WriterThread(worker, listener)
    const ready = await new Promise<Extract<FromWriter, { kind: 'ready' }>>((resolve, reject) => {
      worker.once('error', (error) => reject(stopped(error)))
      worker.once('exit', () => reject(stopped()))
      worker.once('message', (message: FromWriter) => {
        if (message.kind === 'ready') resolve(message)
        else if (message.kind === 'refused') reject(errorOf(message.error))
      })
    })
    worker.removeAllListeners('error')
    worker.on('message', (message: FromWriter) => writer.#hear(message))
    worker.on('error', (error) => writer.#fail(stopped(error)))
    worker.on('exit', () => writer.#fail(stopped()))
    return { writer, ready }
  }

  /** Rows of one turn of the event loop travel in one message. */
  write(row: CommitRow): void {
    this.#rows.push(row)
    if (this.#rows.length === 1) queueMicrotask(() => this.#send())
  }

  /** Something that is done once, between batches. */
  call(
    message:
      | { kind: 'flush' }
      | { kind: 'trim'; before: number }
      | { kind: 'snapshot'; name: string; at: number; state: Uint8Array },
  ): Promise<void> {
    if (this.#closing) return Promise.reject(stopped())
    this.#send()
    const call = this.#nextCall++
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject })
      this.#post({ ...message, call })
    })
  }

  /** Writes what is under way, closes the file, frees the lock. */
  async close(): Promise<void> {
    this.#closing = true
    this.#send()
    this.#post({ kind: 'close' })
    await this.#exited
  }

  #send(): void {
    if (this.#rows.length === 0) return
    const rows = this.#rows
    this.#rows = []
    this.#post({ kind: 'write', rows })
  }

  #post(message: ToWriter): void {
    this.#worker.postMessage(message)
  }

  #hear(message: FromWriter): void {
    if (message.kind === 'durable') this.#listener.onDurable(message.last)
    else if (message.kind === 'failed') this.#listener.onFailed(errorOf(message.error))
    else if (message.kind === 'answer') this.#answer(message.call, message.error)
  }

  #answer(call: number, error: ErrorParts | undefined): void {
    const waiting = this.#calls.get(call)
    this.#calls.delete(call)
    if (error === undefined) waiting?.resolve()
    else waiting?.reject(errorOf(error))
  }

  #fail(error: SpineError): void {
    if (this.#closing) return
    this.#closing = true
    for (const { reject } of this.#calls.values()) reject(error)
    this.#calls.clear()
    this.#listener.onFailed(error)
  }
}

function errorOf({ code, message, value, limit, fix, outcome }: ErrorParts): SpineError {
  return new SpineError(code as ErrorCode, message, { value, limit, outcome, ...(fix === undefined ? {} : { fix }) })
}

function stopped(cause?: unknown): SpineError {
  return new SpineError('SPINE_LOG_FAILED', 'The writer of the log stopped.', {
    cause,
    outcome: 'unknown',
    fix: 'Open the log again.',
  })
}
