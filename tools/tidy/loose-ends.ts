import { blankText } from './blank-text.ts'
import { type Finding, findPattern, isTypeScript, isUnder, type SourceFile } from './finding.ts'

/** These files name what they look for. */
const ABOUT_LOOSE_ENDS = ['tools/tidy']

const ANY = /(?<![.\w$])any\b(?!\s*[(:=?])/g
const SILENCED = /@ts-(?:ignore|nocheck)|@ts-expect-error(?!\s+\S)|biome-ignore|eslint-disable/g
const UNNUMBERED = /\bTODO\b(?!\s*\(?#\d+)/g
const UNFINISHED = /\b(?:FIXME|XXX|HACK)\b/g
const FOCUSED = /\b(?:it|test|describe)\.only\b/g

/** What was left for later, switched off or not typed. */
export function checkLooseEnds(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => isTypeScript(file) && !isUnder(file.path, ...ABOUT_LOOSE_ENDS))
    .flatMap(({ path, text }) => {
      const code = blankText(text)
      return [
        ...findPattern(path, code, ANY, () => "'any' switches the compiler off: use unknown, or a type parameter"),
        ...findPattern(
          path,
          text,
          SILENCED,
          (word) => `'${word}' hides a finding: mend it, or change the rule for all`,
        ),
        ...findPattern(path, text, UNNUMBERED, () => 'a TODO needs the number of an issue: TODO(#12)'),
        ...findPattern(path, text, UNFINISHED, (word) => `${word} may not be merged: finish it or open an issue`),
        ...findPattern(path, code, FOCUSED, (word) => `'${word}' switches all other tests off`),
      ]
    })
}
