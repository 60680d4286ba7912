import { blankText } from './blank-text.ts'
import { type Finding, findPattern, isTest, isTypeScript, isUnder, type SourceFile } from './finding.ts'
import { importsOf } from './imports.ts'

const PURE_FOLDERS = ['src/kernel', 'src/event', 'src/coordination']
const IMPURE =
  /(?<![.\w$])(?:async|await|Promise|Date|setTimeout|setInterval|setImmediate|queueMicrotask|process|Buffer|performance|crypto)\b|\bMath\.random\b|\.then\(/g

/** Ring 1 decides and never waits: no I/O, clock, chance or promise. Comments and strings may speak of them. */
export function checkPurity(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => isTypeScript(file) && !isTest(file) && isUnder(file.path, ...PURE_FOLDERS))
    .flatMap((file) => {
      const words = findPattern(
        file.path,
        blankText(file.text),
        IMPURE,
        (word) => `'${word}' in the pure ring: take what it would give as an argument`,
      )
      const builtins = importsOf(file).filter(({ from }) => from.startsWith('node:'))
      const message = 'the pure ring imports no builtins: do the I/O in runtime/ or an engine'
      return [...words, ...builtins.map(({ line }) => ({ path: file.path, line, message }))]
    })
}

const REAL_TIME =
  /\bDate\.now\b|\bnew Date\(\s*\)|(?<![.\w$])Date\(\s*\)|\bperformance\.now\b|\bMath\.random\b|(?<![.\w$])(?:setTimeout|setInterval)\b/g
/** Where real time and chance come from, and the doors that talk to people, who live in real time. */
const REAL_TIME_FILES = /^src\/runtime\/system-[a-z-]+\.ts$|^src\/cli\//
/** An engine's own thread has no injected clock; it may keep time if its file says what for. */
const DECLARED = /^(?:\s*\*|\s*\/\/)?.*\breal time: \S.{15,}/im

/** Time and chance are injected, so that a test can own them. */
export function checkRealTime(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => isTypeScript(file) && !isTest(file) && file.path.startsWith('src/'))
    .filter(({ path }) => !REAL_TIME_FILES.test(path))
    .filter(({ path, text }) => !(path.startsWith('src/engine/') && DECLARED.test(text)))
    .flatMap(({ path, text }) =>
      findPattern(path, blankText(text), REAL_TIME, (word) => {
        const way = path.startsWith('src/engine/') ? " or declare 'Real time: <why>' in the head of the file" : ''
        return `'${word}' outside src/runtime/system-*.ts: take a Clock or Random${way}`
      }),
    )
}
