import { type Finding, findPattern, lineAt, type SourceFile } from './finding.ts'

const isMarkdown = ({ path }: SourceFile): boolean => path.endsWith('.md')
const FENCE = /^(```+|~~~+)[^\n]*\n[\s\S]*?^\1[ \t]*$/gm
const blankFences = (text: string): string => text.replace(FENCE, (block) => block.replace(/[^\n]/g, ' '))

const LINK = /(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)/g
const IMAGE = /!\[[^\]\n]*\]\(([^)\s]+)\)/g

/** Relative links that lead nowhere, headings included. */
export function checkDocLinks(files: readonly SourceFile[], exists: (path: string) => boolean): Finding[] {
  const pages = new Map(files.filter(isMarkdown).map((file) => [file.path, file.text]))
  return files.filter(isMarkdown).flatMap(({ path, text }) => {
    const prose = blankFences(text)
    return [...prose.matchAll(LINK), ...prose.matchAll(IMAGE)].flatMap((match) => {
      const link = match[1] as string
      if (/^[a-z]+:/i.test(link)) return []
      const [file = '', heading] = link.split('#')
      const target = file === '' ? path : resolve(path, file)
      const finding = (message: string): Finding[] => [{ path, line: lineAt(prose, match.index), message }]
      if (!exists(target)) return finding(`dead link: ${link}`)
      const page = pages.get(target)
      if (heading === undefined || page === undefined || headingsOf(page).has(heading)) return []
      return finding(`dead link: ${target} has no heading '#${heading}'`)
    })
  })
}

function resolve(from: string, link: string): string {
  const parts = link.startsWith('/') ? [] : from.split('/').slice(0, -1)
  for (const part of link.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.' && part !== '') parts.push(part)
  }
  return parts.join('/')
}

/** Anchors as GitHub makes them: lower case, spaces to hyphens, the rest of the punctuation gone. */
function headingsOf(page: string): Set<string> {
  const headings = [...blankFences(page).matchAll(/^#{1,6}\s+(.+)$/gm)].map((match) => match[1] as string)
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  )
}

const SCRIPT = /\bnpm (?:run(?:-script)?(?: --?[\w-]+)*) ([a-z][\w:-]*)/g
const OWN_SCRIPT = /\bnpm (test|start)\b/g

/** Commands in docs, comments and scripts that package.json does not have. */
export function checkDocScripts(files: readonly SourceFile[], scripts: readonly string[]): Finding[] {
  return files
    .filter(({ path }) => /\.(?:md|ts|mjs|json|ya?ml)$|^\.ci\//.test(path) && !path.startsWith('tools/tidy/'))
    .filter(({ path }) => path !== 'package-lock.json')
    .flatMap(({ path, text }) =>
      [...text.matchAll(SCRIPT), ...text.matchAll(OWN_SCRIPT)]
        .filter((match) => !scripts.includes(match[1] as string))
        .map((match) => ({
          path,
          line: lineAt(text, match.index),
          message: `package.json has no script '${match[1]}'`,
        })),
    )
}

/** In backticks, from the root: `src/kernel/json.ts`, `docs/decisions/`. Patterns and placeholders are not paths. */
const PATH_IN_DOCS = /`((?:src|test|tools|docs|bench|examples|demo|\.ci)\/[\w./-]*)`/g
const PAGE_IN_COMMENT = /\bdocs\/[\w/-]+\.md\b/g

/** Paths that docs name, and pages that comments name, which do not exist. */
export function checkDocPaths(files: readonly SourceFile[], exists: (path: string) => boolean): Finding[] {
  const message = (path: string) => `${path} does not exist`
  const dead = ({ message: text }: Finding) => !exists((text.split(' ')[0] as string).replace(/\/$/, ''))
  return files.flatMap(({ path, text }) => {
    if (path.endsWith('.md')) {
      return findPattern(path, text, PATH_IN_DOCS, (match) => message(match.replaceAll('`', ''))).filter(dead)
    }
    if (!path.endsWith('.ts') || path.startsWith('tools/tidy/')) return []
    return findPattern(path, text, PAGE_IN_COMMENT, message).filter(dead)
  })
}
