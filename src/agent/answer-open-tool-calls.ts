/**
 * Message histories of language models in which a tool call has no result: what an interrupted run leaves behind that keeps
 * its messages outside of its journal. Providers refuse them.
 *
 * Job: complete such a history. Not its job: keeping histories; a handler that builds its messages from what its steps
 * returned has them whole after any interruption, and needs none of this.
 */

/** A message as chat APIs have it; only what is needed to pair calls with results. */
export interface ChatMessage {
  readonly role: string
  readonly content?: unknown
  readonly tool_calls?: readonly { readonly id: string }[] | null
  readonly tool_call_id?: string
}

interface Part {
  readonly type?: unknown
  readonly id?: unknown
  readonly toolCallId?: unknown
  readonly toolName?: unknown
  readonly tool_use_id?: unknown
}

const INTERRUPTED = 'Interrupted before it returned; the result is not known.'

/**
 * The same history, with a result behind every message of which a tool call has none. For histories with `tool_calls` and
 * `tool_call_id`, with parts `tool_use` and `tool_result`, and with parts `tool-call` and `tool-result`. A history that is
 * whole is returned as it is.
 *
 * @example const messages = answerOpenToolCalls(await history.load(session))
 */
export function answerOpenToolCalls<Message extends ChatMessage>(
  messages: readonly Message[],
  text: string = INTERRUPTED,
): readonly Message[] {
  const answered = new Set(messages.flatMap(resultsOf))
  const missing = (message: Message) => answersTo(message, answered, text)
  if (messages.every((message) => missing(message).length === 0)) return messages
  const whole: Message[] = []
  let open: readonly ChatMessage[] = []
  for (const message of messages) {
    // Results stand together behind the message that asks for them.
    if (open.length > 0 && resultsOf(message).length === 0) {
      whole.push(...(open as readonly Message[]))
      open = []
    }
    whole.push(message)
    open = [...open, ...missing(message)]
  }
  whole.push(...(open as readonly Message[]))
  return whole
}

function resultsOf(message: ChatMessage): readonly unknown[] {
  if (message.tool_call_id !== undefined) return [message.tool_call_id]
  return partsOf(message).flatMap((part) => {
    if (part.type === 'tool_result') return [part.tool_use_id]
    return part.type === 'tool-result' ? [part.toolCallId] : []
  })
}

function answersTo(message: ChatMessage, answered: ReadonlySet<unknown>, text: string): readonly ChatMessage[] {
  const calls = (message.tool_calls ?? []).filter(({ id }) => !answered.has(id))
  const parts = partsOf(message)
  const uses = parts.filter(({ type, id }) => type === 'tool_use' && !answered.has(id))
  const others = parts.filter(({ type, toolCallId }) => type === 'tool-call' && !answered.has(toolCallId))
  return [
    ...calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: text })),
    ...(uses.length === 0
      ? []
      : [
          {
            role: 'user',
            content: uses.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, is_error: true, content: text })),
          },
        ]),
    ...(others.length === 0
      ? []
      : [
          {
            role: 'tool',
            content: others.map(({ toolCallId, toolName }) => ({
              type: 'tool-result',
              toolCallId,
              toolName,
              output: { type: 'error-text', value: text },
            })),
          },
        ]),
  ]
}

function partsOf({ content }: ChatMessage): readonly Part[] {
  return Array.isArray(content) ? (content as readonly Part[]) : []
}
