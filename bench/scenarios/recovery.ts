/**
 * W6: a process is killed while 20,000 deliveries wait; another opens the log. From there to the first handler.
 *
 * Both are processes of their own: the first because it is killed for real, the second because a process that comes
 * back after a crash has nothing compiled and nothing cached.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../message-of.ts'
import type { Sample, Scenario } from '../scenario.ts'
import { verifyLog } from '../verify-log.ts'
import type { Reopened } from './recovery-process.ts'

const WAITING = 20_000
/** Many times what it takes on a slow disk. */
const ANSWER_MS_MAX = 120_000
const PROGRAM = fileURLToPath(new URL('./recovery-process.js', import.meta.url))

export const recovery: Scenario = {
  name: 'recovery',
  variant: null,
  inFlight: null,
  unit: 'delivery',
  nDefault: WAITING,
  async run({ directory, n }): Promise<Sample> {
    const path = join(directory, 'log.db')
    const killed = fork(PROGRAM, ['fill', path, String(n)])
    await messageOf(killed, 'recovery: the process that fills', ANSWER_MS_MAX)
    const gone = once(killed, 'exit')
    killed.kill('SIGKILL')
    await gone

    const reopened = fork(PROGRAM, ['reopen', path, String(n)])
    const over = once(reopened, 'exit')
    const { firstMs, lastMs, cpuSeconds, durability } = (await messageOf(
      reopened,
      'recovery: the process that reopens',
      ANSWER_MS_MAX,
    )) as Reopened
    await over
    // What was published once is there once, and all of it has ended: the handlers that the kill cut off, too.
    await verifyLog(path, { requests: n, events: ['work.left'], completed: 1 })
    return {
      n,
      perSecond: n / ((lastMs - firstMs) / 1_000),
      p50Ms: firstMs,
      p99Ms: null,
      cpuSecondsPer1000: (cpuSeconds / n) * 1_000,
      loopStallMsMax: null,
      durability,
    }
  },
}
