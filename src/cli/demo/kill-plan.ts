/** When to kill: spread evenly over the run, by the turns that have settled. */
export class KillPlan {
  readonly #thresholds: number[]

  constructor(kills: number, turns: number) {
    this.#thresholds = Array.from({ length: kills }, (_, index) => Math.floor((turns * (index + 1)) / (kills + 1)))
  }

  /** Whether the next kill is due; it then counts as ordered. */
  takeDue(settledTurns: number): boolean {
    const [threshold] = this.#thresholds
    if (threshold === undefined || settledTurns < threshold) return false
    this.#thresholds.shift()
    return true
  }
}
