/** SIGKILL inside the system calls of the writer: at the n-th write and the n-th sync, for n all over a run. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Load, NumberedLog } from './numbered-log.ts'
import { describeWithStrace } from './strace.ts'

/** How many times the normal number of points; for a long night. */
const SHARE = Number(process.env['SPINE_CRASH_SHARE'] ?? 1)
const LOAD: Load = { events: 24, fillerBytes: 6000 }
/** Enough for the WAL to be taken back into the file in the middle of a run, and not only at its end. */
const HEAVY: Load = { events: 140, fillerBytes: 250_000 }

const logs: NumberedLog[] = []
afterEach(() => {
  for (const log of logs.splice(0)) log.remove()
})
function newLog(load: Load): NumberedLog {
  const log = new NumberedLog(load)
  logs.push(log)
  return log
}

interface Target {
  readonly what: string
  readonly name: 'write' | 'sync'
  readonly of: 'log' | 'database' | 'lock'
  readonly load: Load
  readonly points: number
  /** How many calls a run makes; counted when it is not said. */
  readonly calls?: number
}

const TARGETS: readonly Target[] = [
  { what: 'a write to the log', name: 'write', of: 'log', load: LOAD, points: 6 },
  { what: 'a sync of the log', name: 'sync', of: 'log', load: LOAD, points: 4 },
  { what: 'a write of the lock', name: 'write', of: 'lock', load: LOAD, points: 2 },
  { what: 'a write to the database file', name: 'write', of: 'database', load: HEAVY, points: 1, calls: 1000 },
]

describeWithStrace('SIGKILL inside a system call', () => {
  describe.each(TARGETS)('at $what', ({ name, of, load, points, ...known }) => {
    let calls = known.calls ?? 0
    beforeAll(async () => {
      if (calls > 0) return
      const log = newLog(load)
      const undisturbed = await log.disturb({ name, files: log.files(of) })
      expect(undisturbed).toMatchObject({ code: 0, hit: false })
      expect(log.told().at(-1)).toMatchObject({ end: 'done' })
      await log.expectWhole()
      calls = undisturbed.calls.length
      expect(calls).toBeGreaterThan(points)
    })

    it.each(pointsOf(points * SHARE))(
      'point %i of %i, and again while it recovers: what was acknowledged is there, and everything ends once',
      async (point, all) => {
        const log = newLog(load)
        const files = log.files(of)
        const kill = (when: number) => log.disturb({ name, files, effect: 'signal=SIGKILL', when: String(when) })
        const first = await kill(Math.ceil((calls * 0.95 * point) / all))
        // Batches form as they happen to: a run that makes larger ones makes fewer calls.
        if (point / all <= 0.5 || first.hit) expect(first).toMatchObject({ signal: 'SIGKILL', hit: true })
        await log.expectAcknowledged()
        const second = await kill(1 + ((point * 7) % 12))
        if (second.hit) expect(second.signal).toBe('SIGKILL')
        await log.expectAcknowledged()
        await log.finish()
        await log.expectWhole()
      },
    )
  })
})

function pointsOf(count: number): readonly (readonly [point: number, all: number])[] {
  return Array.from({ length: count }, (_, index) => [index + 1, count] as const)
}
