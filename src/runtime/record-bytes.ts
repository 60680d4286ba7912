import type { Json } from '../kernel/json.ts'

/** Values that are looked at before the rest is taken to be like them. */
const VALUES_MAX = 64
/** What an object takes beside its texts. */
const BYTES_PER_VALUE = 24

/**
 * About how much memory a value takes: exact enough to bound a cache, and cheap, because it is asked for every record.
 * After 64 values it goes by what it has seen.
 */
export function recordBytes(data: Json): number {
  const walk = { values: 0 }
  return 300 + bytesOf(data, walk)
}

function bytesOf(value: Json, walk: { values: number }): number {
  walk.values++
  if (typeof value === 'string') return BYTES_PER_VALUE + value.length
  if (typeof value !== 'object' || value === null) return BYTES_PER_VALUE
  const items = Array.isArray(value)
    ? (value as readonly Json[])
    : Object.values(value as { readonly [key: string]: Json })
  let bytes = BYTES_PER_VALUE
  let looked = 0
  for (const item of items) {
    if (walk.values >= VALUES_MAX) break
    bytes += bytesOf(item, walk)
    looked++
  }
  return looked === 0 ? bytes + BYTES_PER_VALUE * items.length : Math.ceil((bytes * items.length) / looked)
}
