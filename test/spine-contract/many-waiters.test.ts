/** Bugs 5 and 13 that peers had (research: peers §11), and the bound on handlers that wait. */
import { agent, createSpine, type Engine, event, type Spine, stateOf } from 'event-spine'
import { memory } from 'event-spine/memory'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Numbered } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Answered = event('number.answered', z.object({ n: z.number() }))

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 5_000 && !(await holds()); turn++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await holds()).toBe(true)
}
const waits = (spine: Spine) => stateOf(spine).waits.size

describeOnEachEngine('many runs that wait', (world) => {
  it('peer bug 5: restart with 450 parked runs enqueues none twice', async () => {
    const begun: number[] = []
    const ended: number[] = []
    const parking = agent('parking', { on: Numbered, emits: [Booked], order: 'none' }, async (evt, ctx) => {
      const { n } = evt.data
      await ctx.step('begin', () => void begun.push(n), { effect: true })
      if (n % 3 === 0) await ctx.sleep('1h')
      else await ctx.waitFor(Answered, { cause: evt.sequence, within: '1h' })
      await ctx.step('end', () => void ended.push(n), { effect: true })
      ctx.emit(Booked, { service: `${n}` })
    })
    const one = await world.open({ agents: [parking] })
    const all = await Promise.all(Array.from({ length: 450 }, (_, n) => one.publish(Numbered, { n })))
    await until(() => waits(one) === 300 && begun.length === 450)
    await one.close()
    const two = await world.open({ agents: [parking] })
    await until(() => waits(two) === 300)
    await two.close()
    const three = await world.open({ agents: [parking] })
    const waiting = all.filter((_, n) => n % 3 !== 0)
    await Promise.all(waiting.map(({ sequence }, index) => three.publish(Answered, { n: index }, { cause: sequence })))
    for (const { request } of waiting) expect((await three.settled(request, { within: '30s' })).status).toBe('done')
    expect([begun.length, new Set(begun).size]).toEqual([450, 450])
    expect([ended.length, new Set(ended).size]).toEqual([300, 300])
    const booked = []
    for await (const { request } of three.log.read({ types: [Booked.type] })) booked.push(request)
    expect([booked.length, new Set(booked).size]).toEqual([300, 300])
  })
})

describe('10,000 and more', () => {
  const N = 10_250

  it('peer bug 13: they cause no polling storm, and one answer wakes one', async () => {
    const asked = { timers: 0, appends: 0, reads: 0 }
    const engine = memory()
    const counted = Object.create(engine) as Engine
    for (const name of ['open', 'close', 'tail', 'head', 'durability', 'readSnapshot', 'writeSnapshot'] as const)
      counted[name] = (engine[name] as (...args: unknown[]) => unknown).bind(engine) as never
    counted.append = (commits) => {
      asked.appends++
      return engine.append(commits)
    }
    counted.read = (query) => {
      asked.reads++
      return engine.read(query)
    }
    const clock = {
      now: () => Date.now(),
      setTimer(at: number, fire: () => void) {
        asked.timers++
        const timer = setTimeout(fire, Math.min(Math.max(0, at - Date.now()), 2 ** 31 - 1))
        return { cancel: () => clearTimeout(timer) }
      },
    }
    let entered = 0
    const answers: number[] = []
    const waiting = agent('waiting', { on: Numbered, order: 'none', concurrency: 100 }, async (evt, ctx) => {
      entered++
      const answer = await ctx.waitFor(Answered, { cause: evt.sequence, within: '1h' })
      answers.push(answer?.data.n ?? -1)
    })
    const spine = await createSpine({ engine: counted, agents: [waiting], clock })
    const sequences: number[] = []
    for (let n = 0; n < N; n += 250) {
      const some = await Promise.all(
        Array.from({ length: 250 }, (_, index) => spine.publish(Numbered, { n: n + index })),
      )
      sequences.push(...some.map(({ sequence }) => sequence))
    }
    await until(() => waits(spine) === N)
    expect(entered).toBe(N)
    const before = { ...asked }
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(asked).toEqual(before)

    // The youngest one is kept; the oldest is forgotten, and is run again from its journal.
    for (const [index, n] of [N - 1, 0, 5, N - 2].entries()) {
      const { request } = await spine.publish(Answered, { n }, { cause: sequences[n] as number })
      expect((await spine.settled(request)).status).toBe('done')
      expect(answers).toHaveLength(index + 1)
    }
    expect(answers).toEqual([N - 1, 0, 5, N - 2])
    expect(entered).toBe(N + 2)
    const last = await spine.settled(
      (await spine.log.read({ after: (sequences[7] as number) - 1, limit: 1 }).next()).value.request,
      { within: 0 },
    )
    expect(last.waiting).toMatchObject([
      { agent: 'waiting', why: 'suspended', detail: expect.stringContaining('number.answered') },
    ])
    // Four answers: a handful of appends and reads each, whoever else waits.
    expect(asked.appends - before.appends).toBeLessThan(40)
    expect(asked.reads - before.reads).toBeLessThan(40)
    expect(asked.timers - before.timers).toBeLessThan(40)
    await spine.close({ drain: 0 })
  })
})
