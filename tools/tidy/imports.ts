import { blankText } from './blank-text.ts'
import { lineAt, type SourceFile } from './finding.ts'

export interface Import {
  /** As written: `./x.ts`, `node:fs`, `zod`. */
  readonly from: string
  /** Repository path for a relative import, else the package or builtin. */
  readonly target: string
  readonly line: number
  /** Vanishes when compiled. */
  readonly typeOnly: boolean
  readonly dynamic: boolean
}

const STATIC = /(?:^|[;\n])[ \t]*(?:import|export)\s+(type\s+)?([\w*\s{},$]+?)\s+from\s*['"]([^'"\n]+)['"]/g
const BARE = /(?:^|[;\n])[ \t]*import\s*['"]([^'"\n]+)['"]/g
const DYNAMIC = /\b(?:import|require|getBuiltinModule)\s*\(\s*(['"`])([^'"`\n]+)\1/g
/** A worker's file is code that this file loads, though no `import` says so. */
const WORKER = /\bnew URL\(\s*['"](\.[^'"\n]+\.[jt]s)['"]\s*,\s*import\.meta\.url/g
/** Searched in text without strings, where a literal leaves nothing between the brackets. */
const COMPUTED = /\b(?:import|require)\s*\(\s*(?![\s)])/g

export function importsOf(file: SourceFile): readonly Import[] {
  const text = blankText(file.text, { keepStrings: true })
  const code = blankText(file.text)
  /** An import in a string is a text about imports; its first letter is not code. */
  const matches = (pattern: RegExp): RegExpMatchArray[] =>
    [...text.matchAll(pattern)].filter((match) => /\w/.test(code[start(match)] ?? ''))
  const found = (match: RegExpMatchArray, from: string, typeOnly: boolean, dynamic: boolean): Import => {
    return { from, target: targetOf(file.path, from), line: lineAt(text, start(match)), typeOnly, dynamic }
  }
  return [
    ...matches(STATIC).map((match) => {
      const typeOnly = match[1] !== undefined || onlyTypes(match[2] as string)
      return found(match, match[3] as string, typeOnly, false)
    }),
    ...matches(BARE).map((match) => found(match, match[1] as string, false, false)),
    ...matches(DYNAMIC).map((match) => found(match, match[2] as string, false, true)),
    ...matches(WORKER).map((match) => found(match, match[1] as string, false, true)),
  ]
}

/** Where the keyword stands: patterns begin with the end of the line before. */
function start(match: RegExpMatchArray): number {
  return (match.index ?? 0) + match[0].search(/\w/)
}

/** Lines of imports whose target is computed, which no table can judge. */
export function computedImportLines(file: SourceFile): readonly number[] {
  const code = blankText(file.text)
  return [...code.matchAll(COMPUTED)].map((match) => lineAt(code, match.index))
}

function onlyTypes(clause: string): boolean {
  const names = /^\{([^}]*)\}$/.exec(clause.trim())?.[1]
  if (names === undefined) return false
  const parts = names.split(',').filter((name) => name.trim() !== '')
  return parts.length > 0 && parts.every((name) => /^\s*type\s/.test(name))
}

function targetOf(path: string, from: string): string {
  if (!from.startsWith('.')) return packageOf(from)
  const parts = path.split('/').slice(0, -1)
  for (const part of from.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/').replace(/\.js$/, '.ts')
}

function packageOf(from: string): string {
  if (from.startsWith('node:')) return from
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/')
}
