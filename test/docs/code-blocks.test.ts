/** Code in README.md, docs/ and examples/ compiles against the built package; what says that it runs, runs. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRepository } from '../../tools/tidy/read-repository.ts'
import { extractPrograms, type Program } from './code-blocks.ts'
import { compilePrograms } from './compile-programs.ts'

const RUN_MS_MAX = 30_000

const files = readRepository()
const pages = files
  .filter(({ path }) => path === 'README.md' || /^docs\/.*\.md$/.test(path))
  .map(({ path, text }) => extractPrograms(path, text))
/** An example is a program from its first line, and is there to be run. */
const examples = files
  .filter(({ path }) => /^examples\/.*\.ts$/.test(path))
  .map(({ path, text }): Program => ({ page: path, line: 1, code: text, runs: true }))
const programs = [...pages.flatMap((page) => page.programs), ...examples]
const compiled = compilePrograms(programs)

describe('code in the docs', () => {
  it('is all marked so that it is checked', () => {
    expect(pages.flatMap(({ flaws }) => flaws)).toEqual([])
  })

  it('compiles against the built package', () => {
    expect(compiled.errors).toEqual([])
  })

  for (const program of programs.filter(({ runs }) => runs)) {
    it(`${program.page}:${program.line} runs to its end`, () => {
      // A folder of its own, because a first program leaves its log where it was started.
      const folder = mkdtempSync(join(tmpdir(), 'spine-docs-'))
      const options = { cwd: folder, encoding: 'utf8', timeout: RUN_MS_MAX } as const
      const { status, stdout, stderr } = spawnSync(process.execPath, [compiled.fileOf(program)], options)
      rmSync(folder, { recursive: true, force: true })
      expect({ status, stderr: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({ status: 0, stderr: '' })
    })
  }
})

describe('extractPrograms', () => {
  const fence = '```'
  const page = [
    '# Page', // 1
    `${fence}ts run`, // 2
    'const a = 1', // 3
    fence, // 4
    'Then:', // 5
    '<!-- continues -->', // 6
    `${fence}ts`, // 7
    'console.log(a)', // 8
    fence, // 9
    `${fence}bash`, // 10
    'npm test', // 11
    fence, // 12
    `${fence}ts`, // 13
    'const b = 1', // 14
    fence, // 15
  ].join('\n')

  it('joins continuations and keeps every line at its number', () => {
    const { programs: found, flaws } = extractPrograms('a.md', page)
    expect(flaws).toEqual([])
    expect(found.map(({ line, runs }) => ({ line, runs }))).toEqual([
      { line: 2, runs: true },
      { line: 13, runs: false },
    ])
    const lines = found.map(({ code }) => code.split('\n'))
    expect([lines[0]?.[2], lines[0]?.[7], lines[1]?.[13]]).toEqual(['const a = 1', 'console.log(a)', 'const b = 1'])
    expect(lines[0]?.filter((line) => line !== '')).toHaveLength(2)
  })

  it.each([
    [`${fence}ts no-check\nx\n${fence}`, "a.md:1: a block is `ts` or `ts run`, not 'ts no-check'"],
    [`${fence}typescript\nx\n${fence}`, 'a.md:1 is not checked: say ```ts'],
    [`<!-- continues -->\n${fence}ts\nx\n${fence}`, 'a.md:2 continues, but nothing comes before it'],
  ])('names what would escape: %j', (text, flaw) => {
    expect(extractPrograms('a.md', text).flaws).toEqual([flaw])
  })

  it('takes a block inside a longer fence for the text that it is', () => {
    expect(extractPrograms('a.md', `${fence}\`md\n${fence}ts\nx\n${fence}\n${fence}\``).programs).toEqual([])
  })
})
