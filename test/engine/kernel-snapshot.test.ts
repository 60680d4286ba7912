/** The state of the spine is saved as it grows, and a restart folds from there: with little open work, and with much. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  agent,
  type Clock,
  createSpine,
  encodeState,
  type Engine,
  evolve,
  initialState,
  message,
  type Spine,
  stateOf,
} from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterAll, expect, it } from 'vitest'
import { Inquiry, Numbered } from '../support/vocabulary.ts'

const folder = mkdtempSync(join(tmpdir(), 'spine-snapshot-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const RECORDS = 55_000
const SNAPSHOT = 'kernel-5'

const sleeping = agent('sleeping', { on: Inquiry, concurrency: 4 }, async (_evt, ctx) => {
  ctx.session.set({ seen: true })
  await ctx.step('note', () => 1)
  await ctx.sleep('1h')
})

/** A thread is started every 30 s at most, the first one 30 s after the start: here they have passed at once. */
function laterClock(): Clock {
  let skewMs = 0
  setTimeout(() => {
    skewMs = 31_000
  }, 200)
  return {
    now: () => Date.now() + skewMs,
    setTimer: (at, fire) => {
      const handle = setTimeout(fire, Math.max(0, Math.min(at - Date.now() - skewMs, 1_000_000)))
      handle.unref()
      return { cancel: () => clearTimeout(handle) }
    },
  }
}

async function fill(spine: Spine): Promise<void> {
  for (let sent = 0; sent < RECORDS; sent += 250) {
    const batch = Array.from({ length: 250 }, (_, index) => message(Numbered, { n: sent + index }, { session: 's' }))
    await spine.publishAll(batch, { atomic: true })
  }
}

async function saved(engine: Engine): Promise<number> {
  for (let turn = 0; turn < 1_000; turn++) {
    const snapshot = await engine.readSnapshot(SNAPSHOT)
    if (snapshot !== undefined) return snapshot.at
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('no snapshot was saved')
}

it.each([
  ['little', 3],
  ['much, by a thread', 2_200],
])(
  '%s open work: the state read back is that of the whole log, and goes on',
  async (name, open) => {
    const path = join(folder, `${open}.db`)
    const engine = sqlite(path)
    const one = await createSpine({ engine, agents: [sleeping], clock: laterClock(), logger: { warn: () => {} } })
    const opened = Array.from({ length: open }, (_, index) =>
      one.publish(Inquiry, { text: name }, { session: `s${index}` }),
    )
    await Promise.all(opened)
    await fill(one)
    const at = await saved(engine)
    expect(at).toBeGreaterThanOrEqual(50_000)
    await one.close({ drain: 0 })

    const whole = initialState()
    const reading = sqlite(path, { readOnly: true })
    await reading.open()
    for (;;) {
      const page = await reading.read({ after: whole.at, limit: 1_000 })
      if (page.length === 0) break
      for (const record of page) evolve(whole, record)
    }
    await reading.close()

    // What lies below the snapshot is cut off: only who reads the snapshot can open this log.
    const cutting = sqlite(path)
    await cutting.open()
    await cutting.trim(at)
    await cutting.close()
    const two = await createSpine({ engine: sqlite(path), agents: [], logger: { warn: () => {} } })
    for await (const record of two.log.read({ after: whole.at })) evolve(whole, record)
    expect(JSON.parse(encodeState(stateOf(two)))).toEqual(JSON.parse(encodeState(whole)))
    expect(stateOf(two).deliveries.openCount).toBe(open)
    await two.close()
  },
  60_000,
)

it('a snapshot that cannot be read is no reason not to start', async () => {
  const path = join(folder, 'broken.db')
  const engine = sqlite(path)
  const one = await createSpine({ engine, agents: [] })
  await one.publish(Numbered, { n: 1 })
  await engine.writeSnapshot(SNAPSHOT, stateOf(one).at, new TextEncoder().encode('{"at":'))
  const before = stateOf(one).at
  await one.close()
  const two = await createSpine({ engine: sqlite(path), agents: [] })
  expect(stateOf(two).at).toBeGreaterThan(before)
  expect((await two.publish(Numbered, { n: 2 })).sequence).toBe(stateOf(two).at)
  await two.close()
})
