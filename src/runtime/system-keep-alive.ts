/** `setTimeout` takes no longer delay; the timer is set again when it fires. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

let waits = 0
let handle: NodeJS.Timeout | undefined

/**
 * Keeps the process alive while somebody awaits `promise`. The library's own timers never do, so a script that waits for
 * work which backs off would otherwise end in the middle of its `await`, with exit code 13 and no word.
 */
export async function systemKeepAlive<Result>(promise: Promise<Result>): Promise<Result> {
  waits++
  if (waits === 1) hold()
  try {
    return await promise
  } finally {
    waits--
    if (waits === 0) clearTimeout(handle)
  }
}

function hold(): void {
  handle = setTimeout(hold, TIMEOUT_MS_MAX)
}
