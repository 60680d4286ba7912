/** The program in the README, as a newcomer types it: run twice in one folder, it works both times on the same file. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { extractPrograms } from './code-blocks.ts'
import { compilePrograms } from './compile-programs.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [program] = extractPrograms('README.md', readme).programs
if (program === undefined) throw new Error('README.md has no program')
const compiled = compilePrograms([program])

it('the README program runs, twice in a row on the same file, with visible work both times', () => {
  expect(compiled.errors).toEqual([])
  expect(program.code.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(28)
  const folder = mkdtempSync(join(tmpdir(), 'spine-readme-'))
  try {
    const run = () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [compiled.fileOf(program)], {
        cwd: folder,
        encoding: 'utf8',
        timeout: 30_000,
      })
      return { status, lines: stdout.trim().split('\n'), stderr }
    }
    const types = (lines: readonly string[]) => lines.slice(1).map((line) => line.replace(/^\d+ /, '').trim())
    const first = run()
    const second = run()
    for (const { status, lines, stderr } of [first, second]) {
      expect({ status, head: lines[0] }).toEqual({ status: 0, head: 'done' })
      expect(stderr).toBe('')
      expect(types(lines)).toEqual([
        'inquiry.received',
        'spine.step.recorded inquiry',
        'requirements.completed inquiry',
        'spine.session.patched inquiry',
        'spine.delivery.completed inquiry',
        'spine.step.started scheduling',
        'spine.step.recorded scheduling',
        'appointment.booked scheduling',
        'spine.delivery.completed scheduling',
      ])
    }
    const position = (lines: readonly string[]) => Number(lines[1]?.split(' ')[0])
    expect(position(second.lines)).toBeGreaterThan(position(first.lines))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
