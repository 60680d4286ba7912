import { describe, expect, it } from 'vitest'
import { answerOpenToolCalls, type ChatMessage } from './answer-open-tool-calls.ts'

describe('answerOpenToolCalls', () => {
  it('returns a history that is whole as it is', () => {
    const whole: ChatMessage[] = [
      { role: 'user', content: 'book it' },
      { role: 'assistant', tool_calls: [{ id: 'a' }] },
      { role: 'tool', tool_call_id: 'a', content: 'booked' },
    ]
    expect(answerOpenToolCalls(whole)).toBe(whole)
  })

  it('answers what is open behind the message that asks, and behind results that are there', () => {
    const answers = answerOpenToolCalls([
      { role: 'assistant', tool_calls: [{ id: 'a' }, { id: 'b' }] },
      { role: 'tool', tool_call_id: 'a', content: 'fine' },
      { role: 'user', content: 'and?' },
      { role: 'assistant', tool_calls: [{ id: 'c' }] },
    ])
    expect(answers.map(({ role, tool_call_id }) => tool_call_id ?? role)).toEqual([
      'assistant',
      'a',
      'b',
      'user',
      'assistant',
      'c',
    ])
  })

  it('knows histories whose calls and results are parts', () => {
    const use = [{ role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'book', input: {} }] }]
    expect(answerOpenToolCalls(use, 'stopped').at(-1)).toEqual({
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'a', is_error: true, content: 'stopped' }],
    })
    const call = [{ role: 'assistant', content: [{ type: 'tool-call', toolCallId: 'a', toolName: 'book', input: {} }] }]
    const whole = answerOpenToolCalls(call)
    expect(whole.at(-1)).toMatchObject({ role: 'tool', content: [{ type: 'tool-result', toolCallId: 'a' }] })
    expect(answerOpenToolCalls(whole)).toBe(whole)
  })
})
