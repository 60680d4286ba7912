import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** The one message that a process has to send; its death or its silence is an error, not a hang. */
export async function messageOf(child: ChildProcess, what: string, waitMsMax: number): Promise<unknown> {
  const over = new AbortController()
  const { signal } = over
  const silence = setTimeout(() => over.abort(), waitMsMax)
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`${what} ended with ${code} before it was done.`)
      }),
    ])
  } catch (error) {
    if (!signal.aborted) throw error
    child.kill('SIGKILL')
    throw new Error(`${what} was not done after ${waitMsMax} ms.`)
  } finally {
    clearTimeout(silence)
    over.abort()
  }
}
