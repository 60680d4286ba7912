/**
 * The main thread's end of the writer: puts commits into the ring, hears how many are durable.
 *
 * Job: the transport. Not its job: order and decisions (`sqlite-engine.ts`), what happens in the other thread
 * (`sqlite-writer.ts`).
 *
 * T1  Commits and calls reach the writer in the order in which they were given, also those that wait for room.
 * T2  The commits of one turn of the event loop are published together, so they are one batch if they are small.
 * T3  When the writer has stopped, everything that waits is told, once.
 */
import { Worker } from 'node:worker_threads'
import type { Sequence } from '../../event/sequence.ts'
import { type ErrorCode, SpineError } from '../../kernel/errors.ts'
import { limits } from '../../kernel/limits.ts'
import type { Commit } from '../engine.ts'
import { encodeFrame, frameBytesMax } from './commit-frame.ts'
import { CommitRing } from './commit-ring.ts'
import { Fifo } from './fifo.ts'
import type { ErrorParts, FromWriter, ToWriter, WriterOptions } from './writer-protocol.ts'

export interface WriterListener {
  /** So many commits are durable since the writer started; the count wraps at 2^32. */
  onDurable(commits: number): void
  onFailed(error: SpineError): void
}

/** What has to wait until the ring has room. */
type Queued = { readonly commit: Commit; readonly first: Sequence } | { readonly message: ToWriter }

export class WriterThread {
  readonly #worker: Worker
  readonly #listener: WriterListener
  readonly #ring: CommitRing
  readonly #calls = new Map<number, { resolve: () => void; reject: (error: SpineError) => void }>()
  readonly #exited: Promise<void>
  readonly #publish = () => {
    this.#isPublishing = false
    this.#ring.publish()
  }
  #isPublishing = false
  #nextCall = 1
  /** Bounded by `limits.appendBytesMax`, which the engine keeps. */
  readonly #queue = new Fifo<Queued>()
  #isClosing = false

  private constructor(worker: Worker, ring: CommitRing, listener: WriterListener) {
    this.#worker = worker
    this.#ring = ring
    this.#listener = listener
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
  }

  /** Resolves when the writer holds the lock and the file. @throws what it refused with */
  static async start(
    options: Omit<WriterOptions, 'ring'>,
    listener: WriterListener,
  ): Promise<{ writer: WriterThread; ready: Extract<FromWriter, { kind: 'ready' }> }> {
    const ring = CommitRing.create(limits.ringBytes)
    const workerData: WriterOptions = { ...options, ring: ring.memory }
    const worker = new Worker(new URL('./sqlite-writer.js', import.meta.url), {
      workerData,
      // Flags of the main thread (`--input-type`, a loader) are not meant for this file, and some would refuse it.
      execArgv: [],
    })
    const writer = new WriterThread(worker, ring, listener)
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
    worker.on('error', (error) => writer.#stop(stopped(error)))
    worker.on('exit', () => writer.#stop(stopped()))
    return { writer, ready }
  }

  /** Whether a commit is small enough to pass through the ring at all. */
  canCarry(commit: Commit): boolean {
    const { frameBytesMax: most } = this.#ring
    return frameBytesMax(commit) <= most || frameBytesMax(commit, true) <= most
  }

  write(commit: Commit, first: Sequence): void {
    if (this.#queue.length > 0 || !this.#put(commit, first)) {
      this.#queue.push({ commit, first })
      return
    }
    if (this.#isPublishing) return
    this.#isPublishing = true
    queueMicrotask(this.#publish)
  }

  /** Something that is done once, between batches. */
  call(
    message:
      | { kind: 'flush' }
      | { kind: 'trim'; before: number }
      | { kind: 'snapshot'; name: string; at: number; state: Uint8Array },
  ): Promise<void> {
    if (this.#isClosing) return Promise.reject(stopped())
    const call = this.#nextCall++
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject })
      this.#post({ ...message, call })
    })
  }

  /** Writes what is under way, closes the file, frees the lock. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#post({ kind: 'close' })
    await this.#exited
  }

  #put(commit: Commit, first: Sequence): boolean {
    let bytesMax = frameBytesMax(commit)
    if (bytesMax > this.#ring.frameBytesMax) bytesMax = frameBytesMax(commit, true)
    const at = this.#ring.reserve(bytesMax)
    if (at < 0) return false
    this.#ring.put(at, encodeFrame(this.#ring, at, commit, first))
    return true
  }

  #post(message: ToWriter): void {
    if (this.#queue.length > 0) {
      this.#queue.push({ message })
      return
    }
    this.#ring.publish()
    this.#worker.postMessage(message)
    this.#ring.wake()
  }

  /** The writer has made room. */
  #refill(): void {
    if (this.#queue.length === 0) return
    for (let queued = this.#queue.peek(); queued !== undefined; queued = this.#queue.peek()) {
      if ('commit' in queued) {
        if (!this.#put(queued.commit, queued.first)) break
      } else {
        this.#ring.publish()
        this.#worker.postMessage(queued.message)
      }
      this.#queue.shift()
    }
    this.#ring.publish()
  }

  #hear(message: FromWriter): void {
    if (message.kind === 'closed') return
    // Whatever it says, what was durable before comes first: the commits before a failed one are on the disk.
    this.#listener.onDurable(this.#ring.confirmed())
    if (message.kind === 'durable') this.#refill()
    else if (message.kind === 'failed') this.#fail(errorOf(message.error))
    else if (message.kind === 'answer') this.#answer(message.call, message.error)
  }

  #answer(call: number, error: ErrorParts | undefined): void {
    const waiting = this.#calls.get(call)
    this.#calls.delete(call)
    if (error === undefined) waiting?.resolve()
    else waiting?.reject(errorOf(error))
  }

  /** A batch failed; the writer is still there and answers. What waits for room will never be written. */
  #fail(error: SpineError): void {
    for (const queued of this.#queue.drain()) if ('message' in queued) this.#post(queued.message)
    this.#listener.onFailed(error)
  }

  /** The thread has ended. */
  #stop(error: SpineError): void {
    for (const { reject } of this.#calls.values()) reject(error)
    this.#calls.clear()
    if (this.#isClosing) return
    this.#isClosing = true
    this.#queue.drain()
    this.#listener.onDurable(this.#ring.confirmed())
    this.#listener.onFailed(error)
  }
}

function errorOf({ code, message, value, limit, fix, outcome }: ErrorParts): SpineError {
  const error = new SpineError(code as ErrorCode, message, {
    value,
    limit,
    outcome,
    ...(fix === undefined ? {} : { fix }),
  })
  // It was made in the other thread: frames of this one would show people our own inside, and nothing of theirs.
  error.stack = `${error.name}: ${error.message}`
  return error
}

function stopped(cause?: unknown): SpineError {
  return new SpineError('SPINE_LOG_FAILED', 'The writer of the log stopped.', {
    cause,
    outcome: 'unknown',
    fix: 'Open the log again.',
  })
}
