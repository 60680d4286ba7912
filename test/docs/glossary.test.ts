import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ROOT } from './root.ts'

/** The words of the design. A word that is dropped here must be gone from the code as well. */
const WORDS = [
  ...['spine', 'event', 'record', 'commit', 'sequence', 'session', 'request', 'key', 'envelope', 'agent', 'reference'],
  ...['delivery', 'run', 'attempt', 'step', 'basis', 'head', 'lane', 'projection', 'snapshot', 'engine', 'absent'],
  ...['within', 'timeout', 'deadline'],
]

const rows = readFileSync(join(ROOT, 'docs/glossary.md'), 'utf8').matchAll(/^\| \*\*(.+)\*\* \| (.+) \|$/gm)
const entries = [...rows].map(([, word, meaning]) => ({ word: word as string, meaning: meaning as string }))
const words = entries.map(({ word }) => word)
const meanings = entries.map(({ meaning }) => meaning)

it('has one row for every word of the design', () => {
  expect(words.filter((word) => WORDS.includes(word)).sort()).toEqual([...WORDS].sort())
})

it('says each word once, and something about it that no other row says', () => {
  expect(new Set(words).size).toBe(words.length)
  expect(new Set(meanings).size).toBe(meanings.length)
})
