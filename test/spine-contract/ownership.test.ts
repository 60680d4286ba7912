import { agent, createSpine, type Engine, SpineError } from 'event-spine'
import { memory } from 'event-spine/memory'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Booked, deferred, Inquiry } from '../support/vocabulary.ts'

/** Lets two spines open one memory log, which its lock would not: as two processes do on a shared engine. */
function withoutLock(engine: Engine): Engine {
  return new Proxy(engine, {
    get(target, name) {
      if (name === 'open' || name === 'close') return async () => {}
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('P6: one owner', () => {
  it('a process whose lane was claimed by another commits nothing more, however late: SPINE_LANE_LOST', async () => {
    const engine = memory()
    await engine.open()
    const hold = deferred()
    const late = agent('late', { on: Inquiry, emits: [Booked] }, async (_evt, ctx) => {
      await ctx.step('hang', () => hold.promise.then(() => null))
      ctx.emit(Booked, { service: 'stale' })
    })
    const fresh = agent('late', { on: Inquiry, emits: [Booked] }, (_evt, ctx) => ctx.emit(Booked, { service: 'fresh' }))
    const warnings: string[] = []
    const stale = await createSpine({
      engine: withoutLock(engine),
      agents: [late],
      logger: { warn: (line) => warnings.push(line) },
    })
    const { request } = await stale.publish(Inquiry, { text: 'a' })
    const owner = await createSpine({ engine: withoutLock(engine), agents: [fresh], logger: { warn: () => {} } })
    expect((await owner.settled(request)).status).toBe('done')
    hold.resolve()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const booked = (await engine.read({ types: ['appointment.booked'], limit: 10 })).map((record) => record.data)
    expect(booked).toEqual([{ service: 'fresh' }])
    const error = await stale.publish(Inquiry, { text: 'b' }).catch((caught: unknown) => caught)
    expect(SpineError.is(error, 'SPINE_LANE_LOST')).toBe(true)
    expect(warnings.at(-1)).toContain('This log is owned by')
    await stale.close()
    await owner.close()
  })

  it('calls nested too deeply are SPINE_CALL_DEPTH', async () => {
    const Depth = z.object({ depth: z.number() })
    const self = agent('self', { input: Depth, output: Depth })
    let code: unknown
    const nested = self.handle(async (evt, ctx) => {
      try {
        return await ctx.call(self, { depth: evt.data.depth + 1 })
      } catch (error) {
        code ??= (error as SpineError).code
        return { depth: evt.data.depth }
      }
    })
    const spine = await createSpine({ engine: memory(), agents: [nested], logger: { warn: () => {} } })
    expect(await (await spine.start(nested, { depth: 0 })).result()).toEqual({ depth: 16 })
    expect(code).toBe('SPINE_CALL_DEPTH')
    await spine.close()
  })

  it('one log is not opened twice', async () => {
    const engine = memory()
    const spine = await createSpine({ engine, agents: [], logger: { warn: () => {} } })
    await expect(createSpine({ engine, agents: [] })).rejects.toMatchObject({ code: 'SPINE_ENGINE_LOCKED' })
    await spine.close()
  })
})
