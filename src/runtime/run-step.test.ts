import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import type { StepContext } from '../agent/context.ts'
import { Permanent, RetryAfter, SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { StepCommand } from './command.ts'
import { runStep } from './run-step.ts'

interface Setting {
  readonly attempts?: number
  readonly timeoutMs?: number
}

/** Runs a step with delays of exactly 100, 200, 400, … ms, up to 1 s. */
function world(run: (step: StepContext) => unknown, { attempts = 1, timeoutMs }: Setting = {}) {
  const clock = new ManualClock(1_000)
  const abort = new AbortController()
  const command: StepCommand = {
    kind: 'step',
    run,
    retry: { attempts, delayMsMin: 100, delayMsMax: 1_000 },
    timeoutMs,
    keep: false,
  }
  const random = { uint32: () => 0xffffffff }
  const around = {
    clock,
    random,
    signal: abort.signal,
    idempotencyKey: 'r/1/ann/book#0',
    maybeDone: true,
    what: "step 'book#0' of ann",
  }
  let state: { value?: unknown; error?: unknown } = {}
  const settled = runStep(command, around).then(
    (value) => {
      state = { value: value?.value }
    },
    (error: unknown) => {
      state = { error }
    },
  )
  return { clock, abort, settled, result: () => state }
}

/** Fails so many times, then gives the number of the try. */
function failing(times: number, error: (tries: number) => unknown = (tries) => new Error(`failed ${tries}`)) {
  const at: number[] = []
  const run = (clock: () => number) => () => {
    at.push(clock())
    if (at.length <= times) throw error(at.length)
    return at.length
  }
  return { at, run }
}

function worldOf(flaky: ReturnType<typeof failing>, setting: Setting) {
  let now = () => 1_000
  const made = world(() => flaky.run(() => now())(), setting)
  now = () => made.clock.now()
  return made
}

describe('the result', () => {
  it('is JSON, frozen; nothing stays nothing', async () => {
    const one = world(() => ({ a: [1], b: undefined }))
    await one.settled
    expect(one.result()).toEqual({ value: { a: [1] } })
    expect(Object.isFrozen(one.result().value)).toBe(true)
    const two = world(async () => undefined)
    await two.settled
    expect(two.result()).toEqual({ value: undefined })
  })

  it.each([
    ['SPINE_PAYLOAD_NOT_JSON', () => new Map()],
    ['SPINE_PAYLOAD_TOO_LARGE', () => 'x'.repeat(limits.stepResultBytesMax)],
  ])('%s names the step', async (code, run) => {
    const { settled, result } = world(run)
    await settled
    expect(result().error).toMatchObject({ code, message: expect.stringMatching(/^step 'book#0' of ann: result/) })
  })

  it('gives the function its signal, its key and whether an earlier try may have taken effect', async () => {
    let seen: StepContext | undefined
    const { settled, abort } = world((step) => {
      seen = step
    })
    await settled
    expect(seen).toMatchObject({ idempotencyKey: 'r/1/ann/book#0', maybeDone: true })
    expect(seen?.signal.aborted).toBe(false)
    abort.abort()
    expect(seen?.signal.aborted).toBe(true)
  })
})

describe('retry', () => {
  it('tries once by default, and rejects with what was thrown, at once or later', async () => {
    for (const run of [() => fail(), async () => fail()]) {
      const { settled, result, clock } = world(run)
      await settled
      expect(result()).toEqual({ error: expect.objectContaining({ message: 'broken' }) })
      expect(clock.pending).toBe(0)
    }
    function fail(): never {
      throw new Error('broken')
    }
  })

  it('tries again after delays that double up to their bound', async () => {
    const flaky = failing(5)
    const { clock, result } = worldOf(flaky, { attempts: 6 })
    await clock.advance(10_000)
    expect(flaky.at.slice(1).map((at, index) => Math.round(at - (flaky.at[index] as number)))).toEqual([
      100, 200, 400, 800, 1_000,
    ])
    expect(result()).toEqual({ value: 6 })
  })

  it('waits for its clock: no try comes early', async () => {
    const flaky = failing(1)
    const { clock, result } = worldOf(flaky, { attempts: 2 })
    await clock.advance(99)
    expect([flaky.at.length, result()]).toEqual([1, {}])
    await clock.advance(1)
    expect([flaky.at.length, result()]).toEqual([2, { value: 2 }])
  })

  it('ends with the error of the last try', async () => {
    const flaky = failing(9)
    const { clock, result } = worldOf(flaky, { attempts: 3 })
    await clock.advance(10_000)
    expect([flaky.at.length, (result().error as Error).message]).toEqual([3, 'failed 3'])
    expect(clock.pending).toBe(0)
  })

  it('does not repeat what is permanent', async () => {
    const flaky = failing(9, () => new Permanent('never'))
    const { settled, result } = worldOf(flaky, { attempts: 5 })
    await settled
    expect([flaky.at.length, (result().error as Error).name]).toEqual([1, 'Permanent'])
  })

  it('does not repeat what gave a result that can never be stored', async () => {
    let tries = 0
    const { clock, result } = world(() => new Map([[tries++, 1]]), { attempts: 5 })
    await clock.advance(10_000)
    expect([tries, result().error]).toEqual([1, expect.objectContaining({ code: 'SPINE_PAYLOAD_NOT_JSON' })])
  })

  it('comes back when a RetryAfter says so', async () => {
    const flaky = failing(1, () => new RetryAfter('5s'))
    const { clock } = worldOf(flaky, { attempts: 2 })
    await clock.advance(10_000)
    expect(flaky.at.map(Math.round)).toEqual([1_000, 6_500])
  })

  it('a RetryAfter with a wrong duration backs off as usual, and does not hide the error', async () => {
    const flaky = failing(9, () => new RetryAfter('soon', 'busy'))
    const { clock, result } = worldOf(flaky, { attempts: 2 })
    await clock.advance(10_000)
    expect([flaky.at.length, (result().error as Error).message]).toEqual([2, 'busy'])
  })

  it('stops when the run does: nothing is tried again, and no timer is left', async () => {
    const flaky = failing(9)
    const { clock, result, abort } = worldOf(flaky, { attempts: 5 })
    await clock.advance(50)
    abort.abort(new Error('stopped'))
    await clock.advance(10_000)
    expect([flaky.at.length, (result().error as Error).message]).toEqual([1, 'failed 1'])
    expect(clock.pending).toBe(0)
  })

  it('a try that fails because the run was stopped is the last', async () => {
    let tries = 0
    const { clock, result, abort } = world(
      ({ signal }) => {
        tries++
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
      { attempts: 5 },
    )
    await clock.advance(10)
    abort.abort(new Error('stopped'))
    await clock.advance(10_000)
    expect([tries, (result().error as Error).message]).toEqual([1, 'stopped'])
  })
})

describe('timeout', () => {
  const hanging = () => {
    const signals: AbortSignal[] = []
    const run = ({ signal }: StepContext) => {
      signals.push(signal)
      return new Promise(() => {})
    }
    return { signals, run }
  }

  it('SPINE_STEP_TIMEOUT bounds a try, not before its time, and fires its signal', async () => {
    const { signals, run } = hanging()
    const { clock, result } = world(run, { timeoutMs: 50 })
    await clock.advance(49)
    expect([result(), signals[0]?.aborted]).toEqual([{}, false])
    await clock.advance(1)
    const { error } = result()
    expect(SpineError.is(error, 'SPINE_STEP_TIMEOUT')).toBe(true)
    expect((error as Error).message).toBe(
      "step 'book#0' of ann ran longer than 50 ms. Hand 'signal' to what it calls, or raise the step's timeout.",
    )
    expect(signals[0]?.aborted).toBe(true)
  })

  it('bounds each try for itself', async () => {
    const { signals, run } = hanging()
    const { clock, result } = world(run, { timeoutMs: 50, attempts: 2 })
    await clock.advance(100)
    expect([signals.length, result()]).toEqual([1, {}])
    await clock.advance(100)
    expect([signals.length, signals[1]?.aborted]).toEqual([2, true])
    expect(SpineError.is(result().error, 'SPINE_STEP_TIMEOUT')).toBe(true)
  })

  it('leaves no timer behind when the function ends in time, and the signal of the run still reaches it', async () => {
    let signal: AbortSignal | undefined
    const { clock, settled, result, abort } = world(
      (step) => {
        signal = step.signal
        return 'done'
      },
      { timeoutMs: 50 },
    )
    await settled
    expect([result(), clock.pending, signal?.aborted]).toEqual([{ value: 'done' }, 0, false])
    abort.abort()
    expect(signal?.aborted).toBe(true)
  })

  it('an error that comes after it is no unhandled rejection', async () => {
    const { clock, result } = world(
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late')))),
      { timeoutMs: 50 },
    )
    await clock.advance(60)
    expect(result().error).toBeInstanceOf(Error)
  })
})
