import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SpineError } from 'event-spine'
import { sqlite } from 'event-spine/sqlite'
import { afterAll, expect, it } from 'vitest'

const WORKER = fileURLToPath(new URL('trim-worker.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'spine-trim-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs until it has printed so many lines, then kills it; gives every line that came. */
function runAndKill(file: string, round: number, lines: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [WORKER, file, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
    if (text.split('\n').length > lines) child.kill('SIGKILL')
  })
  return new Promise((resolve) => child.on('close', () => resolve(text.split('\n').slice(0, -1))))
}

it('peer bug 15: killed while it trims, the log is whole above the cut, and keys from below it still hold', async () => {
  const file = join(folder, 'trimmed.db')
  let last = 0
  let cut = 0
  const names: { readonly name: string; readonly last: number }[] = []
  for (let round = 0; round < 8; round++) {
    for (const line of await runAndKill(file, round, 10 + round * 13)) {
      const [what, position, name] = line.split(' ') as [string, string, string]
      if (what === 'trimmed') cut = Number(position)
      else names.push({ name, last: Number(position) })
    }
    last = names.at(-1)?.last as number
    const engine = sqlite(file)
    await engine.open()
    try {
      const head = await engine.head()
      expect(head).toBeGreaterThanOrEqual(last)
      const kept = []
      for (let below: number | undefined; ; below = kept.at(-1)?.sequence as number) {
        const page = await engine.read({
          limit: 1_000,
          backwards: true,
          ...(below === undefined ? {} : { after: below }),
        })
        kept.push(...page)
        if (page.length < 1_000) break
      }
      const sequences = kept.map(({ sequence }) => sequence).reverse()
      expect(sequences.at(-1)).toBe(head)
      expect(sequences).toEqual(sequences.map((_, index) => (sequences[0] as number) + index))
      // Whole commits below the cut are gone once the trim was acknowledged, and nothing at or above it is.
      // A trim that nobody heard of may have been done too; it leaves the last five.
      expect(sequences[0]).toBeLessThanOrEqual(Math.max(cut, head - 4))
      if (cut > 3) {
        expect(sequences[0]).toBeGreaterThanOrEqual(cut - 1)
        const refused = await engine.read({ after: 0, limit: 1 }).catch((error: unknown) => error)
        expect(SpineError.is(refused, 'SPINE_TRIMMED')).toBe(true)
      }
      for (const { name, last: position } of [names[0], names.at(-1)] as typeof names) {
        const key = { scope: 'work', name, print: name }
        const records = [{ time: 1, type: 'work.done', session: 's', request: 'r', key: 's', cause: 0, hops: 0 }]
        const outcome = await engine.append([{ id: `again ${round} ${name}`, key, records }])
        expect(outcome).toMatchObject([{ status: 'duplicate', last: position }])
      }
    } finally {
      await engine.close()
    }
  }
  expect(cut).toBeGreaterThan(100)
})
