/** `npm run kill-loop`, a small share of it. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const PROGRAM = fileURLToPath(new URL('../../tools/kill-loop.mjs', import.meta.url))
const KILLS = 25

function killLoop(...args: readonly string[]) {
  return spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' })
}

it('kills the demo at moments by chance, tells the seed, and finds nothing lost or done twice', () => {
  const { status, stdout, stderr } = killLoop('--kills', String(KILLS), '--json')
  expect(status, stderr).toBe(0)
  expect(stderr).toMatch(/^seed \d+: the same again with --kills 25 --seed \d+\nrun 1: kills \d+, missing 0, /)
  const { effects, expected, ...counts } = JSON.parse(stdout)
  expect(counts).toMatchObject({ kills: KILLS, missing: 0, doubled: 0, wrong: 0, outOfOrder: 0, brokenRuns: 0 })
  expect(effects).toBe(expected)
  expect(effects).toBeGreaterThan(0)
})

it('refuses a number of kills that is none', () => {
  expect(killLoop('--kills', 'many')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringContaining("'many'"),
  })
})
