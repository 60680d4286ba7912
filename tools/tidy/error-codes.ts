import { blankText } from './blank-text.ts'
import { type Finding, isTest, isTypeScript, type SourceFile } from './finding.ts'

const TABLE = 'src/kernel/errors.ts'
/** It recites codes; only a test that makes an error happen counts. */
const TEST_OF_THE_TABLE = 'src/kernel/errors.test.ts'

/** A code that nobody raises is a promise without meaning; one that no test provokes may be raised wrongly. */
export function checkErrorCodes(files: readonly SourceFile[], codes: readonly string[]): Finding[] {
  const code = files.filter(isTypeScript).filter(({ path }) => path !== TABLE && path !== TEST_OF_THE_TABLE)
  // The conformance suite is a test too, though it is shipped: engines run it.
  const isTested = (path: string) => /^(?:test|src\/engine\/conformance)\//.test(path) || path.endsWith('.test.ts')
  const source = textOf(code.filter((file) => file.path.startsWith('src/') && !isTest(file)))
  const tests = textOf(code.filter(({ path }) => isTested(path)))
  return codes.flatMap((name) => {
    const word = new RegExp(`\\b${name}\\b`)
    const finding = (message: string): Finding[] => [{ path: TABLE, line: 0, message: `${name} ${message}` }]
    return [
      ...(word.test(source) ? [] : finding('is raised nowhere in src/: drop it, or raise it')),
      ...(word.test(tests) ? [] : finding('is provoked by no test')),
    ]
  })
}

/** Without comments: a mention is not a use. */
function textOf(files: readonly SourceFile[]): string {
  return files.map(({ text }) => blankText(text, { keepStrings: true })).join('\n')
}
