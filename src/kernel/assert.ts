/** A broken invariant of our own code. On in production: a wrong decision must never reach the log. */
export class BrokenInvariant extends Error {
  constructor(message: string) {
    super(`${message} (a bug in Event Spine, please report it)`)
    this.name = 'BrokenInvariant'
  }
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BrokenInvariant(message)
}
