/** What this process keeps, after full collections. */
import { setImmediate } from 'node:timers/promises'
import type { MemoryPerUnit } from './scenario.ts'

const COLLECTIONS = 3

export async function memoryInUse(): Promise<MemoryPerUnit> {
  if (globalThis.gc === undefined) throw new Error('Memory is measured after collections: run Node with --expose-gc.')
  for (let count = 0; count < COLLECTIONS; count++) {
    globalThis.gc()
    await setImmediate()
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  return { heapBytes: heapUsed, arrayBytes: arrayBuffers, residentBytes: rss }
}

export function memorySince(before: MemoryPerUnit, after: MemoryPerUnit, units: number): MemoryPerUnit {
  const each = (figure: keyof MemoryPerUnit) => (after[figure] - before[figure]) / units
  return {
    heapBytes: each('heapBytes'),
    arrayBytes: each('arrayBytes'),
    residentBytes: each('residentBytes'),
  }
}
