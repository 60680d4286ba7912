import { type ChildProcess, fork } from 'node:child_process'
import type { LogRecord } from 'event-spine'

/** What an observer folds: records handed to it, or a file that it opens itself. */
export type Observed = { readonly records: readonly LogRecord[] } | { readonly path: string }

/** A separate process that folds only the log. */
export class Observer {
  #child: ChildProcess | undefined

  async stateOf(observed: Observed): Promise<string> {
    this.#child ??= fork(new URL('./observer-process.mjs', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const child = this.#child
    const answer = new Promise<{ state?: string; error?: string }>((resolve, reject) => {
      child.once('message', (message) => resolve(message as { state?: string; error?: string }))
      child.once('exit', (code) => reject(new Error(`the observer process ended with ${code}`)))
    })
    child.send(observed)
    const { state, error } = await answer
    child.removeAllListeners('exit')
    if (state === undefined) throw new Error(error)
    return state
  }

  stop(): void {
    this.#child?.kill()
  }
}
