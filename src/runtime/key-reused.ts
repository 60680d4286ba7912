import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'

/** `first`: the record that the key stands for. */
export function keyReused(name: string | undefined, first: Sequence): SpineError {
  return new SpineError(
    'SPINE_KEY_REUSED',
    `The idempotency key '${name}' stands for other data already (record ${first}).`,
    { value: name, limit: first, fix: 'Use a key of its own for each thing that you publish.' },
  )
}
