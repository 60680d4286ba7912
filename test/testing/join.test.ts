/** Joins whose time is up, and joins and holds in a process that dies anywhere. */
import { agent, event, join, type JoinOptions } from 'event-spine'
import { crashEverywhere, type OpenTestSpine, testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Inquiry } from '../support/vocabulary.ts'

const Priced = event('order.priced', z.object({ total: z.number() }))
const Checked = event('order.checked', z.object({ ok: z.boolean() }))
const Packed = event('order.packed', z.object({ boxes: z.number() }))
const Offered = event('offer.made', z.object({ of: z.array(z.string()), missing: z.array(z.string()) }))

const offering = (options: JoinOptions) =>
  agent('offer', { on: join([Priced, Checked, Packed], options), emits: [Offered] }, (evt, ctx) =>
    ctx.emit(Offered, { of: Object.keys(evt.data).sort(), missing: [...evt.missing] }),
  )

describe('within', () => {
  const world = async (options: Omit<JoinOptions, 'per'>) => {
    const spine = await testSpine({ agents: [offering({ per: 'session', within: '1h', ...options })] })
    const offers = async () => (await spine.events(Offered)).map(({ data }) => data)
    const publish = (type: typeof Priced | typeof Checked | typeof Packed) =>
      spine.publish(type as never, { total: 1, ok: true, boxes: 1 } as never, { session: 's' })
    const types = async (type: string) => {
      const found = []
      for await (const record of spine.log.read({ types: [type] })) found.push(record)
      return found
    }
    return { spine, offers, publish, types }
  }

  it('fires with what is there when the time since the first event is up', async () => {
    const { spine, offers, publish, types } = await world({})
    await publish(Checked)
    await spine.advance('50m')
    await publish(Priced)
    await spine.advance('9m')
    expect(await offers()).toEqual([])
    await spine.advance('1m')
    expect(await offers()).toEqual([{ of: ['order.checked', 'order.priced'], missing: ['order.packed'] }])
    expect(await types('spine.wait.expired')).toMatchObject([{ agent: 'offer', data: { command: '@join' } }])
    // A new round has its own hour.
    await publish(Packed)
    await spine.advance('59m')
    expect(await offers()).toHaveLength(1)
    await spine.advance('1m')
    expect((await offers())[1]).toEqual({ of: ['order.packed'], missing: ['order.priced', 'order.checked'] })
    await spine.close()
  })

  it('does not wait for its time when all are there, whatever atLeast says', async () => {
    const { spine, offers, publish, types } = await world({ atLeast: 2 })
    await publish(Priced)
    await publish(Checked)
    await spine.idle()
    expect(await offers()).toEqual([])
    await publish(Packed)
    await spine.idle()
    expect((await offers())[0]?.missing).toEqual([])
    await spine.advance('2h')
    expect(await offers()).toHaveLength(1)
    expect(await types('spine.wait.expired')).toEqual([])
    await spine.close()
  })

  it('ends as skipped, and says why, when less than atLeast came', async () => {
    const { spine, offers, publish, types } = await world({ atLeast: 2 })
    const { request } = await publish(Priced)
    await spine.advance('1h')
    expect((await spine.settled(request)).status).toBe('done')
    expect(await types('spine.delivery.skipped')).toMatchObject([
      { agent: 'offer', data: { why: 'join: 1 of 3 types came within 3600000 ms, and 2 were asked for' } },
    ])
    expect(await offers()).toEqual([])
    await spine.close()
  })

  it('fires after a restart when its time was up meanwhile', async () => {
    const { spine, offers, publish } = await world({})
    await publish(Priced)
    await spine.advance('59m')
    await spine.crash()
    await spine.advance('1m')
    expect(await offers()).toHaveLength(1)
    await spine.close()
  })
})

describe('a crash anywhere', () => {
  const pricing = agent('pricing', { on: Inquiry, emits: [Priced] }, (_evt, ctx) => ctx.emit(Priced, { total: 7 }))
  const checking = agent('checking', { on: Inquiry, emits: [Checked] }, async (_evt, ctx) => {
    await ctx.step('look', () => null)
    ctx.emit(Checked, { ok: true })
  })

  it('a join of a request fires once, with the same events', async () => {
    const scenario = async (open: OpenTestSpine) => {
      const spine = await open({ agents: [pricing, checking, offering({ per: 'request', within: '1h' })] })
      const { request } = await spine.publish(Inquiry, { text: 'a' })
      return (await spine.settled(request, { within: '2h' })).status
    }
    const { appends } = await crashEverywhere(scenario)
    expect(appends).toBeGreaterThanOrEqual(5)
  })

  it('a join of a session re-arms', async () => {
    const scenario = async (open: OpenTestSpine) => {
      const spine = await open({ agents: [offering({ per: 'session', atLeast: 2 })] })
      for (const n of [1, 2]) {
        await spine.publish(Priced, { total: n }, { session: 's' })
        const { request } = await spine.publish(Checked, { ok: true }, { session: 's' })
        await spine.settled(request)
      }
      await spine.idle()
      return (await spine.events(Offered)).map(({ data }) => data)
    }
    await crashEverywhere(scenario)
  })

  it('what comes after is held until then, and not longer', async () => {
    const after = agent('after', { on: Priced, after: [Checked, Packed], emits: [Offered] }, (evt, ctx) =>
      ctx.emit(Offered, { of: [String(evt.data.total)], missing: [] }),
    )
    const scenario = async (open: OpenTestSpine) => {
      const spine = await open({ agents: [after] })
      await spine.publish(Packed, { boxes: 1 }, { session: 's' })
      const first = await spine.publish(Priced, { total: 1 }, { session: 's' })
      await spine.publish(Priced, { total: 2 }, { session: 's' })
      await spine.idle()
      const early = (await spine.events(Offered)).length
      await spine.publish(Checked, { ok: true }, { session: 's' })
      await spine.settled(first.request)
      await spine.idle()
      return [early, (await spine.events(Offered)).map(({ data }) => data.of)]
    }
    await crashEverywhere(scenario)
  })

  it('an observer still observes, and nobody waits for it', async () => {
    const audit = agent('audit', { on: '*', observes: true, emits: [Packed] }, async (evt, ctx) => {
      if (evt.type === 'order.packed') return
      await ctx.sleep('1h')
      ctx.emit(Packed, { boxes: 0 })
    })
    const scenario = async (open: OpenTestSpine) => {
      const spine = await open({ agents: [pricing, audit] })
      const { request } = await spine.publish(Inquiry, { text: 'a' }, { deadline: '1m' })
      const { status } = await spine.settled(request)
      const early = (await spine.events(Packed)).length
      await spine.advance('2h')
      return [status, early, (await spine.events(Packed)).length]
    }
    await crashEverywhere(scenario)
  })
})
