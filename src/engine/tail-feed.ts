/**
 * Tails of an engine: late ones catch up from storage page by page, then all are fed live, without a gap or a repeat.
 *
 * Job: G6 of the contract. Not its job: storage; it reads through the function it is given.
 *
 * B1  A tail is given exactly the records above its start, in order, and none that is not durable.
 * B2  Nothing is buffered for a tail that catches up: it pulls pages at its own pace.
 */
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { limits } from '../kernel/limits.ts'
import type { ReadQuery, Tail } from './engine.ts'

interface Follower {
  at: Sequence
  live: boolean
  stopped: boolean
  readonly listener: (records: readonly LogRecord[]) => void
}

export class TailFeed {
  readonly #read: (query: ReadQuery) => Promise<readonly LogRecord[]>
  readonly #followers = new Set<Follower>()
  #head: Sequence = 0

  constructor(read: (query: ReadQuery) => Promise<readonly LogRecord[]>) {
    this.#read = read
  }

  /** The durable head when the engine opens. */
  start(head: Sequence): void {
    this.#head = head
  }

  /** Records that have just become durable: the ones that follow the head. */
  feed(records: readonly LogRecord[]): void {
    const last = records.at(-1)
    if (last === undefined) return
    this.#head = last.sequence
    for (const follower of this.#followers) {
      // One that began above the head, or inside a listener of this very batch, has part of it behind itself.
      if (!follower.live || follower.at >= last.sequence) continue
      const { at } = follower
      const first = (records[0] as LogRecord).sequence
      follower.at = last.sequence
      follower.listener(at < first ? records : records.filter(({ sequence }) => sequence > at))
    }
  }

  /** The head has moved by another process's hand: everyone looks for themselves. */
  moveTo(head: Sequence): void {
    if (head <= this.#head) return
    this.#head = head
    for (const follower of this.#followers) {
      if (!follower.live) continue
      follower.live = false
      void this.#catchUp(follower)
    }
  }

  follow(after: Sequence, listener: (records: readonly LogRecord[]) => void): Tail {
    const follower: Follower = { at: after, live: after >= this.#head, stopped: false, listener }
    this.#followers.add(follower)
    if (!follower.live) void this.#catchUp(follower)
    return {
      stop: () => {
        follower.stopped = true
        this.#followers.delete(follower)
      },
    }
  }

  stopAll(): void {
    for (const follower of this.#followers) follower.stopped = true
    this.#followers.clear()
  }

  async #catchUp(follower: Follower): Promise<void> {
    try {
      while (!follower.stopped && follower.at < this.#head) {
        const page = await this.#read({ after: follower.at, limit: limits.readRecordsMax })
        const durable = page.filter((record) => record.sequence <= this.#head)
        const last = durable.at(-1)
        if (follower.stopped || last === undefined) return
        follower.at = last.sequence
        follower.listener(durable)
      }
      follower.live = !follower.stopped
    } catch {
      // The engine was closed, or its storage is broken: whoever appends or reads is told; a tail only falls silent.
      follower.stopped = true
      this.#followers.delete(follower)
    }
  }
}
