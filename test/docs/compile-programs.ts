import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import type { Program } from './code-blocks.ts'
import { ROOT } from './root.ts'

/** Inside the repository, so that `event-spine` and `zod` resolve from there as they do for a user. */
const FOLDERS = join(ROOT, '.cache', 'docs')

export interface Compiled {
  /** The compiler's findings, with the lines of the pages. */
  readonly errors: readonly string[]
  /** JavaScript of a program. */
  fileOf(program: Program): string
}

/** One run of the compiler for all programs, against the built package. Call it where `afterAll` can be: outside a test. */
export function compilePrograms(programs: readonly Program[]): Compiled {
  // The compiler calls a project without files an error.
  if (programs.length === 0) return { errors: [], fileOf: () => '' }
  const nameOf = (program: Program) => `${program.page.replace(/[^\w]+/g, '-')}-${program.line}`
  // A folder for each call: test files compile side by side, and none may clear away what another is about to run.
  mkdirSync(FOLDERS, { recursive: true })
  const folder = mkdtempSync(join(FOLDERS, 'programs-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  for (const program of programs) writeFileSync(join(folder, `${nameOf(program)}.ts`), program.code)
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONFIGURATION))

  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const options = [compiler, '-p', folder, '--pretty', 'false']
  const { stdout, status } = spawnSync(process.execPath, options, { cwd: folder, encoding: 'utf8' })
  const pages = new Map(programs.map((program) => [nameOf(program), program.page]))
  const errors = stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) =>
      line.replace(/^(?:.*\/)?([\w-]+)\.ts\((\d+),\d+\)/, (all, name, at) => {
        const page = pages.get(name as string)
        return page === undefined ? all : `${page}:${at}`
      }),
    )
  if (status !== 0 && errors.length === 0) errors.push(`the compiler ended with ${status}`)
  return { errors, fileOf: (program) => join(folder, 'out', `${nameOf(program)}.js`) }
}

const CONFIGURATION = {
  extends: '../../../tsconfig.json',
  compilerOptions: {
    noEmit: false,
    noEmitOnError: false,
    rootDir: '.',
    outDir: 'out',
    // Every block is a module of its own, also one without an import.
    moduleDetection: 'force',
    // A block that shows one thing may leave it unused.
    noUnusedLocals: false,
    noUnusedParameters: false,
  },
  include: ['*.ts'],
  exclude: [],
}
