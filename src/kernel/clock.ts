/** Where time comes in. Everything that looks at a clock takes one of these, so that a test can own time. */
export interface Clock {
  /** Milliseconds since 1970 (UTC). */
  now(): number
  /** Calls `fire` once at or after `at`. A real timer must not keep the process alive by itself. */
  setTimer(at: number, fire: () => void): Timer
}

export interface Timer {
  cancel(): void
}
