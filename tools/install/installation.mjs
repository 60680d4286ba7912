// An empty folder outside the repository, into which the tarball is installed as a user does it; then the user's first
// minutes: the README's program twice, `npx spine`, every subpath, the types.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describeRun, run } from './run-program.mjs'

const require = createRequire(import.meta.url)
const RECORD_TYPES = ['inquiry.received', 'requirements.completed', 'appointment.booked']
/** The conformance suite runs inside the engine author's own Vitest: it needs the optional peers. */
const NEEDS_PEERS = ['./conformance']

export class Installation {
  constructor(root, folder, node) {
    this.root = root
    this.folder = folder
    this.node = node
  }

  install(tarball, options) {
    mkdirSync(this.folder, { recursive: true })
    // Without one, npm would look for a package in the folders above.
    writeFileSync(join(this.folder, 'package.json'), '{ "private": true }\n')
    const args = ['install', '--no-audit', '--no-fund', '--prefer-offline', ...options, tarball]
    this.#succeeds('npm', args, 240)
  }

  /** The compiled program of the README beside node_modules, as a newcomer's file. */
  addReadmeProgram() {
    const readme = readFileSync(join(this.root, 'README.md'), 'utf8')
    const code = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1]
    if (code === undefined) throw new Error('README.md has no program')
    writeFileSync(join(this.folder, 'program.mts'), code)
    this.#compile('typescript', ['program.mts'], { noEmit: false })
  }

  runReadmeProgram() {
    return this.run(this.node, ['program.mjs'])
  }

  /** Twice on one file: the second finds the log of the first. */
  checkReadmeProgramTwice() {
    for (const name of ['spine.db', 'spine.db-wal', 'spine.db-shm', 'spine.db.lock'])
      rmSync(join(this.folder, name), { force: true })
    const first = this.#positions(this.runReadmeProgram())
    const second = this.#positions(this.runReadmeProgram())
    if (second[0] <= first.at(-1)) throw new Error(`the second run did not go on: ${first} and then ${second}`)
  }

  checkSpineProgram() {
    const help = this.#succeeds('npx', ['spine', '--help'])
    if (!/Usage: spine[\s\S]*demo/.test(help.stdout)) throw new Error(`no help: ${describeRun(help)}`)
    const { version } = JSON.parse(readFileSync(join(this.root, 'package.json'), 'utf8'))
    const said = this.#succeeds('npx', ['spine', '--version'])
    if (said.stdout.trim() !== version) throw new Error(`not ${version}: ${describeRun(said)}`)
  }

  checkDemo() {
    const demo = this.#succeeds('npx', ['spine', 'demo', '--limit', '3', '--json'], 90)
    const report = JSON.parse(demo.stdout)
    if (typeof report !== 'object' || report === null) throw new Error(`no report: ${describeRun(demo)}`)
  }

  checkSubpaths(manifest) {
    const names = Object.keys(manifest.exports).filter((name) => !NEEDS_PEERS.includes(name) && !name.endsWith('.json'))
    const specifiers = names.map((name) => `event-spine${name.slice(1)}`)
    const code = specifiers.map(
      (specifier) => `if (Object.keys(await import('${specifier}')).length === 0) throw '${specifier}'`,
    )
    this.#succeeds(this.node, ['--input-type=module', '-e', code.join('\n')])
  }

  /** Three lines, strict, `skipLibCheck` off and no ambient types: the packed declarations stand on their own. */
  checkTypes(compiler) {
    const lines = [
      "import { createSpine, event, SpineError } from 'event-spine'",
      "import { sqlite } from 'event-spine/sqlite'",
      'export const run = async (): Promise<string> => (await (await createSpine({ engine: sqlite("a.db"), agents: [] })).settled("r")).status',
      '// @ts-expect-error a payload that no schema describes',
      'export const wrong = [event("a.happened"), SpineError]',
    ]
    writeFileSync(join(this.folder, 'types.mts'), `${lines.join('\n')}\n`)
    this.#compile(compiler, ['types.mts'], { noEmit: true })
  }

  /** What `npm ci` compiled in the repository, in place of a minute of compiling it again. */
  adoptBinary() {
    const from = join(
      dirname(require.resolve('better-sqlite3/package.json')),
      'build',
      'Release',
      'better_sqlite3.node',
    )
    const into = join(this.folder, 'node_modules', 'better-sqlite3', 'build', 'Release', 'better_sqlite3.node')
    cpSync(from, into, { recursive: true })
  }

  run(program, args, seconds) {
    return run(program, args, { cwd: this.folder, node: this.node, ...(seconds === undefined ? {} : { seconds }) })
  }

  #succeeds(program, args, seconds) {
    const ran = this.run(program, args, seconds)
    if (ran.status !== 0) throw new Error(`'${[program.split('/').at(-1), ...args].join(' ')}': ${describeRun(ran)}`)
    return ran
  }

  #compile(compiler, files, { noEmit }) {
    const compilerOptions = {
      module: 'NodeNext',
      moduleResolution: 'NodeNext',
      target: 'ES2022',
      strict: true,
      types: [],
      noEmit,
    }
    // The declarations name AbortSignal and Symbol.asyncDispose, which TypeScript knows from these libraries or from
    // @types/node. README's program is compiled with what `tsc --init` writes.
    const library = noEmit
      ? { lib: ['ES2022', 'DOM', 'ESNext.Disposable'], skipLibCheck: false }
      : { lib: ['ES2022', 'DOM'], skipLibCheck: true }
    const project = join(this.folder, `tsconfig.${compiler}.json`)
    writeFileSync(project, JSON.stringify({ compilerOptions: { ...compilerOptions, ...library }, files }))
    const tsc = join(dirname(require.resolve(`${compiler}/package.json`)), 'bin', 'tsc')
    // On our own Node: the compiler is a tool here, and no part of what is checked.
    const ran = run(process.execPath, [tsc, '-p', project, '--pretty', 'false'], { cwd: this.folder })
    if (ran.status !== 0) throw new Error(`${compiler}: ${describeRun(ran)}`)
  }

  #positions(ran) {
    if (ran.status !== 0 || ran.stderr !== '' || !ran.stdout.startsWith('done\n'))
      throw new Error(`the README's program: ${describeRun(ran)}`)
    for (const type of RECORD_TYPES) if (!ran.stdout.includes(type)) throw new Error(`no ${type}: ${describeRun(ran)}`)
    return ran.stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number.parseInt(line, 10))
  }
}
