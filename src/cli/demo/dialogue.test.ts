import { describe, expect, it } from 'vitest'
import { parseDialogues } from './dialogue.ts'

const call = { service: 'Bank', method: 'Pay', parameters: { amount: '5' }, effect: true, results: [] }
const dialogue = {
  id: 'a',
  services: ['Bank'],
  turns: [{ user: 'Pay!', state: { Bank: { intent: 'Pay', slots: {}, asks: [] } }, system: 'Done.', calls: [call] }],
  effects: [{ service: 'Bank', method: 'Pay', parameters: { amount: '5' } }],
}
const lines = (...values: unknown[]) => values.map((value) => JSON.stringify(value)).join('\n')

describe('parseDialogues', () => {
  it('reads one object a line, and skips empty lines', () => {
    const parsed = parseDialogues(`${lines(dialogue)}\n\n${lines({ ...dialogue, id: 'b' })}\n`, 'file')
    expect(parsed.map(({ id }) => id)).toEqual(['a', 'b'])
    expect(parsed[0]).toEqual(dialogue)
  })

  it.each([
    ['no JSON', '{"id":', 'file, line 1 is no JSON'],
    ['a field that is missing', lines({ ...dialogue, turns: undefined }), 'file, line 1: turns: '],
    [
      'a call without its effect flag',
      lines(dialogue, { ...dialogue, id: 'b', turns: [{ ...dialogue.turns[0], calls: [{ ...call, effect: 'yes' }] }] }),
      'file, line 2: turns[0].calls[0].effect: ',
    ],
    [
      'a service that cannot be the name of an agent',
      lines({ ...dialogue, services: ['My Bank'] }),
      'services[0]: a name has',
    ],
    ['effects that are not those of the turns', lines({ ...dialogue, effects: [] }), "file, line 1: 'effects' is not"],
    [
      'effects with other parameters',
      lines({ ...dialogue, effects: [{ ...dialogue.effects[0], parameters: { amount: '6' } }] }),
      "file, line 1: 'effects' is not",
    ],
    ['an id twice', lines(dialogue, dialogue), "file, line 2: the id 'a' was used on line 1."],
    ['nothing at all', '\n', 'file holds no conversation.'],
  ])('refuses %s, by line and field', (_what, text, message) => {
    expect(() => parseDialogues(text, 'file')).toThrow(message)
  })
})
