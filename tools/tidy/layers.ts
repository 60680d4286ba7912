/**
 * Who may import whom. This table is the only place where the rings are written down as something that can fail;
 * a new folder has no layer until someone decides here where it belongs.
 *
 * A file belongs to the first layer whose pattern matches its path. A layer may always import itself.
 */
import type { Finding, SourceFile } from './finding.ts'
import { computedImportLines, type Import, importsOf } from './imports.ts'

export interface Layer {
  readonly name: string
  readonly files: RegExp
  /** Names of layers. */
  readonly imports: readonly string[]
  /** Names of layers that only `import()` may reach. */
  readonly loads?: readonly string[]
  readonly packages?: readonly string[]
  /** Packages of which only types may be used. */
  readonly typePackages?: readonly string[]
  /** Whether `node:` builtins may be used. */
  readonly node?: boolean
  /** Whether it may load what is named at run time, such as a user's module. */
  readonly computed?: boolean
  readonly reason: string
}

const RING_1 = ['kernel', 'event', 'coordination'] as const
const ENGINES = ['engine contract', 'engine parts', 'memory engine', 'sqlite engine'] as const
const ALL_OF_SRC = [...RING_1, ...ENGINES, 'agent', 'runtime', 'public names'] as const
const TEST_PACKAGES = ['vitest', 'fast-check'] as const
/** What a user of the package can write, so what our own tests, benches and examples are held to. */
const AS_A_USER = { imports: [], packages: ['event-spine', 'zod'], node: true } as const

export const LAYERS: readonly Layer[] = [
  {
    name: 'tests beside the source',
    files: /^src\/.*\.test\.ts$/,
    imports: [...ALL_OF_SRC, 'cli', 'conformance', 'testing', 'test support'],
    packages: [...TEST_PACKAGES, '@standard-schema/spec', 'zod'],
    node: true,
    reason: 'a unit test may look at all of src; the built package is the business of test/',
  },
  {
    name: 'kernel',
    files: /^src\/kernel\//,
    imports: [],
    reason: 'the kernel is what everything stands on: it imports nothing at all',
  },
  {
    name: 'event',
    files: /^src\/event\//,
    imports: ['kernel'],
    reason: 'what is written down must be readable for ever, whatever becomes of the code that waits or decides',
  },
  {
    name: 'coordination',
    files: /^src\/coordination\//,
    imports: ['kernel', 'event'],
    reason: 'decisions are pure: an observer in another process must fold the same records to the same state',
  },
  {
    name: 'engine contract',
    files: /^src\/engine\/engine\.ts$/,
    imports: ['kernel', 'event'],
    reason: 'the contract has no default implementation, and knows nothing of what the log means',
  },
  {
    name: 'conformance',
    files: /^src\/engine\/conformance\//,
    imports: ['kernel', 'event', 'engine contract', 'engine parts'],
    packages: TEST_PACKAGES,
    node: true,
    reason: 'the suite sees an engine through the contract only, so that a stranger can run it on an engine of his own',
  },
  {
    name: 'memory engine',
    files: /^src\/engine\/memory\//,
    imports: ['kernel', 'event', 'engine contract', 'engine parts'],
    node: true,
    reason: 'an engine stores records; it never knows another engine, the decisions or the runtime',
  },
  {
    name: 'sqlite engine',
    files: /^src\/engine\/sqlite\//,
    imports: ['kernel', 'event', 'engine contract', 'engine parts'],
    packages: ['better-sqlite3'],
    node: true,
    reason: 'an engine stores records with its one driver; it never knows another engine, the decisions or the runtime',
  },
  {
    name: 'engine parts',
    files: /^src\/engine\/[^/]+\.ts$/,
    imports: ['kernel', 'event', 'engine contract'],
    node: true,
    reason: 'what engines share must not pull one of them in',
  },
  {
    name: 'agent',
    files: /^src\/agent\//,
    imports: ['kernel', 'event'],
    typePackages: ['@standard-schema/spec'],
    reason: 'a definition is data: it can be shared with a process that hosts nothing',
  },
  {
    name: 'observer thread',
    files: /^src\/runtime\/snapshot-thread\.ts$/,
    imports: [...RING_1, 'engine contract', 'runtime'],
    node: true,
    computed: true,
    reason: 'it loads the observer that the engine names; the runtime itself never knows a concrete one',
  },
  {
    name: 'runtime',
    files: /^src\/runtime\//,
    imports: [...RING_1, 'agent', 'engine contract'],
    loads: ['observer thread'],
    typePackages: ['@standard-schema/spec'],
    node: true,
    reason: 'the runtime waits, for any engine: it must never know a concrete one',
  },
  {
    name: 'public names',
    files: /^src\/(?:spine|index)\.ts$/,
    imports: [...RING_1, 'agent', 'runtime', 'engine contract'],
    loads: ['sqlite engine'],
    typePackages: ['@standard-schema/spec'],
    reason: 'the caller passes the engine in; only the default one is loaded, and only when it is asked for',
  },
  {
    name: 'testing',
    files: /^src\/testing\//,
    imports: ALL_OF_SRC,
    node: true,
    reason: 'the test kit runs the library under conditions of its own: it may use all of it, and nothing may use it',
  },
  {
    name: 'cli',
    files: /^src\/cli\//,
    imports: ALL_OF_SRC,
    packages: ['commander', 'cli-table3', 'zod'],
    node: true,
    computed: true,
    reason: 'the command line is a door: it may use all of the library, and nothing may use it',
  },
  {
    name: 'tests of the docs',
    files: /^test\/docs\//,
    imports: ['kernel', 'event', 'tools', 'test support'],
    packages: TEST_PACKAGES,
    node: true,
    reason: 'reference pages are generated from tables that are not public',
  },
  {
    name: 'tests of the simulation',
    files: /^test\/simulation\//,
    ...AS_A_USER,
    imports: ['simulation', 'test support'],
    packages: [...AS_A_USER.packages, ...TEST_PACKAGES],
    reason: 'seeds are played, and checkers are checked, in every test run',
  },
  {
    name: 'test support',
    files: /^test\/support\//,
    ...AS_A_USER,
    packages: [...AS_A_USER.packages, ...TEST_PACKAGES],
    computed: true,
    reason: 'unit tests share it too, so what it needs of the source is passed in',
  },
  {
    name: 'tests',
    files: /^test\//,
    ...AS_A_USER,
    imports: ['test support'],
    packages: [...AS_A_USER.packages, ...TEST_PACKAGES],
    computed: true,
    reason:
      'tests here use the built package by its name, as a user does; what needs internals is tested beside the source',
  },
  {
    name: 'tools',
    files: /^tools\//,
    imports: ['kernel'],
    packages: TEST_PACKAGES,
    node: true,
    reason: 'tools read the tables of the kernel and the text of everything else',
  },
  {
    name: 'build configuration',
    files: /^[^/]+\.ts$/,
    imports: [],
    packages: ['vitest'],
    node: true,
    reason: 'configuration is not code to share',
  },
  {
    name: 'bench',
    files: /^bench\//,
    ...AS_A_USER,
    packages: [...AS_A_USER.packages, 'cli-table3'],
    reason: 'what is measured is the package that users get',
  },
  {
    name: 'simulation',
    files: /^simulation\//,
    ...AS_A_USER,
    reason: 'who judges the product must not share its code: the checkers see records only',
  },
  { name: 'examples', files: /^examples\//, ...AS_A_USER, reason: 'an example is what a user would write' },
  { name: 'demo', files: /^demo\//, ...AS_A_USER, reason: 'the demo is what a user would write' },
]

/** What the table forbids, the reason beside it. */
export function checkLayers(files: readonly SourceFile[], layers: readonly Layer[] = LAYERS): Finding[] {
  return files
    .filter(({ path }) => path.endsWith('.ts'))
    .flatMap((file) => {
      const layer = layerOf(file.path, layers)
      if (layer === undefined) {
        return [{ path: file.path, line: 0, message: 'belongs to no layer: give it a row in tools/tidy/layers.ts' }]
      }
      const forbidden = importsOf(file)
        .filter((found) => !allows(layer, found, layers))
        .map(({ from, line }) => ({
          path: file.path,
          line,
          message: `'${layer.name}' may not import '${from}': ${layer.reason}`,
        }))
      const computed = layer.computed === true ? [] : computedImportLines(file)
      const message = 'an import whose target is computed cannot be checked: write the path as text'
      return [...forbidden, ...computed.map((line) => ({ path: file.path, line, message }))]
    })
}

function layerOf(path: string, layers: readonly Layer[]): Layer | undefined {
  return layers.find((layer) => layer.files.test(path))
}

function allows(layer: Layer, { from, target, typeOnly, dynamic }: Import, layers: readonly Layer[]): boolean {
  if (from.startsWith('node:')) return layer.node === true
  if (!from.startsWith('.')) {
    return layer.packages?.includes(target) === true || (typeOnly && layer.typePackages?.includes(target) === true)
  }
  const other = layerOf(target, layers)?.name
  if (other === undefined) return false
  return other === layer.name || layer.imports.includes(other) || (dynamic && layer.loads?.includes(other) === true)
}
