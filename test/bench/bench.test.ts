/** Every bench runs, verifies its own log, and prints what programs rely on; bad options are refused. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const RUN_MS_MAX = 150_000
/** Not the folder of `npm run bench`: someone may be measuring while the tests run. */
const COMPILED = join(ROOT, '.cache', 'bench-test')

/** Title → the figures that it has; all others must be `null`. */
const FIGURES: Readonly<Record<string, readonly string[]>> = {
  'handoff 1': ['window', 'floor'],
  'handoff fresh 1': ['window', 'floor'],
  'pipeline 100': ['window', 'floor'],
  'pipeline others use all 100': ['window', 'floor'],
  'pipeline 1000': ['window', 'floor'],
  'fan-out 1': ['window', 'floor'],
  'fan-out 20': ['window', 'floor'],
  'waiters 100': ['window', 'floor', 'memory'],
  'urgent 5,000 queued 1': ['window', 'floor'],
  'urgent resumed after it 1': ['window', 'floor'],
  'ordered 1000': ['window', 'floor'],
  'publish 100': ['window', 'floor'],
  'append sqlite 100': ['window', 'floor'],
  'append memory 100': ['window'],
  recovery: ['once'],
  'memory busy agent': ['memory'],
  'memory busy agent, 1,000 sessions': ['memory'],
  'memory absent agent': ['memory'],
  'fold evolve': ['once'],
  'fold open': ['once'],
}
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  window: ['perSecond', 'p50Ms', 'p99Ms', 'cpuSecondsPer1000', 'loopStallMsMax'],
  once: ['perSecond', 'p50Ms', 'cpuSecondsPer1000'],
  floor: ['floorPerSecond', 'floorShare'],
  memory: ['heapBytesEach', 'arrayBytesEach', 'residentBytesEach'],
}

type Line = { readonly [field: string]: string | number | null }

describe('bench', () => {
  beforeAll(() => {
    rmSync(COMPILED, { recursive: true, force: true })
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const options = [compiler, '-p', join(ROOT, 'tsconfig.bench.json'), '--outDir', COMPILED, '--pretty', 'false']
    const { status, stdout } = spawnSync(process.execPath, options, { cwd: ROOT, encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  }, 30_000)

  it(
    'prints one line a scenario, with its own figures and null for the rest',
    () => {
      const { status, stdout, stderr } = bench('--json', '--runs', '1', '--seconds', '0.2', '--n', '300')
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Line)
      expect(lines.map(titleOf)).toEqual(Object.keys(FIGURES))
      for (const line of lines) {
        const present = new Set((FIGURES[titleOf(line)] as string[]).flatMap((group) => GROUPS[group] as string[]))
        for (const field of Object.values(GROUPS).flat())
          expect([field, line[field]]).toEqual([field, present.has(field) ? expect.any(Number) : null])
        expect(line).toMatchObject({ unit: expect.any(String), runs: 1 })
        expect(line['n']).toBeGreaterThan(0)
        expect(line['fdatasyncP50Ms']).toBeGreaterThan(0)
        expect([titleOf(line), line['durability']]).toEqual([titleOf(line), durabilityOf(line)])
      }
    },
    RUN_MS_MAX,
  )

  it(
    'prints a table, and profiles if asked',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'spine-profile-'))
      try {
        const { status, stdout } = bench('append', '--runs', '1', '--seconds', '0.2', '--cpu-prof', folder)
        expect(status).toBe(0)
        expect(stdout).toContain('append')
        // A run of each of the two variants.
        expect(readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))).toHaveLength(2)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    RUN_MS_MAX,
  )

  it.each([
    [['nonsense'], "'nonsense' is no bench."],
    [['publish', '--n', '5'], '--n: publish ends by time; use --seconds.'],
    [['--runs', '0'], "--runs is '0': use a whole number from 1 to 101."],
    [['--seconds', 'x'], "--seconds is 'x': use a number above 0, at most 600."],
  ])('refuses %j', (options, message) => {
    const { status, stderr } = bench(...options)
    expect(status).toBe(2)
    expect(stderr).toContain(message)
    expect(stderr).toContain('usage: npm run bench')
  })
})

function bench(...options: string[]) {
  return spawnSync(process.execPath, [join(COMPILED, 'main.js'), ...options], { cwd: ROOT, encoding: 'utf8' })
}

function titleOf({ bench: name, variant, inFlight }: Line): string {
  return [name, variant, inFlight].filter((part) => part !== null && part !== undefined).join(' ')
}

function durabilityOf({ bench: name, variant }: Line): string | null {
  if (name === 'fold' && variant === 'evolve') return null
  return variant === 'memory' ? 'none' : 'power-loss'
}
