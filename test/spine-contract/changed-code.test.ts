import { agent, event, type LogRecord } from 'event-spine'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, Inquiry, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

describeOnEachEngine('code that changes under runs that have begun', (world) => {
  /** A run that has done its first step and sleeps. */
  const begun = async (code: Parameters<typeof world.open>[0]['agents']) => {
    const spine = await world.open({ agents: code })
    const { request } = await spine.publish(Inquiry, { text: 'a' }, { session: 's' })
    await until(async () => (await spine.settled(request, { within: 0 })).waiting[0]?.why === 'suspended')
    await spine.close()
    return request
  }
  const done = async (spine: Awaited<ReturnType<typeof world.open>>, request: string) => {
    expect((await spine.settled(request, { within: '5s' })).status).toBe('done')
    return (await spine.waitFor(Booked, { request, within: '1s' }))?.data.service
  }

  const original = agent('office', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
    await ctx.step('read', () => 1)
    await ctx.sleep(150)
    await ctx.step('write', () => 2)
    ctx.emit(Booked, { service: 'version 1' })
  })
  const rewritten = agent('office', { on: Inquiry, emits: [Booked], version: 2 }, async (_evt, ctx) => {
    await ctx.step('scan', () => 1)
    ctx.emit(Booked, { service: 'version 2' })
  })

  it('peer bug 20: pauses with a diff, starts nothing, and goes on when the old code is back', async () => {
    const request = await begun([original])
    const two = await world.open({ agents: [rewritten] })
    await until(async () => (await two.settled(request, { within: 0 })).waiting[0]?.why === 'paused')
    const [paused] = (await world.records(two)).filter(({ type }) => type === 'spine.delivery.paused')
    const { error } = (paused as LogRecord).data as unknown as { error: { code: string; message: string } }
    expect(error.code).toBe('SPINE_REPLAY_MISMATCH')
    expect(error.message).toMatch(
      /The journal goes on with 'read#0' \(record \d+\), but the handler asks for 'scan#0'\./,
    )
    expect(error.message).toMatch(/\n- read#0\n(- @sleep#0\n)?\+ scan#0$/)
    expect(world.warnings.at(-1)).toContain('it pauses until this log is opened again with code that fits')
    expect(world.warnings.at(-1)).not.toContain('\n')
    await two.close()
    const three = await world.open({ agents: [original] })
    expect(await done(three, request)).toBe('version 1')
  })

  it('versions side by side: a run ends with the code that began it, what is new takes the highest', async () => {
    const request = await begun([original])
    const two = await world.open({ agents: [rewritten, original] })
    const { request: later } = await two.publish(Inquiry, { text: 'b' })
    expect(await done(two, later)).toBe('version 2')
    expect(await done(two, request)).toBe('version 1')
    expect(two.agents.list()).toMatchObject([{ name: 'office', version: '2' }])
  })

  describe('deployed over a run that waits for an approval', () => {
    const Asked = event('approval.asked', z.object({ text: z.string() }))
    const Given = event('approval.given', z.object({ by: z.string() }))
    const emits = [Asked, Booked] as const
    const first = agent('approving', { on: Inquiry, emits, version: 1 }, async (evt, ctx) => {
      await ctx.step('read', () => 1)
      const asked = await ctx.publish(Asked, { text: evt.data.text })
      const given = await ctx.waitFor(Given, { cause: asked, within: '1h' })
      ctx.emit(Booked, { service: `version 1, ${given?.data.by}` })
    })
    const answer = async (spine: Awaited<ReturnType<typeof world.open>>) => {
      const asked = (await world.records(spine)).find(({ type }) => type === Asked.type)
      await spine.publish(Given, { by: 'Ann' }, { cause: asked?.sequence as number })
    }

    it('code that differs behind the wait goes on with the answer', async () => {
      const second = agent('approving', { on: Inquiry, emits, version: 2 }, async (evt, ctx) => {
        await ctx.step('read', () => 1)
        const asked = await ctx.publish(Asked, { text: evt.data.text })
        const given = await ctx.waitFor(Given, { cause: asked, within: '1h' })
        const signed = await ctx.step('sign', () => `signed for ${given?.data.by}`)
        ctx.emit(Booked, { service: `version 2, ${signed}` })
      })
      const request = await begun([first])
      const two = await world.open({ agents: [second] })
      await answer(two)
      expect(await done(two, request)).toBe('version 2, signed for Ann')
    })

    it('code that differs before it pauses with a diff, keeps the answer, and goes on beside the old version', async () => {
      const second = agent('approving', { on: Inquiry, emits, version: 2 }, async (_evt, ctx) => {
        await ctx.step('scan', () => 1)
        ctx.emit(Booked, { service: 'version 2' })
      })
      const request = await begun([first])
      const two = await world.open({ agents: [second] })
      await until(async () => (await two.settled(request, { within: 0 })).waiting[0]?.why === 'paused')
      await answer(two)
      expect((await two.settled(request, { within: 0 })).waiting[0]?.why).toBe('paused')
      await two.close()
      const three = await world.open({ agents: [second, first] })
      expect(await done(three, request)).toBe('version 1, Ann')
    })
  })

  it('refuses one name and one version twice', async () => {
    await expect(world.open({ agents: [original, original] })).rejects.toMatchObject({ code: 'SPINE_AGENT_INVALID' })
  })

  it('patched: false where a run has passed before, true where it comes for the first time, the same on every replay', async () => {
    const patchedCode = agent('office', { on: Inquiry, emits: [Booked], retry: quickly(3) }, async (_evt, ctx) => {
      const early = ctx.patched('early')
      if (early) await ctx.step('check', () => 0)
      await ctx.step('read', () => 1)
      await ctx.sleep(150)
      const late = ctx.patched('late')
      if (late) await ctx.step('audit', () => 3)
      await ctx.step('write', () => 2)
      if (ctx.attempt === 1) throw new Error('once')
      ctx.emit(Booked, { service: `early ${early}, late ${late}` })
    })
    const request = await begun([original])
    const two = await world.open({ agents: [patchedCode] })
    expect(await done(two, request)).toBe('early false, late true')
    const { request: fresh } = await two.publish(Inquiry, { text: 'b' })
    expect(await done(two, fresh)).toBe('early true, late true')
  })

  it('requests.restart starts a paused run over: a new generation, effects kept, nothing else', async () => {
    const ran: string[] = []
    const effectful = (version: number, names: readonly string[]) =>
      agent('office', { on: Inquiry, emits: [Booked], version }, async (_evt, ctx) => {
        await ctx.step('book', ({ idempotencyKey }) => void ran.push(idempotencyKey.split('/').pop() as string), {
          effect: true,
        })
        for (const name of names) await ctx.step(name, () => void ran.push(name))
        await ctx.sleep(100)
        ctx.emit(Booked, { service: `version ${version} ${ctx.uuid()}` })
      })
    const request = await begun([effectful(1, ['read', 'think'])])
    const two = await world.open({ agents: [effectful(2, ['scan'])] })
    await until(async () => (await two.settled(request, { within: 0 })).waiting[0]?.why === 'paused')
    const restarted = await two.requests.restart(request, 'new code')
    expect(restarted).toEqual([expect.stringMatching(/^\d+\/office$/)])
    expect(await done(two, request)).toMatch(/^version 2 /)
    expect(ran).toEqual(['book#0', 'read', 'think', 'scan'])
    expect(await two.requests.restart(request, 'again')).toEqual([])
    await expect(two.requests.restart('nobody', 'x')).rejects.toMatchObject({ code: 'SPINE_REQUEST_UNKNOWN' })
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()) && turn < 1_000; turn++) await new Promise((resolve) => setTimeout(resolve, 2))
}
