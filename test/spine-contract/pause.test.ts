import { agent, Permanent } from 'event-spine'
import { expect, it } from 'vitest'
import { Answer, deferred, Numbered, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('an agent that is paused', (world) => {
  const counting = (done: number[], name = 'counter') =>
    agent(name, { on: Numbered, retry: quickly(3) }, async (evt, ctx) => {
      await ctx.step('count', () => void done.push(evt.data.n))
    })

  it('starts nothing new, is listed with the reason, and resumes in order', async () => {
    const done: number[] = []
    const spine = await world.open({ agents: [counting(done)] })
    await spine.agents.pause('counter', 'the bank is down')
    const published = await Promise.all([1, 2, 3].map((n) => spine.publish(Numbered, { n }, { session: `s${n}` })))
    const waiting = await spine.settled(published[0]?.request as string, { within: 20 })
    expect(waiting).toMatchObject({ status: 'open', waiting: [{ agent: 'counter', why: 'agent paused' }] })
    expect(waiting.waiting[0]?.detail).toContain('the bank is down')
    const [info] = spine.agents.list()
    expect(info?.paused).toEqual({ since: expect.any(Number), why: 'the bank is down' })
    expect(done).toEqual([])
    await spine.agents.resume('counter')
    for (const { request } of published) expect((await spine.settled(request)).status).toBe('done')
    expect(done).toEqual([1, 2, 3])
    expect(spine.agents.list()[0]?.paused).toBeUndefined()
  })
})
