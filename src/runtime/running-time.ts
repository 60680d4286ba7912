import type { Clock, Timer } from '../kernel/clock.ts'
import { SpineError } from '../kernel/errors.ts'

/** Bounds the time that a run holds a slot, over all the stretches in which it does; suspended time does not count. */
export class RunningTime {
  readonly #clock: Clock
  readonly #boundMs: number
  readonly #onPassed: () => void
  #spentMs = 0
  #since: number | undefined
  #timer: Timer | undefined

  constructor(clock: Clock, boundMs: number, onPassed: () => void) {
    this.#clock = clock
    this.#boundMs = boundMs
    this.#onPassed = onPassed
  }

  begin(): void {
    this.#since = this.#clock.now()
  }

  /** Sets the timer of a stretch that has begun; one that ends in the turn in which it began needs none. */
  arm(): void {
    if (this.#since === undefined || this.#timer !== undefined) return
    this.#timer = this.#clock.setTimer(this.#since + this.#boundMs - this.#spentMs, this.#onPassed)
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#since !== undefined) this.#spentMs += this.#clock.now() - this.#since
    this.#since = undefined
  }
}

export function timeoutError({ name, timeoutMs }: { readonly name: string; readonly timeoutMs: number }): SpineError {
  return new SpineError('SPINE_TIMEOUT', `${name} ran longer than ${timeoutMs} ms.`, {
    limit: timeoutMs,
    fix: "Hand 'signal' to what the steps call, give effects a timeout of their own, or raise the agent's timeout.",
  })
}
