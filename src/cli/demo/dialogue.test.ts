import { describe, expect, it } from 'vitest'
import { parseDialogues } from './dialogue.ts'

const call = { service: 'Bank', method: 'Pay', parameters: { amount: '5' }, effect: true, results: [] }
const dialogue = {
  id: 'a',
  services: ['Bank'],
  turns: [{ user: 'Pay!', state: { Bank: { intent: 'Pay', slots: {}, asks: [] } }, system: 'Done.', calls: [call] }],
  effects: [{ service: 'Bank', method: 'Pay', parameters: { amount: '5' } }],
}
const other = { ...call, parameters: { amount: '6' } }
/** `calls`: of the correction; none: of the turn that it corrects. */
const corrected = (calls: readonly object[], twice = false) => {
  const [turn] = dialogue.turns
  const first = calls.length === 0 ? { ...turn, calls: [] } : turn
  const correction = { ...turn, calls, corrects: true }
  return { ...dialogue, turns: [first, correction, ...(twice ? [{ ...correction, calls: [call] }] : [])] }
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
    ['a correction of nothing', lines(corrected([])), 'turns[1].corrects: the turn before it orders nothing'],
    [
      'a correction of a correction',
      lines(corrected([other], true)),
      'turns[2].corrects: the turn before it is a correction',
    ],
    ['a correction to the same', lines(corrected([call])), 'turns[1].corrects: it orders the very same again (Pay)'],
    ['a priority that is none', lines({ ...dialogue, priority: 'asap' }), 'file, line 1: priority: '],
    ['nothing at all', '\n', 'file holds no conversation.'],
  ])('refuses %s, by line and field', (_what, text, message) => {
    expect(() => parseDialogues(text, 'file')).toThrow(message)
  })

  it('takes a correction: what stands in the end are the effects of the other turns', () => {
    const standing = [{ service: 'Bank', method: 'Pay', parameters: { amount: '6' } }]
    const [parsed] = parseDialogues(lines({ ...corrected([other]), effects: standing }), 'file')
    expect(parsed?.turns.map(({ corrects }) => corrects)).toEqual([undefined, true])
    expect(() => parseDialogues(lines(corrected([other])), 'file')).toThrow("'effects' is not")
  })
})
