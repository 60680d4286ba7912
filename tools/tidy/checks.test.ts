/** A check that finds nothing proves nothing: each is shown the smallest text that it must find, and its innocent twin. */
import { describe, expect, it } from 'vitest'
import { blankText } from './blank-text.ts'
import { checkCycles } from './cycles.ts'
import { checkDocLinks, checkDocPaths, checkDocScripts } from './docs.ts'
import { checkErrorCodes } from './error-codes.ts'
import { checkFileSize, warnFileSize } from './file-size.ts'
import { type Finding, formatFinding, type SourceFile } from './finding.ts'
import { importsOf } from './imports.ts'
import { checkLayers } from './layers.ts'
import { checkLockFile } from './lock-file.ts'
import { checkLooseEnds } from './loose-ends.ts'
import { checkMachineTraces } from './machine-traces.ts'
import { checkEmptyNames, checkFileNames, checkLimitNames, checkTimeUnits } from './names.ts'
import { checkPurity, checkRealTime } from './purity.ts'

type Check = (files: readonly SourceFile[]) => Finding[]

/** Where the findings are: `path:line`. */
const places = (findings: readonly Finding[]): string[] => findings.map(({ path, line }) => `${path}:${line}`)
const find = (check: Check, path: string, text: string): string[] => places(check([{ path, text }]))

function shows(check: Check, path: string, guilty: readonly string[], innocent: readonly string[]): void {
  for (const text of guilty) expect(find(check, path, `\n${text}`), text).toEqual([`${path}:2`])
  for (const text of innocent) expect(find(check, path, `\n${text}`), text).toEqual([])
}

describe('blankText', () => {
  it.each([
    ['a // b', 'a     '],
    ['a /* b\nc */ d', 'a     \n     d'],
    ["x = 'it\\'s' + y", 'x =         + y'],
    ['x = `a ${b + `c ${d} e`} f` + g', 'x =      b +      d         + g'],
    ["'http://x' + y", '           + y'],
    ['x = /a[/"]b/.test(y)', 'x =         .test(y)'],
    ['x = a / b / c', 'x = a / b / c'],
    ['f(`${ {a: 1}.a }`) // x', 'f(    {a: 1}.a   )     '],
  ])('leaves of %j the code', (text, code) => {
    expect(blankText(text)).toBe(code)
    expect(blankText(text)).toHaveLength(text.length)
  })

  it('keeps strings where asked', () => {
    expect(blankText("import 'a' // 'b'", { keepStrings: true })).toBe("import 'a'       ")
  })
})

describe('importsOf', () => {
  const importsIn = (text: string) =>
    importsOf({ path: 'src/runtime/run.ts', text }).map(({ target, line, typeOnly, dynamic }) => {
      return [target, line, typeOnly ? 'type' : '', dynamic ? 'dynamic' : ''].filter(Boolean).join(' ')
    })

  it.each([
    ["import { a } from '../kernel/json.ts'", 'src/kernel/json.ts 1'],
    ["import type { A } from './run.ts'", 'src/runtime/run.ts 1 type'],
    ["import { type A, type B } from './run.ts'", 'src/runtime/run.ts 1 type'],
    ["import { type A, b } from './run.ts'", 'src/runtime/run.ts 1'],
    ["\nimport {\n  a,\n} from './run.ts'", 'src/runtime/run.ts 2'],
    ["export * from './run.ts'", 'src/runtime/run.ts 1'],
    ["export type { A } from './run.ts'", 'src/runtime/run.ts 1 type'],
    ["import 'node:fs'", 'node:fs 1'],
    ["const a = await import('../engine/sqlite/index.ts')", 'src/engine/sqlite/index.ts 1 dynamic'],
    ["type A = import('@scope/name/deep').A", '@scope/name 1 dynamic'],
    ["const a = require('better-sqlite3')", 'better-sqlite3 1 dynamic'],
    ["new Worker(new URL('./writer.js', import.meta.url))", 'src/runtime/writer.ts 1 dynamic'],
  ])('sees %j', (text, found) => expect(importsIn(text)).toEqual([found]))

  it.each(["// import 'a'", 'const text = "import(\'a\')"', "const text = `import 'a'` + b", 'export const from = 1'])(
    'sees nothing in %j',
    (text) => {
      expect(importsIn(text)).toEqual([])
    },
  )
})

describe('checkLayers', () => {
  it.each([
    ['src/kernel/json.ts', '../event/record.ts'],
    ['src/kernel/json.ts', 'zod'],
    ['src/event/record.ts', 'node:fs'],
    ['src/coordination/evolve.ts', '../engine/engine.ts'],
    ['src/engine/engine.ts', './memory/index.ts'],
    ['src/engine/memory/index.ts', '../sqlite/index.ts'],
    ['src/engine/sqlite/index.ts', '../../runtime/run.ts'],
    ['src/agent/agent.ts', '@standard-schema/spec'],
    ['src/runtime/run.ts', '../engine/memory/index.ts'],
    ['src/runtime/run.ts', '../spine.ts'],
    ['src/runtime/run.ts', 'zod'],
    ['src/spine.ts', './engine/sqlite/index.ts'],
    ['src/index.ts', './cli/main.ts'],
    ['src/cli/main.ts', '../../test/support/x.ts'],
    ['test/spine-contract/publish.test.ts', '../../src/spine.ts'],
    ['bench/main.ts', '../dist/index.js'],
  ])('%s may not import %s', (path, from) => {
    expect(find(checkLayers, path, `\nimport { a } from '${from}'`)).toEqual([`${path}:2`])
  })

  it.each([
    ['src/agent/agent.ts', "import type { A } from '@standard-schema/spec'"],
    ['src/runtime/run.ts', "import { a } from '../engine/engine.ts'"],
    ['src/spine.ts', "const a = await import('./engine/sqlite/index.ts')"],
    ['src/cli/main.ts', 'await import(file)'],
    ['src/kernel/json.test.ts', "import { it } from 'vitest'"],
    ['test/conformance/memory.test.ts', "import { a } from 'event-spine/memory'"],
  ])('%s may: %s', (path, text) => expect(find(checkLayers, path, text)).toEqual([]))

  it('gives the reason', () => {
    const [finding] = checkLayers([{ path: 'src/kernel/json.ts', text: "import 'zod'" }])
    expect(formatFinding(finding as Finding)).toContain(
      "src/kernel/json.ts:1  'kernel' may not import 'zod': the kernel",
    )
  })

  it('finds a folder without a row, and an import that it cannot judge', () => {
    expect(find(checkLayers, 'src/new-folder/thing.ts', '')).toEqual(['src/new-folder/thing.ts:0'])
    expect(find(checkLayers, 'src/runtime/run.ts', 'await import(file)')).toEqual(['src/runtime/run.ts:1'])
  })
})

it('checkCycles finds a circle, but not one of types', () => {
  const files = (kind: string): SourceFile[] => [
    { path: 'src/a.ts', text: "import { b } from './b.ts'" },
    { path: 'src/b.ts', text: "import { c } from './c.ts'" },
    { path: 'src/c.ts', text: `import ${kind} { a } from './a.ts'` },
  ]
  expect(checkCycles(files('')).map(formatFinding)).toEqual([
    'src/a.ts  imports itself in a circle: src/a.ts → src/b.ts → src/c.ts → src/a.ts',
  ])
  expect(checkCycles(files('type'))).toEqual([])
})

it('checkPurity', () => {
  shows(
    checkPurity,
    'src/kernel/thing.ts',
    [
      'async () => 1',
      'let a: Promise<1>',
      'new Date(1)',
      'Math.random()',
      'setTimeout(f)',
      "import 'node:fs'",
      'a.then(b)',
    ],
    ['// a Promise', "'await'", 'clock.setTimer(1)', 'Math.imul(1, 2)', 'record.Date', 'const dated = 1'],
  )
  expect(find(checkPurity, 'src/runtime/thing.ts', 'await 1')).toEqual([])
  expect(find(checkPurity, 'src/kernel/thing.test.ts', 'await 1')).toEqual([])
})

it('checkRealTime', () => {
  const guilty = [
    'Date.now()',
    'new Date()',
    'Math.random()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'performance.now()',
  ]
  shows(checkRealTime, 'src/runtime/run.ts', guilty, ['new Date(1)', 'clock.now()', '// Date.now()'])
  expect(find(checkRealTime, 'src/runtime/system-clock.ts', 'Date.now()')).toEqual([])
  const declared = '/** Real time: the wait for a lock that another process holds. */\nsetTimeout(f, 1)'
  expect(find(checkRealTime, 'src/engine/sqlite/lock.ts', declared)).toEqual([])
  expect(find(checkRealTime, 'src/engine/sqlite/lock.ts', '// real time: because\nDate.now()')).toHaveLength(1)
  expect(find(checkRealTime, 'src/runtime/run.ts', declared)).toHaveLength(1)
})

it('checkFileSize and its warning', () => {
  const lines = (count: number) => 'x\n'.repeat(count)
  expect(find(checkFileSize, 'src/a.ts', lines(501))).toEqual(['src/a.ts:0'])
  expect(find(checkFileSize, 'src/a.ts', lines(500))).toEqual([])
  expect(find(warnFileSize, 'src/a.ts', lines(401))).toEqual(['src/a.ts:0'])
  expect(find(warnFileSize, 'src/a.ts', lines(400))).toEqual([])
})

describe('names', () => {
  it.each([
    ['src/runtime/due-heap.ts', 'export class Queue {}'],
    ['src/runtime/DueHeap.ts', 'export class DueHeap {}'],
    ['src/runtime/due-heap.ts', '// export class DueHeap {}\nexport const other = 1'],
  ])('checkFileNames finds %s with %j', (path, text) => expect(find(checkFileNames, path, text)).toEqual([`${path}:0`]))

  it.each([
    ['src/runtime/due-heap.ts', 'export class DueHeap {}'],
    ['src/runtime/record.ts', 'export interface LogRecord {}'],
    ['src/runtime/deliveries.ts', 'export function openDelivery() {}'],
    ['src/runtime/catalogue.ts', 'export const CATALOGUE = {}'],
    ['src/runtime/writer.ts', 'parentPort.on(f)'],
    ['src/engine/memory/index.ts', "export { memory } from './memory-engine.ts'"],
  ])('checkFileNames accepts %s with %j', (path, text) => expect(find(checkFileNames, path, text)).toEqual([]))

  it('checkEmptyNames', () => {
    const guilty = ['class SessionManager {}', 'function parseHelper() {}', 'const stringUtils = {}', 'type Misc = 1']
    shows(checkEmptyNames, 'src/runtime/run.ts', guilty, [
      'const management = 1',
      "import { inspect } from 'node:util'",
    ])
    for (const path of ['src/utils/a.ts', 'src/a/string-helpers.ts', 'src/common.ts', 'test/misc.test.ts']) {
      expect(find(checkEmptyNames, path, '')).toEqual([`${path}:0`])
    }
  })

  it('checkLimitNames', () => {
    const flawed = { payloadMax: { unit: 'bytes' }, waitMax: { unit: 'ms' }, cache: { unit: 'records' } }
    expect(checkLimitNames(flawed, 'limits.ts')).toHaveLength(3)
    const named = { payloadBytesMax: { unit: 'bytes' }, hopsMax: { unit: 'hops' }, cacheRecords: { unit: 'records' } }
    expect(checkLimitNames(named, 'limits.ts')).toEqual([])
  })

  it('checkTimeUnits', () => {
    const guilty = ['const LOCK_TIMEOUT = 5_000', 'const pollInterval = 10', 'const retryDelay: number = 5']
    shows(checkTimeUnits, 'src/runtime/run.ts', guilty, [
      'const LOCK_TIMEOUT_MS = 5',
      'const delayMsMax = 5',
      'const delay = f()',
    ])
  })
})

it('checkLooseEnds', () => {
  const guilty = [
    'let a: any',
    'f(a as any)',
    'let a: Map<string, any>',
    '// @ts-ignore',
    '// @ts-expect-error',
    '// biome-ignore lint: x',
    '// TODO: later',
    '// FIXME(#12)',
    "it.only('x')",
  ]
  const innocent = [
    'Promise.any(list)',
    '// any time',
    "'any'",
    '// TODO(#12): later',
    '// @ts-expect-error a text is no number',
    'const any = 1',
  ]
  shows(checkLooseEnds, 'src/runtime/run.ts', guilty, innocent)
})

it('checkErrorCodes', () => {
  const files = [
    { path: 'src/kernel/errors.ts', text: "'SPINE_A' 'SPINE_B' 'SPINE_C' 'SPINE_A_LONGER'" },
    { path: 'src/kernel/errors.test.ts', text: "'SPINE_B'" },
    {
      path: 'src/runtime/run.ts',
      text: "throw new SpineError('SPINE_A', '') // SPINE_C\nconst b = 'SPINE_B' + 'SPINE_A_LONGER'",
    },
    {
      path: 'test/spine-contract/run.test.ts',
      text: "expect(code).toBe('SPINE_A') // SPINE_B\nexpect(code).toBe('SPINE_C')",
    },
  ]
  const found = checkErrorCodes(files, ['SPINE_A', 'SPINE_B', 'SPINE_C', 'SPINE_A_LONGER']).map(
    ({ message }) => message,
  )
  expect(found).toEqual([
    'SPINE_B is provoked by no test',
    'SPINE_C is raised nowhere in src/: drop it, or raise it',
    'SPINE_A_LONGER is provoked by no test',
  ])
})

it('checkLockFile', () => {
  const lock = (packages: object) => [{ path: 'package-lock.json', text: JSON.stringify({ packages }) }]
  const owner = { optionalDependencies: { 'tool-linux': '1.0.0', 'tool-mac': '1.0.0' } }
  const [missing, ...others] = checkLockFile(lock({ 'node_modules/tool': owner, 'node_modules/tool-linux': {} }))
  expect(others).toEqual([])
  expect(missing?.message).toContain("'tool-mac'")
  const nested = { 'node_modules/tool/node_modules/tool-mac': {} }
  expect(checkLockFile(lock({ 'node_modules/tool': owner, 'node_modules/tool-linux': {}, ...nested }))).toEqual([])
})

it('checkMachineTraces', () => {
  // Put together here, so that this file does not contain what it looks for.
  const [registry, home, windows] = [
    ['registry', 'npmjs', 'org'].join('.'),
    ['', 'home', 'ann'].join('/'),
    ['C:', 'Users', 'ann'].join('\\'),
  ]
  shows(
    checkMachineTraces,
    'README.md',
    [
      `from https://${registry}/x`,
      `see ${home}/event-spine`,
      `"${windows}"`,
      `"resolved": "https${'://'}packages.test/x.tgz"`,
    ],
    ['the npm registry', 'src/home/page.ts', 'https://example.com/home/ann', '~/home/ann'],
  )
  const own: Check = (files) => checkMachineTraces(files, ['/srv/check.out', '/'])
  shows(
    own,
    'a.md',
    ['in /srv/check.out', "'/srv/check.out/a.ts'"],
    ['./srv/check.out', '/srv/check.outer', '/srv/checkout'],
  )
})

describe('docs', () => {
  const exists = (path: string) => ['docs/a.md', 'README.md', 'src', 'src/index.ts'].includes(path)

  it('checkDocLinks', () => {
    const page = { path: 'docs/a.md', text: '# One `two`, three!\n' }
    const found = (text: string) => places(checkDocLinks([page, { path: 'README.md', text }], exists))
    expect(found('[x](docs/b.md)')).toEqual(['README.md:1'])
    expect(found('\n![x](picture.svg)')).toEqual(['README.md:2'])
    expect(found('[x](docs/a.md#two)')).toEqual(['README.md:1'])
    expect(found('[x](docs/a.md#one-two-three) [y](https://example.com) [z](docs/a.md)')).toEqual([])
    expect(found('```md\n[x](docs/b.md)\n```')).toEqual([])
    expect(
      places(checkDocLinks([{ path: 'docs/a.md', text: '[up](../README.md) [x](../NO.md)' }], exists)),
    ).toHaveLength(1)
  })

  it('checkDocScripts', () => {
    const check: Check = (files) => checkDocScripts(files, ['demo', 'test', 'format:check'])
    shows(
      check,
      'README.md',
      ['npm run demmo', '`npm run --silent format:chekc`', 'npm start'],
      ['npm run demo -- --json', 'npm test', 'npm run --silent format:check', 'npm run X', 'npm ci'],
    )
  })

  it('checkDocPaths', () => {
    const check: Check = (files) => checkDocPaths(files, exists)
    shows(
      check,
      'README.md',
      ['`src/no.ts`', '`docs/no.md`'],
      ['`src/index.ts`', '`src/`', '`src/*.ts`', '`src/<name>.ts`'],
    )
    shows(check, 'src/kernel/ids.ts', ['// see docs/no.md'], ['// see docs/a.md'])
  })
})
