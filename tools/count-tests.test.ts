/** CI's verdict is a script that nobody watches: each way to be red is shown to it once. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'

const script = fileURLToPath(new URL('../.ci/count-tests.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'spine-ci-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** One report per list of test results; the exit status and the last line that CI sees. */
function verdict(reports: readonly (readonly string[])[], stages: readonly string[] = []) {
  const paths = reports.map((statuses, index) => {
    const path = join(folder, `${index}.json`)
    const assertionResults = statuses.map((status) => ({ status, fullName: `is ${status}` }))
    writeFileSync(path, JSON.stringify({ testResults: [{ name: 'a.test.ts', status: 'passed', assertionResults }] }))
    return path
  })
  const { status, stdout } = spawnSync(process.execPath, [script, ...paths, '--', ...stages], { encoding: 'utf8' })
  return { status, last: stdout.trimEnd().split('\n').at(-1) }
}

it('is green when everything passed', () => {
  expect(verdict([['passed', 'passed'], ['passed']])).toEqual({ status: 0, last: '3 passed, 0 failed' })
})

it.each(['failed', 'pending', 'skipped', 'todo'])('is red for a test that is %s', (status) => {
  expect(verdict([['passed', status]])).toEqual({ status: 1, last: '1 passed, 1 failed' })
})

it('is red for a run without a test, for a failed stage, and for no run at all', () => {
  expect(verdict([['passed'], []])).toEqual({ status: 1, last: '1 passed, 1 failed' })
  expect(verdict([['passed']], ['npm run demo'])).toEqual({ status: 1, last: '1 passed, 1 failed' })
  expect(verdict([])).toEqual({ status: 1, last: '0 passed, 0 failed' })
})

it('is red for a report that was never written, and for a file that could not be loaded', () => {
  const missing = spawnSync(process.execPath, [script, join(folder, 'missing.json'), '--'], { encoding: 'utf8' })
  expect(missing.stdout).toContain('0 passed, 1 failed')
  const path = join(folder, 'broken.json')
  writeFileSync(path, JSON.stringify({ testResults: [{ name: 'b.test.ts', status: 'failed', assertionResults: [] }] }))
  const broken = spawnSync(process.execPath, [script, path, '--'], { encoding: 'utf8' })
  expect(broken.status).toBe(1)
  expect(broken.stdout).toContain('file: b.test.ts')
})
