import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SpineError } from '../../kernel/errors.ts'
import type { AppendOutcome, Commit } from '../engine.ts'
import { Acknowledgements, waitingBytes } from './acknowledgements.ts'

const OUTCOMES: readonly AppendOutcome[] = []
const FAILURE = new SpineError('SPINE_LOG_FAILED', 'The disk is gone.')

function commit(records: number): Commit {
  const record = { time: 0, type: 'thing.happened', session: 's', request: 'r', key: 's', cause: 0, hops: 0 }
  return { id: 'w:1', records: Array.from({ length: records }, () => record) }
}

/** A clock that stands still, and turns of the event loop that come when the test says. */
function paced(after = 0) {
  const told: number[][] = []
  const resolved: number[] = []
  const rejected: number[] = []
  const turns: (() => void)[] = []
  const pace = {
    now: 0,
    costMs: 0,
    nowMs: () => pace.now,
    yield: (next: () => void) => void turns.push(next),
    afterReactions: (next: () => void) => next(),
  }
  const acknowledgements = new Acknowledgements(
    after,
    (records) => {
      pace.now += pace.costMs
      told.push(records.map(({ sequence }) => sequence))
    },
    pace,
  )
  const settled: Promise<unknown>[] = []
  const wait = (at: number) => {
    const waiting = acknowledgements.wait(at, OUTCOMES)
    settled.push(
      waiting.then(
        () => resolved.push(at),
        () => rejected.push(at),
      ),
    )
  }
  return { acknowledgements, pace, told, resolved, rejected, turns, wait }
}

const reactions = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('acknowledgements', () => {
  it('A1 A2: every record is told once, in order, whole commits, and nothing that is not durable', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 120 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.infiniteStream(fc.integer({ min: 0, max: 50 })), async (counts, steps) => {
        const { acknowledgements, told, resolved, wait } = paced(10)
        const lasts: number[] = []
        let last = 10
        for (const count of counts) {
          acknowledgements.accept(commit(count))
          last += count
          lasts.push(last)
          wait(last)
        }
        let durable = 0
        while (durable < counts.length) {
          durable = Math.min(counts.length, durable + (steps.next().value as number))
          acknowledgements.durable(durable)
          await reactions()
          const expected = lasts.slice(0, durable)
          expect(resolved).toEqual(expected)
          expect(acknowledgements.told).toBe(expected.at(-1) ?? 10)
          expect(told.flat()).toEqual(Array.from({ length: acknowledgements.told - 10 }, (_, index) => 11 + index))
          for (const batch of told) expect(lasts).toContain(batch.at(-1))
        }
        expect(acknowledgements.waitingBytes).toBe(0)
      }),
      { numRuns: 50 },
    )
  })

  it('A3: what takes longer than a slice goes on after a turn of the event loop', async () => {
    const { acknowledgements, pace, told, turns, resolved, wait } = paced()
    pace.costMs = 0.6
    for (let index = 1; index <= 200; index++) {
      acknowledgements.accept(commit(1))
      wait(index)
    }
    acknowledgements.durable(200)
    await reactions()
    // Two looks at the clock, 1.2 ms.
    expect([told.length, resolved.length, turns.length]).toEqual([2, 64, 1])
    // More that becomes durable meanwhile begins no second slice beside the first.
    acknowledgements.durable(200)
    expect([told.length, turns.length]).toEqual([2, 1])
    turns.shift()?.()
    expect([told.length, turns.length]).toEqual([4, 1])
    acknowledgements.finish()
    await reactions()
    expect(resolved).toHaveLength(200)
    turns.shift()?.()
    expect(told.flat()).toHaveLength(200)
  })

  it('A4: after a failure what was durable is still told, and everything else is rejected', async () => {
    const { acknowledgements, pace, turns, resolved, rejected, wait } = paced()
    pace.costMs = 2
    for (let index = 1; index <= 100; index++) {
      acknowledgements.accept(commit(1))
      wait(index)
    }
    acknowledgements.durable(70)
    acknowledgements.fail(FAILURE)
    await reactions()
    expect([resolved.length, rejected.length]).toEqual([32, 0])
    while (turns.length > 0) turns.shift()?.()
    await reactions()
    expect([resolved.length, rejected.length]).toEqual([70, 30])
    expect(rejected[0]).toBe(71)
    expect(acknowledgements.waitingBytes).toBe(0)
  })

  it('knows how much waits', () => {
    const { acknowledgements } = paced()
    acknowledgements.accept(commit(3))
    expect(acknowledgements.waitingBytes).toBe(waitingBytes(commit(3)))
    acknowledgements.durable(1)
    expect(acknowledgements.waitingBytes).toBe(0)
  })
})
