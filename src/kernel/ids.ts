import type { Random } from './random.ts'

/**
 * A UUID of version 7 (RFC 9562): sortable by time, so that ids of one spine cluster in an index.
 * Written here because the clock and the chance must be ours (see `docs/decisions/0004-dependencies.md`).
 */
export function createUuid(nowMs: number, random: Random): string {
  const time = Math.floor(nowMs).toString(16).padStart(12, '0')
  const a = random.uint32()
  const version = (0x7000 | (a & 0x0fff)).toString(16)
  const variant = (0x8000 | ((a >>> 12) & 0x3fff)).toString(16)
  const tail = hex32(random.uint32()) + hex32(random.uint32()).slice(0, 4)
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${tail}`
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}
