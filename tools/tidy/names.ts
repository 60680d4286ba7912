import { blankText } from './blank-text.ts'
import { type Finding, findPattern, isTest, isTypeScript, type SourceFile } from './finding.ts'

/** Files whose name says a family of functions rather than one export, and why that is the better name. */
export const FILE_NAME_EXCEPTIONS: Readonly<Record<string, string>> = {
  'src/kernel/ids.ts': 'every kind of id lives here; today there is one',
  'src/coordination/registrations.ts': 'what registering, removing and renaming an agent do to the state, together',
  'src/cli/demo/services-process.ts': 'a process; what it exports is what it is told and what it says',
  'src/cli/demo/worker-process.ts': 'a process; what it exports is what it is told and what it says',
  'src/runtime/record-draft.ts': 'the few ways to begin a record that is on its way, together',
  'src/engine/sqlite/sqlite-file.ts': 'opening a file, for the writer and for readers, and translating what it refuses',
  'src/engine/sqlite/sqlite-schema.ts': 'the format on disk: its number, its mark, its tables',
  'src/engine/sqlite/writer-protocol.ts': 'the messages of two threads, in both directions',
}

const EXPORT =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|class|const|let|interface|type)\s+([\w$]+)/gm
const EXPORT_LIST = /^export\s+(?:type\s+)?\{([^}]*)\}/gm

/** The name of a source file is that of its main export: whoever knows one finds the other. */
export function checkFileNames(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => isTypeScript(file) && !isTest(file) && /^(?:src|tools)\//.test(file.path))
    .filter(({ path }) => !(path in FILE_NAME_EXCEPTIONS) && !path.endsWith('/index.ts'))
    .flatMap(({ path, text }) => {
      const name = (path.split('/').at(-1) as string).replace(/\.ts$/, '')
      if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) return [{ path, line: 0, message: 'file names are kebab-case' }]
      const exported = exportedNames(blankText(text))
      // A file that only runs (a worker, a script) has no export to be named after.
      if (exported.length === 0 || exported.some((other) => contains(wordsOf(other), wordsOf(name)))) return []
      return [{ path, line: 0, message: `is named after none of its exports: ${exported.join(', ')}` }]
    })
}

function exportedNames(code: string): string[] {
  const lists = [...code.matchAll(EXPORT_LIST)].flatMap((match) => (match[1] as string).split(','))
  const renamed = lists.map((entry) => entry.trim().split(/\s+/).at(-1) as string).filter((name) => name !== '')
  return [...[...code.matchAll(EXPORT)].map((match) => match[1] as string), ...renamed]
}

/** `sqliteEngine`, `SqliteEngine`, `SQLITE_ENGINE` and `sqlite-engines` are the same words. */
function wordsOf(name: string): string[] {
  const spaced = /[a-z]/.test(name) ? name.replace(/([a-z0-9])([A-Z])/g, '$1 $2') : name
  return spaced
    .toLowerCase()
    .split(/[\s_$-]+/)
    .map((word) => word.replace(/ies$/, 'y').replace(/([^s])s$/, '$1'))
}

function contains(words: readonly string[], part: readonly string[]): boolean {
  return part.every((word) => words.includes(word))
}

const EMPTY_WORDS = new Set(['util', 'utils', 'helper', 'helpers', 'manager', 'managers', 'common', 'misc'])
const EMPTY_NAMES = /\b(?:class|interface|type|function|const|let)\s+\w*(?:Utils?|Helpers?|Managers?|Misc)(?![a-z])\w*/g

/** Names that fit everything say nothing: a thing without a better name has no clear job. */
export function checkEmptyNames(files: readonly SourceFile[]): Finding[] {
  return files.filter(isTypeScript).flatMap(({ path, text }) => {
    const empty = path
      .replace(/(?:\.test)?\.ts$/, '')
      .split(/[/-]/)
      .filter((word) => EMPTY_WORDS.has(word))
    const remedy = 'says nothing: name what it does'
    return [
      ...empty.map((word) => ({ path, line: 0, message: `'${word}' in the path ${remedy}` })),
      ...findPattern(path, blankText(text), EMPTY_NAMES, (name) => `'${name}' ${remedy}`),
    ]
  })
}

const MEASURES = ['bytes', 'characters', 'ms']

/** The unit stands in the name: `payloadBytesMax`, `leaseMs`. A count that ends in a bound needs no other unit. */
export function checkLimitNames(limits: Readonly<Record<string, { readonly unit: string }>>, path: string): Finding[] {
  return Object.entries(limits).flatMap(([name, { unit }]) => {
    const words = wordsOf(name)
    const [unitWord] = wordsOf(unit) as [string]
    const isBound = /(?:Max|Min|Window)$/.test(name)
    const isNamed = MEASURES.includes(unit) ? words.includes(unitWord) : isBound || words.at(-1) === unitWord
    return isNamed ? [] : [{ path, line: 0, message: `'${name}' is in ${unit}, but its name does not say so` }]
  })
}

const TIME_CONSTANT =
  /\bconst\s+(\w*(?:TIMEOUT|INTERVAL|DELAY|PERIOD|DURATION|Timeout|Interval|Delay|Period|Duration)\w*)\s*(?::\s*number\s*)?=\s*[\d_.]+/g

/** The same for time constants anywhere in the source: 5000 of what? */
export function checkTimeUnits(files: readonly SourceFile[]): Finding[] {
  return files.filter(isTypeScript).flatMap(({ path, text }) =>
    findPattern(path, blankText(text), TIME_CONSTANT, (match) => match)
      .filter(({ message }) => !/(?:_MS|Ms|_S|Seconds|Minutes)(?:_|\b|[A-Z])/.test(message))
      .map((finding) => ({ ...finding, message: `'${finding.message}' has no unit in its name: end it in Ms or _MS` })),
  )
}
