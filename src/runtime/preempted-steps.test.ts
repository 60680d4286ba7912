import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { limits } from '../kernel/limits.ts'
import { PreemptedSteps } from './preempted-steps.ts'
import type { Run } from './run.ts'

function world() {
  const clock = new ManualClock()
  const steps = new PreemptedSteps(clock)
  const warnings: string[] = []
  let end: (isRecorded: boolean) => void = () => {}
  const ended = new Promise<boolean>((resolve) => {
    end = resolve
  })
  const run = {
    source: 7,
    agent: { name: 'clerk' },
    generation: 0,
    stepsUnderWay: new Map([['slow#0', ended]]),
    host: { logger: { warn: (line: string) => warnings.push(line) } },
  } as unknown as Run
  let zombies = 0
  steps.add(run, (change) => {
    zombies += change
  })
  return { clock, steps, run, warnings, end, ended, zombies: () => zombies }
}

describe('a step that goes on after its run made room', () => {
  it('is joined by the resumed run, whenever that is', async () => {
    const { clock, steps, run, ended, warnings } = world()
    expect(steps.join(run, 'slow#0')).toBe(ended)
    await clock.advance(limits.stoppedStepMs * 2)
    expect(steps.brings(run, 'slow#0')).toBe(true)
    expect(warnings).toEqual([])
  })

  it('Z2 is a zombie when nobody has joined it in time, until it ends', async () => {
    const { clock, steps, run, warnings, end, ended, zombies } = world()
    await clock.advance(limits.stoppedStepMs)
    expect(zombies()).toBe(1)
    expect(warnings).toEqual([expect.stringMatching(/^agent 'clerk' goes on with 'slow#0'/)])
    expect([steps.join(run, 'slow#0'), steps.brings(run, 'slow#0')]).toEqual([undefined, false])
    end(false)
    await ended
    await new Promise((resolve) => setImmediate(resolve))
    expect(zombies()).toBe(0)
  })

  it('Z2 is none when only the log was slow: what it brings is waited for, not done again (simulator seed 6600224)', async () => {
    const { clock, steps, run, ended, warnings, zombies } = world()
    expect(steps.brings(run, 'slow#0')).toBe(true)
    await clock.advance(limits.stoppedStepMs * 2)
    expect([zombies(), warnings]).toEqual([0, []])
    expect(steps.join(run, 'slow#0')).toBe(ended)
  })
})
