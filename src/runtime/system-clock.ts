import type { Clock, Timer } from '../kernel/clock.ts'

/** `setTimeout` overflows beyond 2^31 - 1 ms and then fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/** The real time. One of the two places in the library where it comes from. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(at, fire): Timer {
    let handle: NodeJS.Timeout
    const arm = () => {
      const left = at - Date.now()
      handle = setTimeout(left > TIMEOUT_MS_MAX ? arm : fire, Math.max(0, Math.min(left, TIMEOUT_MS_MAX)))
      handle.unref()
    }
    arm()
    return { cancel: () => clearTimeout(handle) }
  },
}
