/** EIO and ENOSPC from the system calls on a log's files, once and for good: at the n-th write, sync and read. */
import { afterEach, describe, expect, it } from 'vitest'
import { expectToldOfErrors, type Load, NumberedLog } from './numbered-log.ts'
import { describeWithStrace } from './strace.ts'

/** How many times the normal number of calls; for a long night. */
const SHARE = Number(process.env['SPINE_CRASH_SHARE'] ?? 1)
const LOAD: Load = { events: 24, fillerBytes: 6000 }
/** Enough for the WAL to be taken back into the file in the middle of a run, and not only at its end. */
const HEAVY: Load = { events: 140, fillerBytes: 250_000 }
/**
 * The writer of each opening is a thread of its own, and strace counts the calls of each: a log is opened again until
 * the rest of the work takes fewer.
 */
const REOPENS = 40

interface Case {
  readonly error: 'EIO' | 'ENOSPC'
  readonly name: 'read' | 'write' | 'sync'
  readonly of: 'log' | 'database' | 'lock'
  readonly call: number
  /** A call that is made before the log can be used spoils every opening. */
  readonly phase: 'opening' | 'working'
  readonly load?: Load
  /** Whether every run makes so many calls. */
  readonly sure?: boolean
}

const CASES: readonly Case[] = [
  { error: 'EIO', name: 'write', of: 'log', call: 2, phase: 'opening' },
  { error: 'EIO', name: 'write', of: 'log', call: 60, phase: 'working' },
  { error: 'ENOSPC', name: 'write', of: 'log', call: 60, phase: 'working' },
  { error: 'EIO', name: 'sync', of: 'log', call: 3, phase: 'opening' },
  { error: 'EIO', name: 'sync', of: 'log', call: 9, phase: 'working' },
  { error: 'ENOSPC', name: 'sync', of: 'log', call: 9, phase: 'working' },
  { error: 'ENOSPC', name: 'write', of: 'lock', call: 5, phase: 'opening' },
  { error: 'EIO', name: 'sync', of: 'lock', call: 3, phase: 'opening' },
  // By both threads: the writer's, and the one that asks whether a key was used before.
  { error: 'EIO', name: 'read', of: 'log', call: 3, phase: 'opening' },
  { error: 'EIO', name: 'read', of: 'log', call: 12, phase: 'working' },
  // The database file itself is written when it is created, and then by checkpoints alone.
  { error: 'EIO', name: 'write', of: 'database', call: 20, phase: 'working', load: HEAVY },
  { error: 'ENOSPC', name: 'sync', of: 'database', call: 2, phase: 'working', load: HEAVY },
]

/** Further calls, a few behind those that are named. */
function furtherOf(one: Case): readonly Case[] {
  if (one.phase === 'opening') return []
  return Array.from({ length: SHARE - 1 }, (_, index) => ({ ...one, call: one.call + 3 * (index + 1), sure: false }))
}

const logs: NumberedLog[] = []
afterEach(() => {
  for (const log of logs.splice(0)) log.remove()
})

describeWithStrace('an error from a system call', () => {
  const cases = CASES.flatMap((one) => [one, ...furtherOf(one)])
  describe.each(cases)('$error at $name $call of the $of, $phase', (one) => {
    const { error, name, of, call, phase, load = LOAD, sure = true } = one

    it('once: it is told, and the work ends, in the same process once the log can be opened', async () => {
      const { log, told } = await disturbed(String(call), phase === 'opening' ? 1 : REOPENS)
      if (phase === 'opening') await log.finish()
      else expect(told.at(-1), JSON.stringify(told.slice(-4), null, 1)).toMatchObject({ kind: 'ended', end: 'done' })
      await log.expectWhole()
    })

    it('for good: it is told, nothing more is acknowledged, and what was is there', async () => {
      const { log } = await disturbed(`${call}+`, 1)
      await log.finish()
      await log.expectWhole()
    })

    async function disturbed(when: string, reopens: number) {
      const log = new NumberedLog(load)
      logs.push(log)
      const run = await log.disturb({ name, files: log.files(of), effect: `error=${error}`, when }, reopens)
      const told = log.told()
      if (sure) {
        expect(run.hit).toBe(true)
        expect(told.some(({ kind }) => kind === 'failed' || kind === 'refused')).toBe(true)
      }
      expectToldOfErrors(run, told)
      await log.expectAcknowledged()
      return { log, told }
    }
  })
})
