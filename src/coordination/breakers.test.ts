import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { limits } from '../kernel/limits.ts'
import { seededRandom } from '../kernel/random.ts'
import { breakerPhase, decideBreaker, isBreakerOpen, isHeldByBreaker, mayProbe, probeUntil } from './breakers.ts'
import { decideDue, takeOver } from './decide.ts'
import { decodeState } from './decode-state.ts'
import { encodeState } from './encode-state.ts'
import { evolve } from './evolve.ts'
import { type AgentState, agentNamed, initialState } from './state.ts'

const BREAKER = { failures: 2, withinMs: 50, cooldownMs: 1_000 }
const none = { uint32: () => 0 }

function world() {
  const all = foldedLog({ initialState, takeOver, evolve, encodeState })
  all.log.register('ann', { on: ['a.happened'], breaker: BREAKER })
  const { log, state } = all
  const agent = (name = 'ann') => agentNamed(state, name) as AgentState
  return {
    ...all,
    agent,
    event: () => log.delivery(log.event('a.happened'), 'ann'),
    isHeld: ({ source }: { source: number }) =>
      isHeldByBreaker(state, state.deliveries.find(source, state.agentIndex.get('ann') as number)),
    decision: (now = 10_000) => decideBreaker(agent(), now, none),
    breakerMarks: () => all.marks().filter(({ kind }) => kind === 'breaker' || kind === 'resumed'),
    trip: () => {
      log.delivery(log.event('a.happened'), 'ann').fail()
      log.delivery(log.event('a.happened'), 'ann').fail()
    },
  }
}

describe('a breaker that is closed', () => {
  it('trips with the last of so many failures in a row, and holds from that record on', () => {
    const all = world()
    const [one, two, waiting] = [all.event(), all.event(), all.event()]
    one.fail()
    expect([all.isHeld(waiting), all.decision()]).toEqual([false, undefined])
    all.marks()
    two.fail()
    expect(all.breakerMarks()).toEqual([{ kind: 'breaker', agent: 'ann' }])
    expect([all.isHeld(waiting), all.isHeld(two), breakerPhase(all.agent(), 0)]).toEqual([true, true, 'open'])
    expect(all.decision()).toEqual({ kind: 'open', until: 11_000 })
  })

  it('begins to count anew with a success, and forgets what is older than its time', () => {
    const all = world()
    const [one, two, three] = [all.event(), all.event(), all.event()]
    one.fail()
    two.complete()
    three.fail()
    expect(all.decision()).toBeUndefined()
    for (let filler = 0; filler < 60; filler++) all.log.event('b.happened')
    three.fail()
    expect(all.agent().breaker?.failures).toHaveLength(1)
  })

  it.each([
    ['of the input', { permanent: true }],
    ['of a call', { code: 'SPINE_CALL_FAILED' }],
    ['of the process', { code: 'SPINE_CRASH_LOOP' }],
    ['of a parked key', { code: 'SPINE_KEY_PARKED' }],
  ])('H3 does not count failures %s', (_, error) => {
    const all = world()
    for (let time = 0; time < 5; time++) all.event().fail(error)
    expect(all.agent().breaker?.failures).toEqual([])
  })
})

describe('a breaker that is open', () => {
  const opened = () => {
    const all = world()
    all.trip()
    all.log.openBreaker('ann', 5_000)
    all.marks()
    return all
  }

  it('H1 holds all, and what was running tells it nothing', () => {
    const all = opened()
    const [running, waiting] = [all.event(), all.event()]
    running.fail()
    running.complete()
    expect(all.agent().breaker).toEqual({
      failures: [],
      openings: 1,
      until: 5_000,
      probe: 0,
      verdict: '',
      askedUntil: 0,
    })
    expect([all.isHeld(waiting), isBreakerOpen(all.agent(), 4_999), isBreakerOpen(all.agent(), 5_000)]).toEqual([
      true,
      true,
      false,
    ])
    expect([mayProbe(all.agent(), 4_999), mayProbe(all.agent(), 5_000)]).toEqual([false, true])
  })

  it('H2 does not hold an attempt that the log knows of', () => {
    const all = opened()
    const begun = all.event()
    begun.sleep('@sleep#0', 1)
    expect(all.isHeld(begun)).toBe(false)
  })

  it('is due for a probe at its time, also for the next owner and under a new name', () => {
    const all = opened()
    const other = decodeState(all.encoded())
    takeOver(other)
    expect(decideDue(other, 5_000)).toContainEqual({ kind: 'half-open', agent: 'ann' })
    all.log.rename('ann', 'bea')
    expect(all.agent('ann').breaker).toBeUndefined()
    expect(decideDue(all.state, 5_000)).toContainEqual({ kind: 'half-open', agent: 'bea' })
  })

  it('lets the probe through, and nothing else, until its attempt must have ended', () => {
    const all = opened()
    const [probe, waiting] = [all.event(), all.event()]
    expect(probeUntil(all.agent(), 5_000)).toBe(6_000)
    all.log.openBreaker('ann', 6_000, probe.source)
    expect(all.breakerMarks()).toEqual([{ kind: 'resumed', agent: 'ann' }])
    expect([all.isHeld(probe), all.isHeld(waiting), breakerPhase(all.agent(), 5_000)]).toEqual([
      false,
      true,
      'half-open',
    ])
    expect([mayProbe(all.agent(), 5_999), mayProbe(all.agent(), 6_000)]).toEqual([false, true])
  })

  it('closes when the probe passes', () => {
    const all = opened()
    const [probe, waiting] = [all.event(), all.event()]
    all.log.openBreaker('ann', 6_000, probe.source)
    probe.complete()
    expect([all.decision(), all.isHeld(waiting), mayProbe(all.agent(), 9_999)]).toEqual([
      { kind: 'close' },
      true,
      false,
    ])
    all.log.closeBreaker('ann')
    expect([all.decision(), all.isHeld(waiting)]).toEqual([undefined, false])
  })

  it('opens for longer with each probe that fails, up to a bound, and jitters only upwards', () => {
    const all = opened()
    const bounds: number[] = []
    for (let time = 0; time < 12; time++) {
      const probe = all.event()
      all.log.openBreaker('ann', 6_000, probe.source)
      probe.fail()
      const decision = all.decision(0)
      bounds.push(decision?.kind === 'open' ? decision.until : 0)
      const jittered = decideBreaker(all.agent(), 0, seededRandom(`${time}`))
      const until = jittered?.kind === 'open' ? jittered.until : 0
      expect(until).toBeGreaterThanOrEqual(bounds.at(-1) as number)
      expect(until).toBeLessThanOrEqual((bounds.at(-1) as number) * 1.25 + 1)
      all.log.openBreaker('ann', bounds.at(-1) as number)
    }
    expect(bounds.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000])
    expect(bounds.at(-1)).toBe(limits.breakerCooldownMsMax)
  })

  it.each([
    ['is cancelled', (probe: ReturnType<ReturnType<typeof world>['event']>) => probe.cancel()],
    ['fails for its input', (probe: ReturnType<ReturnType<typeof world>['event']>) => probe.fail({ permanent: true })],
  ])('may choose another at once when the probe %s', (_, end) => {
    const all = opened()
    const probe = all.event()
    all.log.openBreaker('ann', 60_000, probe.source)
    const sequence = end(probe)
    expect(all.agent().breaker).toMatchObject({ probe: 0, verdict: '', until: 1_000 + sequence })
    expect(decideDue(all.state, 1_000 + sequence)).toContainEqual({ kind: 'half-open', agent: 'ann' })
  })

  it('knows a probe that has ended before it was chosen, and one that was chosen after someone closed it', () => {
    const all = opened()
    const gone = all.event()
    gone.cancel()
    all.log.openBreaker('ann', 60_000, gone.source)
    expect(all.agent().breaker?.probe).toBe(0)
    all.log.closeBreaker('ann')
    all.log.openBreaker('ann', 60_000, all.event().source)
    expect(breakerPhase(all.agent(), 0)).toBe('closed')
  })

  it('H4 waits as long as a RetryAfter asked for, within its bound', () => {
    const all = world()
    all.event().fail({ retryAfterMs: 90_000 })
    const last = all.event().fail({ retryAfterMs: 5 * limits.retryAfterMsMax })
    expect(all.decision(2_000)).toEqual({ kind: 'open', until: 1_000 + last + limits.retryAfterMsMax })
  })

  it('goes with the option, and with the agent', () => {
    const all = opened()
    all.log.register('ann', { on: ['a.happened'] })
    expect(all.breakerMarks()).toEqual([{ kind: 'resumed', agent: 'ann' }])
    expect(all.agent().breaker).toBeUndefined()
    all.log.register('ann', { on: ['a.happened'], breaker: BREAKER })
    all.trip()
    all.log.remove('ann')
    expect(all.agent().breaker).toBeUndefined()
  })
})
