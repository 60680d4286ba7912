import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Command } from './command.ts'
import { type NextMove, type Outcome, Replay } from './replay.ts'

const retry = { attempts: 1, delayMsMin: 1, delayMsMax: 1 }
const step: Command = { kind: 'step', run: () => undefined, retry, timeoutMs: undefined, keep: false }
const effect: Command = { ...step, kind: 'effect' }
const sleep: Command = { kind: 'sleep', ms: 5 }

const outcome = (command: string, sequence: number): Outcome => ({ command, record: { sequence } as LogRecord })
const fresh = () => new Replay(new Set(), [])
const journaled = (outcomes: readonly Outcome[], open: readonly string[] = []) => {
  return new Replay(new Set([...outcomes.map(({ command }) => command), ...open]), outcomes)
}
/** A move in words: `release a#0`, `perform a#0 b#0`, `wait`. */
const words = (move: NextMove): string => {
  if (move.kind === 'release') return `release ${move.asked.id}`
  if (move.kind === 'perform') return `perform ${move.asked.map(({ id }) => id).join(' ')}`
  return move.kind
}
const moves = (replay: Replay, count: number) => Array.from({ length: count }, () => words(replay.next()))

describe('Y1: outcomes are released one at a time, in the order of their sequences', () => {
  it('however they were asked for', () => {
    const replay = journaled([outcome('b#0', 5), outcome('c#0', 6), outcome('a#0', 7)])
    for (const id of ['a#0', 'b#0', 'c#0']) void replay.ask(id, step)
    expect(moves(replay, 4)).toEqual(['release b#0', 'release c#0', 'release a#0', 'wait'])
  })

  it('live: in the order in which they came in, each once', () => {
    const replay = fresh()
    void replay.ask('a#0', step)
    void replay.ask('b#0', step)
    expect(moves(replay, 2)).toEqual(['perform a#0 b#0', 'wait'])
    replay.receive(outcome('b#0', 5))
    replay.receive(outcome('a#0', 6))
    expect(replay.open).toBe(2)
    expect(moves(replay, 3)).toEqual(['release b#0', 'release a#0', 'wait'])
    expect(replay.open).toBe(0)
  })

  it('an outcome that nobody has asked for yet holds back what came after it', () => {
    const replay = journaled([outcome('a#0', 5), outcome('b#0', 6)])
    void replay.ask('b#0', step)
    expect(moves(replay, 1)).toEqual(['wait'])
    void replay.ask('a#0', step)
    expect(moves(replay, 2)).toEqual(['release a#0', 'release b#0'])
  })

  it('gives the record along, and leaves the promise to the run', async () => {
    const replay = journaled([outcome('a#0', 5)])
    const promise = replay.ask('a#0', step)
    const move = replay.next()
    if (move.kind !== 'release') throw new Error(move.kind)
    expect(move.outcome.record.sequence).toBe(5)
    move.asked.resolve('value')
    expect(await promise).toBe('value')
  })
})

describe('Y2: what is new is performed only after everything journaled has been released', () => {
  it('in the order in which it was asked for, as one move', () => {
    const replay = journaled([outcome('a#0', 5)])
    void replay.ask('a#0', step)
    void replay.ask('new#0', step)
    void replay.ask('new#1', step)
    expect(moves(replay, 3)).toEqual(['release a#0', 'perform new#0 new#1', 'wait'])
  })

  it('and never what has come in before it was asked for: steps of a run that had made room (simulator seed 6600224)', () => {
    const replay = journaled([outcome('a#0', 5)])
    void replay.ask('a#0', step)
    replay.receive(outcome('right#0', 7))
    replay.receive(outcome('left#0', 8))
    expect(moves(replay, 1)).toEqual(['release a#0'])
    void replay.ask('left#0', step)
    void replay.ask('right#0', step)
    expect(moves(replay, 3)).toEqual(['release right#0', 'release left#0', 'wait'])
  })

  it('and only once, also when an outcome comes in between', () => {
    const replay = fresh()
    void replay.ask('a#0', step)
    moves(replay, 1)
    void replay.ask('b#0', step)
    replay.receive(outcome('a#0', 5))
    expect(moves(replay, 3)).toEqual(['release a#0', 'perform b#0', 'wait'])
  })

  it('an effect that started and left no outcome is performed again', () => {
    const replay = journaled([], ['pay#0'])
    void replay.ask('pay#0', effect)
    expect(moves(replay, 2)).toEqual(['perform pay#0', 'wait'])
  })

  it('but not one whose outcome is on the log', () => {
    const replay = journaled([outcome('pay#0', 5)])
    void replay.ask('pay#0', effect)
    expect(moves(replay, 2)).toEqual(['release pay#0', 'wait'])
  })

  it('and not a call or a sleep that is under way: those end by themselves', () => {
    const replay = journaled([], ['@sleep#0'])
    void replay.ask('@sleep#0', sleep)
    expect(moves(replay, 1)).toEqual(['wait'])
    replay.receive(outcome('@sleep#0', 5))
    expect(moves(replay, 1)).toEqual(['release @sleep#0'])
  })
})

describe('Y3: an outcome that is never asked for is a mismatch', () => {
  const mismatchOf = (move: NextMove): SpineError => {
    if (move.kind !== 'mismatch') throw new Error(move.kind)
    return move.error
  }

  it('when the handler asks for something new instead', () => {
    const replay = journaled([outcome('draft#0', 5)])
    void replay.ask('write#0', step)
    const error = mismatchOf(replay.next())
    expect(SpineError.is(error, 'SPINE_REPLAY_MISMATCH')).toBe(true)
    expect(error.message).toBe(
      "The journal goes on with 'draft#0' (record 5), but the handler asks for 'write#0'. " +
        'The handler changed under a run that had begun, or depends on something outside its steps: deploy the old code beside the new, start the request over with requests.restart, or cancel it.\n- draft#0\n+ write#0',
    )
    expect([error.value, error.limit]).toEqual(["asks for 'write#0'", 'draft#0'])
  })

  it('when the handler ends', () => {
    const replay = journaled([outcome('a#0', 5), outcome('b#0', 6)])
    expect(replay.mismatchAtEnd('ended')?.message).toMatch(
      /^The journal goes on with 'a#0' \(record 5\), but the handler ended\. /,
    )
    void replay.ask('a#0', step)
    expect(replay.mismatchAtEnd('ended')?.message).toContain("'b#0' (record 6)")
    void replay.ask('b#0', step)
    expect(replay.mismatchAtEnd('ended')).toBeUndefined()
  })

  it('but not while the handler may still ask for it', () => {
    const replay = journaled([outcome('a#0', 5), outcome('b#0', 6)])
    void replay.ask('a#0', step)
    expect(moves(replay, 2)).toEqual(['release a#0', 'wait'])
  })

  it('a loser of a race whose outcome was asked for is none', () => {
    const replay = fresh()
    void replay.ask('a#0', step)
    void replay.ask('b#0', step)
    moves(replay, 1)
    replay.receive(outcome('a#0', 5))
    moves(replay, 1)
    expect(replay.openCommands()).toEqual(['b#0'])
    expect(replay.mismatchAtEnd('ended')).toBeUndefined()
  })
})

describe('names', () => {
  it('of repeated commands are numbered each for itself', () => {
    const replay = fresh()
    expect([replay.nextId('a', false), replay.nextId('b', false), replay.nextId('a', false)]).toEqual([
      'a#0',
      'b#0',
      'a#1',
    ])
  })

  it('SPINE_STEP_NAME: two steps of one name must not run at the same time', () => {
    const replay = fresh()
    void replay.ask(replay.nextId('read', true), step)
    const refuse = () => replay.nextId('read', true)
    expect(refuse).toThrow(expect.objectContaining({ code: 'SPINE_STEP_NAME' }))
    expect(refuse).toThrow("Two steps named 'read' run at the same time. Give parallel steps names of their own")
    moves(replay, 1)
    replay.receive(outcome('read#0', 5))
    moves(replay, 1)
    expect(replay.nextId('read', true)).toBe('read#1')
  })

  it('calls of one agent may run at the same time', () => {
    const replay = fresh()
    void replay.ask(replay.nextId('@call expert', false), sleep)
    expect(replay.nextId('@call expert', false)).toBe('@call expert#1')
  })
})

it('leaves no unhandled rejection behind for a promise that nobody awaits', async () => {
  const replay = journaled([outcome('a#0', 5)])
  void replay.ask('a#0', step)
  const move = replay.next()
  if (move.kind === 'release') move.asked.reject(new Error('nobody listens'))
  // An unhandled rejection would fail this file.
  await new Promise((resolve) => setImmediate(resolve))
  expect([replay.count, replay.open]).toEqual([1, 0])
})

describe('native Promise.race, any and all', () => {
  interface Round {
    readonly how: 'race' | 'any' | 'all'
    readonly width: number
  }

  /** A handler in rounds; what it was given, in order, is its trace. */
  async function handler(replay: Replay, rounds: readonly Round[], trace: string[]): Promise<void> {
    for (const [index, { how, width }] of rounds.entries()) {
      const asks = Array.from({ length: width }, (_, branch) => replay.ask(`r${index}b${branch}#0`, step))
      trace.push(`${await (Promise[how] as (asks: Promise<unknown>[]) => Promise<unknown>)(asks)}`)
    }
  }

  /** The loop of a run: rest, one move, rest. Outcomes of what it performs come in by `arrive`, one whenever nothing else moves. */
  async function drive(
    replay: Replay,
    rounds: readonly Round[],
    arrive: (performing: string[]) => Outcome | undefined,
  ) {
    const trace: string[] = []
    const outcomes: Outcome[] = []
    let done = false
    const run = handler(replay, rounds, trace).then(() => {
      done = true
    })
    const performing: string[] = []
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      if (done) break
      const move = replay.next()
      if (move.kind === 'mismatch') throw move.error
      if (move.kind === 'perform') performing.push(...move.asked.map(({ id }) => id))
      if (move.kind === 'release') {
        outcomes.push({ command: move.asked.id, record: move.outcome.record })
        move.asked.resolve(`${move.asked.id}@${move.outcome.record.sequence}`)
      }
      if (move.kind !== 'wait') continue
      const next = arrive(performing)
      if (next === undefined) throw new Error('the run stands still')
      replay.receive(next)
    }
    await run
    return { trace, outcomes }
  }

  const rounds = fc.array(
    fc.record({ how: fc.constantFrom('race', 'any', 'all'), width: fc.integer({ min: 1, max: 3 }) }),
    {
      minLength: 1,
      maxLength: 4,
    },
  ) as fc.Arbitrary<Round[]>

  it('Y1 have the same winner live and replayed, wherever the first run was cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        rounds,
        fc.array(fc.nat(99), { minLength: 12, maxLength: 12 }),
        fc.nat(12),
        async (program, chances, cut) => {
          let sequence = 10
          const live = await drive(fresh(), program, (performing) => {
            const [id] = performing.splice((chances[sequence % 12] as number) % Math.max(1, performing.length), 1)
            return id === undefined ? undefined : outcome(id, sequence++)
          })
          const known = live.outcomes.slice(0, cut)
          const rest = live.outcomes.slice(cut)
          const replayed = await drive(journaled(known), program, () => rest.shift())
          expect(replayed.trace).toEqual(live.trace)
        },
      ),
      { numRuns: 40 },
    )
  })
})
