/** What may be in the package is a pattern that nobody looks at: each thing that it must find is shown to it once. */
import { expect, it } from 'vitest'
// @ts-expect-error a plain script, which Node 20 has to run as it is
import { findBrokenPromises, findDanglingMaps, findStrayFiles } from './packed-package.mjs'

const PACKED = ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'dist/index.js', 'dist/index.d.ts']

it('finds nothing in what belongs there', () => {
  expect(findStrayFiles([...PACKED, 'dist/cli/main.js', 'demo/conversations.jsonl'], 1)).toEqual([])
})

it.each([
  'src/index.ts',
  'dist/index.js.map',
  'dist/kernel/json.test.js',
  'dist/kernel/test/json.js',
  'demo/notes.txt',
  '.cache/a.js',
  'spine.db',
])('finds %s', (path) => {
  expect(findStrayFiles([...PACKED, path], 1)).toEqual([`${path} has no business in it`])
})

it('finds what is missing, and what is too large', () => {
  expect(findStrayFiles(PACKED.slice(1), 1)).toEqual(['README.md is missing'])
  expect(findStrayFiles(PACKED, 1e9)).toHaveLength(1)
})

it('finds a comment that leads to a source map', () => {
  const texts: Record<string, string> = { 'a.js': 'x\n//# sourceMappingURL=a.js.map\n', 'b.js': 'x\n' }
  expect(findDanglingMaps(Object.keys(texts), (path: string) => texts[path])).toEqual(['a.js points to a source map'])
})

it('finds what package.json names and nobody packed', () => {
  const manifest = { bin: { spine: './dist/cli/main.js' }, exports: { '.': { types: './dist/index.d.ts' } } }
  expect(findBrokenPromises(manifest, PACKED)).toEqual(['package.json names dist/cli/main.js, which is not packed'])
})
