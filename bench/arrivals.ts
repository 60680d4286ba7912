/** What has to arrive once each: resolves whoever waits for it, and remembers what came twice or out of the blue. */
export class Arrivals {
  readonly #startedAt = new Map<number, { readonly atMs: number; readonly resolve: (latencyMs: number) => void }>()
  #expected = 0
  #surplus = 0

  /** From now to the arrival, in milliseconds. Rejects when `start` does. */
  expect(index: number, start: () => Promise<unknown>): Promise<number> {
    this.#expected++
    return new Promise((resolve, reject) => {
      this.#startedAt.set(index, { atMs: performance.now(), resolve })
      start().catch(reject)
    })
  }

  arrive(index: number): void {
    const waiting = this.#startedAt.get(index)
    if (waiting === undefined) {
      this.#surplus++
      return
    }
    this.#startedAt.delete(index)
    waiting.resolve(performance.now() - waiting.atMs)
  }

  /** How many were expected. @throws when one did not come, or came twice */
  verify(): number {
    if (this.#startedAt.size > 0) throw new Error(`${this.#startedAt.size} of ${this.#expected} never arrived.`)
    if (this.#surplus > 0) throw new Error(`${this.#surplus} arrived that were not expected, or arrived twice.`)
    return this.#expected
  }
}
