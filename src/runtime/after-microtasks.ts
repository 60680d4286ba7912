/**
 * Calls `next` when every promise reaction that can run now has run: when a handler between two outcomes has come to
 * rest. Node runs its next-tick queue only after the microtask queue is empty, so a tick that is requested from inside
 * a microtask comes after all of them, without waiting for I/O or a timer.
 */
export function afterMicrotasks(next: () => void): void {
  queueMicrotask(() => process.nextTick(next))
}
