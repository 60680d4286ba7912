import type { Random } from 'event-spine'

/** All the chance of one seed. The step is mulberry32 (Ettinger, public domain): a simulation needs no more. */
export class Chance implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return this.uint32() % below
  }

  /** True `percent` times in a hundred. */
  percent(percent: number): boolean {
    return this.uint32() % 10_000 < percent * 100
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item
  }

  /** A source of chance of its own, so that what one part draws does not shift what another does. */
  fork(): Chance {
    return new Chance(this.uint32())
  }
}
