import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { addCorrections } from './add-corrections.ts'
import { parseDialogues } from './dialogue.ts'

const file = readFileSync(new URL('../../../demo/conversations.jsonl', import.meta.url), 'utf8')
const dialogues = parseDialogues(file, 'own')
const count = (list: typeof dialogues) => list.flatMap(({ turns }) => turns).filter(({ corrects }) => corrects).length

describe('addCorrections', () => {
  it('corrects what orders something, once, and what comes of it is a file that can be read', () => {
    const all = addCorrections(dialogues, 1)
    expect(count(all)).toBeGreaterThan(count(dialogues) + 15)
    const text = all.map((dialogue) => JSON.stringify(dialogue)).join('\n')
    expect(parseDialogues(text, 'corrected')).toEqual(all)
  })

  it('takes about the share that was asked for, the same each time', () => {
    const half = addCorrections(dialogues, 0.5)
    expect(half).toEqual(addCorrections(dialogues, 0.5))
    expect(count(half)).toBeGreaterThan(count(dialogues))
    expect(count(half)).toBeLessThan(count(addCorrections(dialogues, 1)))
    expect(addCorrections(dialogues, 0)).toEqual(dialogues)
  })
})
