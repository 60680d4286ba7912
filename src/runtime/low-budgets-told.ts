import { BoundedMap } from '../kernel/bounded-map.ts'
import { limits } from '../kernel/limits.ts'

/** Of which low budgets people have been told, or are being told: the fold knows of it only when the record has come. */
export class LowBudgetsTold {
  readonly #limits = new BoundedMap<string, number>(limits.recordCacheRecords)

  /** False when it was told of this limit before. */
  tell(request: string, pool: number, unit: string, limit: number): boolean {
    const name = JSON.stringify([request, pool, unit])
    if (this.#limits.get(name) === limit) return false
    this.#limits.set(name, limit)
    return true
  }
}
