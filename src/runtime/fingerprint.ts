import { createHash } from 'node:crypto'

/** What stands for a payload where only its identity matters. 128 bits of SHA-256. */
export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
