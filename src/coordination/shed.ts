/**
 * Who is refused first when an agent has much open work: calls of the lower classes, while there is still room for others.
 *
 * Job: the share of a queue that a call of a class may fill. Not its job: which class a call has, and what follows from a
 * refusal (`runtime/queue-full.ts`).
 *
 * W1  A class is refused no later than a lower one.
 * W2  At 'normal', and for whoever uses no priorities, `maxPending` means what it says. 'critical' is never refused.
 */
import type { Priority } from '../event/priority.ts'

const SHARES: { readonly [Class in Priority]: number } = {
  critical: Number.POSITIVE_INFINITY,
  high: 1,
  normal: 1,
  low: 0.75,
  background: 0.5,
}

/** With that many deliveries open, a call of this class is refused; one is always let in. */
export function pendingMaxFor(pendingMax: number, priority: Priority): number {
  return Math.max(1, Math.ceil(pendingMax * SHARES[priority]))
}

export function isShed(open: number, pendingMax: number, priority: Priority): boolean {
  return open >= pendingMaxFor(pendingMax, priority)
}
