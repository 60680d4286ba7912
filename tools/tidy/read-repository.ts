import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SourceFile } from './finding.ts'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** What git ignores. Reading the folders rather than asking git lets the checks run in an unpacked archive too. */
const IGNORED = new Set(['node_modules', 'dist', '.git', '.cache', '.spine', 'coverage'])
const TEXT =
  /(?:\.(?:ts|mts|mjs|js|json|md|sql|ya?ml|sh|html|css|svg|csv|jsonl|txt)|(?:^|\/)(?:\.ci\/run|\.npmrc|\.gitignore|LICENSE))$/

export function readRepository(root: string = ROOT): readonly SourceFile[] {
  return listFiles(root, '')
    .filter((path) => TEXT.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

function listFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return IGNORED.has(entry.name) ? [] : listFiles(root, path)
    return entry.isFile() ? [path] : []
  })
}
