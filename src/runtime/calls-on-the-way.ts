/**
 * Calls that this process has asked for and not folded yet, by target: with them a bound on open work is exact here, however
 * many are asked for in one turn.
 */
export class CallsOnTheWay {
  readonly #counts = new Map<string, number>()

  to(target: string): number {
    return this.#counts.get(target) ?? 0
  }

  asked(target: string): void {
    this.#counts.set(target, this.to(target) + 1)
  }

  /** It has been folded, or refused. */
  arrived(target: string): void {
    const left = this.to(target) - 1
    if (left > 0) this.#counts.set(target, left)
    else this.#counts.delete(target)
  }
}
