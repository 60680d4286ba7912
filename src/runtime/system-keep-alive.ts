/** `setTimeout` takes no longer delay; the timer is set again when it fires. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/**
 * Keeps the process alive until the function that it returns is called. The library's other timers never do: without this
 * a script that waits for work which backs off would end in the middle of its `await`, with exit code 13 and no word.
 */
export function systemKeepAlive(): () => void {
  let handle: NodeJS.Timeout
  const hold = () => {
    handle = setTimeout(hold, TIMEOUT_MS_MAX)
  }
  hold()
  return () => clearTimeout(handle)
}
