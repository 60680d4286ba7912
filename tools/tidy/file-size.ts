import { type Finding, isTypeScript, type SourceFile } from './finding.ts'

const LINES_WARN = 400
const LINES_MAX = 500

const lineCount = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0)

const longerThan = (files: readonly SourceFile[], limit: number, message: string): Finding[] =>
  files
    .filter((file) => isTypeScript(file) && lineCount(file.text) > limit)
    .map(({ path, text }) => ({ path, line: 0, message: `${lineCount(text)} lines: ${message}` }))

/** A file that no longer fits in a head. */
export function checkFileSize(files: readonly SourceFile[]): Finding[] {
  return longerThan(files, LINES_MAX, `the limit is ${LINES_MAX}; split it along what it does`)
}

/** Printed, never failing: the moment to think about a split is before it hurts. */
export function warnFileSize(files: readonly SourceFile[]): Finding[] {
  return longerThan(files, LINES_WARN, `more than ${LINES_WARN}; is it still one job?`)
}
