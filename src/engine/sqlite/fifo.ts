/** A queue whose items leave in the order they came. `Array.shift` would move all that are behind, once it is long. */
export class Fifo<Item> {
  #items: (Item | undefined)[] = []
  #first = 0

  get length(): number {
    return this.#items.length - this.#first
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  peek(): Item | undefined {
    return this.#items[this.#first]
  }

  shift(): Item | undefined {
    const item = this.#items[this.#first]
    if (item === undefined) return undefined
    this.#items[this.#first++] = undefined
    if (this.#first === this.#items.length || (this.#first >= 1_024 && this.#first * 2 >= this.#items.length)) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return item
  }

  /** Takes all of them. */
  drain(): Item[] {
    const items = this.#items.slice(this.#first) as Item[]
    this.#items = []
    this.#first = 0
    return items
  }
}
