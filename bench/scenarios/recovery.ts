/**
 * W6: a process is killed while 20,000 deliveries wait; another opens the log. From there to the first handler.
 *
 * Both are processes of their own: the first because it is killed for real, the second because a process that comes
 * back after a crash has nothing compiled and nothing cached.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Sample, Scenario } from '../scenario.ts'
import type { Reopened } from './recovery-process.ts'

const WAITING = 20_000
/** Many times what it takes on a slow disk. */
const ANSWER_MS_MAX = 120_000
const PROGRAM = fileURLToPath(new URL('./recovery-process.js', import.meta.url))

export const recovery: Scenario = {
  name: 'recovery',
  inFlight: WAITING,
  unit: 'delivery',
  async run({ directory }): Promise<Sample> {
    const path = join(directory, 'log.db')
    const killed = fork(PROGRAM, ['fill', path, String(WAITING)])
    await messageOf(killed)
    const gone = once(killed, 'exit')
    killed.kill('SIGKILL')
    await gone

    const reopened = fork(PROGRAM, ['reopen', path, String(WAITING)])
    const over = once(reopened, 'exit')
    const { firstMs, lastMs, cpuSeconds, durability } = (await messageOf(reopened)) as Reopened
    await over
    return {
      n: WAITING,
      perSecond: WAITING / ((lastMs - firstMs) / 1_000),
      p50Ms: firstMs,
      p99Ms: null,
      cpuSecondsPer1000: (cpuSeconds / WAITING) * 1_000,
      durability,
    }
  },
}

/** The one message that a process has to send; its death or its silence is an error, not a hang. */
function messageOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null) => {
      clearTimeout(timer)
      reject(new Error(`recovery-process ended with ${code} before it was done`))
    }
    const timer = setTimeout(() => {
      child.off('exit', died)
      child.kill('SIGKILL')
      reject(new Error(`recovery-process was not done after ${ANSWER_MS_MAX} ms`))
    }, ANSWER_MS_MAX)
    child.once('exit', died)
    child.once('message', (message) => {
      clearTimeout(timer)
      child.off('exit', died)
      resolve(message)
    })
  })
}
