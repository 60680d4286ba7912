/** What a spine does when its file is full, locked, or of the future. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agent, createSpine, SpineError } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Inquiry } from '../support/vocabulary.ts'

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'event-spine-file-'))
  path = join(directory, 'spine.db')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('a spine on an SQLite file', () => {
  it('a full disk: publish is SPINE_LOG_FULL, nothing hangs, and a reopened log does all that was acknowledged, once', async () => {
    const handled: number[] = []
    const reader = agent('reader', { on: Inquiry, concurrency: 1 }, (evt) => {
      handled.push(evt.sequence)
    })
    const warnings: string[] = []
    const logger = { warn: (line: string) => warnings.push(line) }
    const full = await createSpine({ engine: sqlite(path, { maxBytes: 512 * 1024 }), agents: [], logger })
    const acknowledged: number[] = []
    let failure: unknown
    while (failure === undefined) {
      await full.publish(Inquiry, { text: 'x'.repeat(30_000) }).then(
        ({ sequence }) => acknowledged.push(sequence),
        (error: unknown) => {
          failure = error
        },
      )
    }
    expect(SpineError.is(failure, 'SPINE_LOG_FULL')).toBe(true)
    expect(warnings.at(-1)).toContain('nothing is acknowledged until it is reopened')
    await expect(full.publish(Inquiry, { text: 'small' })).rejects.toMatchObject({ code: 'SPINE_LOG_FULL' })
    await full.close()
    const roomy = await createSpine({ engine: sqlite(path), agents: [reader], logger })
    const last = await roomy.publish(Inquiry, { text: 'fits now' })
    await roomy.settled(last.request)
    const texts = []
    for await (const record of roomy.log.read({ types: [Inquiry.type] })) texts.push(record.sequence)
    expect(texts).toEqual([...acknowledged, last.sequence])
    expect(handled).toEqual([last.sequence])
    await roomy.close()
  })

  it('a log that is full in the middle of a run: the run ends nowhere, and is done once when the log is opened again', async () => {
    const writer = (size: number) =>
      agent('writer', { on: Inquiry }, async (_evt, ctx) => {
        for (let part = 0; part < 40; part++) await ctx.step(`part ${part}`, () => 'x'.repeat(size))
      })
    const full = await createSpine({
      engine: sqlite(path, { maxBytes: 512 * 1024 }),
      agents: [writer(40_000)],
      logger: { warn: () => {} },
    })
    const { request } = await full.publish(Inquiry, { text: 'a' })
    expect(await full.settled(request, { within: '10s' })).toMatchObject({ status: 'open' })
    await full.close()
    const roomy = await createSpine({ engine: sqlite(path), agents: [writer(40_000)], logger: { warn: () => {} } })
    expect(await roomy.settled(request)).toMatchObject({ status: 'done' })
    const steps: string[] = []
    for await (const record of roomy.log.read({ types: ['spine.step.recorded'] }))
      steps.push((record.data as { command: string }).command)
    expect(steps).toEqual(Array.from({ length: 40 }, (_, part) => `part ${part}#0`))
    await roomy.close()
  })

  it('two spines on one file: the second is SPINE_ENGINE_LOCKED, the first goes on', async () => {
    const first = await createSpine({ engine: sqlite(path), agents: [] })
    await expect(createSpine({ engine: sqlite(path, { lockWait: 50 }), agents: [] })).rejects.toMatchObject({
      code: 'SPINE_ENGINE_LOCKED',
    })
    await expect(first.publish(Inquiry, { text: 'a' })).resolves.toMatchObject({ duplicate: false })
    await first.close()
  })

  it('a fact of a later version: SPINE_LOG_NEWER, and the file is let go', async () => {
    const engine = sqlite(path)
    await engine.open()
    const header = { time: 0, session: 'spine', request: 'spine', key: 'spine', cause: 0, hops: 0 }
    await engine.append([
      { id: 'future:1', records: [{ ...header, type: 'spine.quantum.entangled', data: { json: '{}', value: {} } }] },
    ])
    await engine.close()
    await expect(createSpine({ engine: sqlite(path), agents: [] })).rejects.toMatchObject({
      code: 'SPINE_LOG_NEWER',
      value: 'spine.quantum.entangled',
    })
    const again = sqlite(path, { lockWait: 0 })
    await again.open()
    expect(await again.head()).toBe(1)
    await again.close()
  })
})
