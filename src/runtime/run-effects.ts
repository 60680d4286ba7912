import type { Clock, Timer } from '../kernel/clock.ts'

/** Effects of a run that have started: the end of the run waits for them (X5). */
export class RunEffects {
  #underWay: Set<Promise<unknown>> | undefined

  /** Their start is on its way to the log. */
  announced = 0

  /** It changes the world, or is about to: it is not stopped. */
  get anyBegun(): boolean {
    return this.announced > 0 || this.any
  }

  get any(): boolean {
    return this.#underWay !== undefined && this.#underWay.size > 0
  }

  add(effect: Promise<unknown>): void {
    this.#underWay ??= new Set()
    this.#underWay.add(effect)
    void effect.finally(() => this.#underWay?.delete(effect))
  }

  /** They are finished, but not waited for without end: false when `timeoutMs` have passed. */
  async done(clock: Clock, timeoutMs: number): Promise<boolean> {
    if (!this.any) return true
    let timer: Timer | undefined
    const late = new Promise<false>((resolve) => {
      timer = clock.setTimer(clock.now() + timeoutMs, () => resolve(false))
    })
    const inTime = await Promise.race([this.#allDone(), late])
    timer?.cancel()
    return inTime
  }

  async #allDone(): Promise<true> {
    while (this.#underWay !== undefined && this.#underWay.size > 0) await Promise.allSettled([...this.#underWay])
    return true
  }
}
