/** What a handler that takes its process down does to itself and to its neighbours (DESIGN 4c). */
import { agent, type LogRecord } from 'event-spine'
import { type TestSpine, testSpine } from 'event-spine/testing'
import { describe, expect, it } from 'vitest'
import { Numbered, quickly } from '../support/vocabulary.ts'

const never = new Promise<never>(() => {})

async function records(spine: TestSpine, atRest = true): Promise<readonly LogRecord[]> {
  if (atRest) await spine.idle()
  const all: LogRecord[] = []
  for await (const record of spine.log.read()) all.push(record)
  return all
}

describe('a handler that takes the process down', () => {
  const world = async (crashes: (evt: { n: number }, spine: TestSpine) => boolean) => {
    const done: number[] = []
    const running = new Set<number>()
    const beside: string[] = []
    const counter = agent('counter', { on: Numbered, retry: quickly(2) }, async (evt, ctx) => {
      await ctx.step('count', async () => {
        running.add(evt.data.n)
        if (crashes(evt.data, spine)) {
          beside.push([...running].sort().join(' '))
          running.clear()
          void spine.crash()
          return never
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
        running.delete(evt.data.n)
        done.push(evt.data.n)
        return null
      })
    })
    const spine = await testSpine({ agents: [counter], replay: 'after-crash' })
    return { spine, done, beside }
  }

  it('ends in the dead letters, runs alone at the end, and spares its neighbours', async () => {
    const { spine, done, beside } = await world(({ n }) => n === 13)
    const published = await Promise.all(
      [1, 2, 13, 4, 5].map((n) => spine.publish(Numbered, { n }, { session: `s${n}` })),
    )
    await spine.idle()
    const ends = await Promise.all(published.map(({ request }) => spine.settled(request)))
    expect(ends.map(({ status }) => status)).toEqual(['done', 'done', 'failed', 'done', 'done'])
    expect([...new Set(done)].sort()).toEqual([1, 2, 4, 5])
    const [letter] = await spine.deadLetters.list()
    expect(letter).toMatchObject({ agent: 'counter', attempts: 0, error: { code: 'SPINE_CRASH_LOOP' } })
    // At most one uncounted crash before starts are careful, two beside others, three alone.
    expect(spine.crashes).toBeGreaterThanOrEqual(5)
    expect(spine.crashes).toBeLessThanOrEqual(6)
    expect(beside.slice(-3)).toEqual(['13', '13', '13'])
    expect(spine.warnings.join('\n')).toContain('counter took down the process 5 times')
    await spine.close()
  })

  it('is no attempt: after the crashes it still has all its attempts, and a redrive works', async () => {
    let left = 2
    const { spine, done } = await world(({ n }) => n === 7 && left-- > 0)
    const { request } = await spine.publish(Numbered, { n: 7 })
    expect((await spine.settled(request)).status).toBe('done')
    expect(done).toEqual([7])
    expect((await records(spine)).some(({ type }) => type === 'spine.delivery.retried')).toBe(false)
    await spine.close()
  })

  it('starts carefully after a crash: the start of what is older is durable before its handler is entered', async () => {
    let hangs = true
    const known: boolean[] = []
    const counter = agent('counter', { on: Numbered }, async (evt, ctx) => {
      const seen = await records(spine, false)
      known.push(
        seen.some(
          ({ type, data }) => type === 'spine.runs.started' && JSON.stringify(data).includes(`[${evt.sequence}]`),
        ),
      )
      await ctx.step('count', () => (hangs ? never : null))
    })
    const spine = await testSpine({ agents: [counter], replay: 'after-crash' })
    const older = await spine.publish(Numbered, { n: 1 })
    await new Promise((resolve) => setTimeout(resolve, 20))
    hangs = false
    await spine.crash()
    expect((await spine.settled(older.request)).status).toBe('done')
    const newer = await spine.publish(Numbered, { n: 2 })
    expect((await spine.settled(newer.request)).status).toBe('done')
    expect(known).toEqual([false, true, false])
    await spine.close()
  })

  it('a clean close counts nothing, however long handlers would run', async () => {
    const { spine, done } = await world(() => false)
    await spine.publish(Numbered, { n: 1 })
    await spine.idle()
    expect(done).toEqual([1])
    await spine.close()
  })
})
