import { randomFillSync } from 'node:crypto'
import type { Random } from '../kernel/random.ts'

/** Unpredictable chance from the operating system, fetched 256 numbers at a time. */
export function systemRandom(): Random {
  const pool = new Uint32Array(256)
  let used = pool.length
  return {
    uint32() {
      if (used === pool.length) {
        randomFillSync(pool)
        used = 0
      }
      return pool[used++] as number
    },
  }
}
