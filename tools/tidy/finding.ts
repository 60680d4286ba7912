/** A file of the repository; `path` is relative to the root, with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** Something to mend: where, and what to do about it. */
export interface Finding {
  readonly path: string
  /** 1-based; 0 when it is about the whole file. */
  readonly line: number
  readonly message: string
}

export function formatFinding({ path, line, message }: Finding): string {
  return line === 0 ? `${path}  ${message}` : `${path}:${line}  ${message}`
}

/** Every match of a pattern as a finding. `text` is what is searched: mostly a version with comments blanked. */
export function findPattern(
  path: string,
  text: string,
  pattern: RegExp,
  message: (match: string) => string,
): Finding[] {
  return [...text.matchAll(pattern)].map((match) => ({
    path,
    line: lineAt(text, match.index),
    message: message(match[0].trim()),
  }))
}

export function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) line++
  return line
}

export const isTypeScript = ({ path }: SourceFile): boolean => path.endsWith('.ts')
export const isTest = ({ path }: SourceFile): boolean => path.endsWith('.test.ts')
export const isUnder = (path: string, ...folders: readonly string[]): boolean =>
  folders.some((folder) => path.startsWith(`${folder}/`))
