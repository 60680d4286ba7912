/**
 * A ring of bytes that two threads share: the main thread puts frames in, the writer takes them out, and neither waits
 * for a message of the other.
 *
 * Job: space, order, and the wake-up of a writer that sleeps. Each thread makes a `CommitRing` of its own over the same
 * memory; one calls only what stands under "the end that puts in", the other only what stands under "takes out".
 * Not its job: what a frame holds (`commit-frame.ts`), what to do when the ring is full (`writer-thread.ts`).
 *
 * N1  A frame lies in one piece: one that does not fit before the end of the memory begins at its start.
 * N2  Frames come out whole, once, in the order they went in, none before it was published.
 * N3  The bytes of a frame are overwritten only after it was released.
 * N4  No wake-up is lost: the sleeper says that it will sleep and then looks once more; the other publishes first and
 *     then looks for a sleeper. Both are sequentially consistent, so at least one of them sees the other.
 */
import { assert } from '../../kernel/assert.ts'

/** Positions count bytes since the beginning and wrap at 2^32, so their difference is right for ever. */
const PUBLISHED = 0
const RELEASED = 1
const CONFIRMED = 2
const ASLEEP = 3
const TOLD = 4
const CONTROL_BYTES = 64

/** Before each frame stands its length with this header; frames begin at multiples of it, as a float64 needs. */
const HEADER_BYTES = 8
/** Instead of a length: nothing more before the end of the memory. */
const SKIP = -1
const NONE = -1

export class CommitRing {
  readonly memory: SharedArrayBuffer
  /** The same bytes three times: for text, for 32-bit and for 64-bit numbers. Offsets are in bytes. */
  readonly bytes: Buffer
  readonly integers: Int32Array
  readonly doubles: Float64Array
  readonly #control: Int32Array
  readonly #capacityBytes: number
  /** Of the end that this thread has: where it puts the next frame, or takes it. */
  #position: number
  /** What this thread last saw of the other end. */
  #otherEnd: number

  private constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.#capacityBytes = memory.byteLength - CONTROL_BYTES
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4)
    this.bytes = Buffer.from(memory, CONTROL_BYTES)
    this.integers = new Int32Array(memory, CONTROL_BYTES)
    this.doubles = new Float64Array(memory, CONTROL_BYTES)
    this.#position = this.#control[RELEASED] as number
    this.#otherEnd = this.#position
  }

  /** `capacityBytes`: a power of two. `position` is where the count of bytes begins: a test lets it wrap soon. */
  static create(capacityBytes: number, position = 0): CommitRing {
    assert(capacityBytes >= 64 && (capacityBytes & (capacityBytes - 1)) === 0, 'the ring holds a power of two of bytes')
    const memory = new SharedArrayBuffer(CONTROL_BYTES + capacityBytes)
    new Int32Array(memory).fill(position, PUBLISHED, RELEASED + 1)
    return new CommitRing(memory)
  }

  /** The other end, in the other thread. */
  static over(memory: SharedArrayBuffer): CommitRing {
    return new CommitRing(memory)
  }

  /** What fits when the ring is empty, wherever it stands: half of it, because a frame lies in one piece. */
  get frameBytesMax(): number {
    return this.#capacityBytes / 2 - HEADER_BYTES
  }

  // The end that puts in.

  /** Where a frame of at most so many bytes may be written now, or -1 while there is no room. */
  reserve(bytesMax: number): number {
    const needed = paddedBytes(bytesMax)
    let offset = this.#offset()
    const left = this.#capacityBytes - offset
    const skipped = needed > left ? left : 0
    if (!this.#hasRoom(skipped + needed)) return NONE
    if (skipped > 0) {
      this.integers[offset >> 2] = SKIP
      this.#advance(skipped)
      offset = 0
    }
    return offset + HEADER_BYTES
  }

  /** The frame at `offset` has become so many bytes. Nobody sees it before `publish`. */
  put(offset: number, bytes: number): void {
    this.integers[(offset - HEADER_BYTES) >> 2] = bytes
    this.#advance(paddedBytes(bytes))
  }

  /** Shows what was put in so far to the other end, and wakes it. */
  publish(): void {
    Atomics.store(this.#control, PUBLISHED, this.#position)
    this.wake()
  }

  wake(): void {
    if (Atomics.load(this.#control, ASLEEP) === 0) return
    Atomics.store(this.#control, ASLEEP, 0)
    Atomics.notify(this.#control, ASLEEP)
  }

  /** How many commits the other end has confirmed; the count wraps at 2^32. It tells of the next ones again. */
  confirmed(): number {
    Atomics.store(this.#control, TOLD, 0)
    return Atomics.load(this.#control, CONFIRMED)
  }

  // The end that takes out.

  /** Looks what has been published. What comes later waits for the next look. */
  look(): boolean {
    this.#otherEnd = Atomics.load(this.#control, PUBLISHED)
    return this.hasNext()
  }

  hasNext(): boolean {
    if (this.#position === this.#otherEnd) return false
    const offset = this.#offset()
    if (this.integers[offset >> 2] === SKIP) this.#advance(this.#capacityBytes - offset)
    return this.#position !== this.#otherEnd
  }

  /** The offset of the next frame among those that the last `look` found, or -1. It stays there until `release`. */
  take(): number {
    if (!this.hasNext()) return NONE
    const offset = this.#offset()
    this.#advance(paddedBytes(this.integers[offset >> 2] as number))
    return offset + HEADER_BYTES
  }

  /** How many bytes the frame at `offset` has. */
  frameBytes(offset: number): number {
    return this.integers[(offset - HEADER_BYTES) >> 2] as number
  }

  /** The room of all that was taken is free again. */
  release(): void {
    Atomics.store(this.#control, RELEASED, this.#position)
  }

  /** Whether the other end has to be told: not when it was, and has not asked since. */
  confirm(commits: number): boolean {
    Atomics.add(this.#control, CONFIRMED, commits)
    return Atomics.exchange(this.#control, TOLD, 1) === 0
  }

  /** Until the other end publishes or wakes; at once when it has done so, or when `isWanted` says so. */
  sleep(isWanted: () => boolean): void {
    Atomics.store(this.#control, ASLEEP, 1)
    if (this.look() || isWanted()) Atomics.store(this.#control, ASLEEP, 0)
    else Atomics.wait(this.#control, ASLEEP, 1)
  }

  #offset(): number {
    return this.#position & (this.#capacityBytes - 1)
  }

  #advance(bytes: number): void {
    this.#position = (this.#position + bytes) | 0
  }

  #hasRoom(bytes: number): boolean {
    const room = () => this.#capacityBytes - ((this.#position - this.#otherEnd) | 0)
    if (bytes <= room()) return true
    this.#otherEnd = Atomics.load(this.#control, RELEASED)
    return bytes <= room()
  }
}

function paddedBytes(bytes: number): number {
  return HEADER_BYTES + ((bytes + HEADER_BYTES - 1) & -HEADER_BYTES)
}
