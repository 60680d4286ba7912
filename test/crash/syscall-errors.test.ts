/** EIO and ENOSPC from the system calls on a log's files, once and for good: at the n-th write, sync and read. */
import { afterEach, describe, expect, it } from 'vitest'
import { expectToldOfErrors, type Load, NumberedLog } from './numbered-log.ts'
import { describeWithStrace } from './strace.ts'

const LOAD: Load = { events: 24, fillerBytes: 6000 }
/** Enough for the WAL to be taken back into the file in the middle of a run, and not only at its end. */
const HEAVY: Load = { events: 140, fillerBytes: 250_000 }

interface Target {
  readonly what: string
  readonly name: 'read' | 'write' | 'sync'
  readonly of: 'log' | 'database' | 'lock'
  readonly load: Load
  readonly errors: readonly ('EIO' | 'ENOSPC')[]
  /** Calls that fail. Those in the opening are made before the log can be used, and spoil every opening. */
  readonly opening: readonly number[]
  readonly working: readonly number[]
}

const BOTH = ['EIO', 'ENOSPC'] as const
const TARGETS: readonly Target[] = [
  { what: 'a write to the log', name: 'write', of: 'log', load: LOAD, errors: BOTH, opening: [2], working: [60] },
  { what: 'a sync of the log', name: 'sync', of: 'log', load: LOAD, errors: BOTH, opening: [3], working: [9] },
  { what: 'a write of the lock', name: 'write', of: 'lock', load: LOAD, errors: BOTH, opening: [5], working: [] },
  { what: 'a sync of the lock', name: 'sync', of: 'lock', load: LOAD, errors: ['EIO'], opening: [3], working: [] },
  // By both threads: the writer's, and the one that asks whether a key was used before.
  { what: 'a read of the log', name: 'read', of: 'log', load: LOAD, errors: ['EIO'], opening: [3], working: [12] },
  // The database file itself is written when it is created, and then by checkpoints alone.
  {
    what: 'a write of a checkpoint',
    name: 'write',
    of: 'database',
    load: HEAVY,
    errors: ['EIO'],
    opening: [],
    working: [20],
  },
  {
    what: 'a sync of a checkpoint',
    name: 'sync',
    of: 'database',
    load: HEAVY,
    errors: ['EIO'],
    opening: [],
    working: [2],
  },
]
/** The writer of each opening is a thread of its own, and strace counts the calls of each: a log is opened again until the rest of the work takes fewer. */
const REOPENS = 40

const logs: NumberedLog[] = []
afterEach(() => {
  for (const log of logs.splice(0)) log.remove()
})

describeWithStrace('an error from a system call', () => {
  const cases = TARGETS.flatMap((target) =>
    [...target.opening, ...target.working].flatMap((call) =>
      target.errors.map((error) => ({ ...target, call, error })),
    ),
  )
  describe.each(cases)('$error at $what, the one of number $call', ({ name, of, load, call, error, opening }) => {
    it('once: it is told, and the work ends, in the same process once the log can be opened', async () => {
      const { log, told } = await disturbed(String(call))
      if (opening.includes(call)) await log.finish()
      else expect(told.at(-1), JSON.stringify(told.slice(-4), null, 1)).toMatchObject({ kind: 'ended', end: 'done' })
      await log.expectWhole()
    })

    it('for good: it is told, nothing more is acknowledged, and what was is there', async () => {
      const { log } = await disturbed(`${call}+`)
      await log.finish()
      await log.expectWhole()
    })

    async function disturbed(when: string) {
      const log = new NumberedLog(load)
      logs.push(log)
      const reopens = opening.includes(call) || when.endsWith('+') ? 1 : REOPENS
      const run = await log.disturb({ name, files: log.files(of), effect: `error=${error}`, when }, reopens)
      expect(run.hit).toBe(true)
      const told = log.told()
      expectToldOfErrors(run, told)
      await log.expectAcknowledged()
      return { log, told }
    }
  })
})
