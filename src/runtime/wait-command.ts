import { WAIT_FOR_OPTIONS, type WaitForOptions } from '../agent/context.ts'
import type { AnyEventType } from '../agent/event-type.ts'
import { requireEventType } from '../agent/require-event-type.ts'
import { durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { encodeJson, type Json } from '../kernel/json.ts'
import { requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import type { WaitCommand } from './command.ts'

/** What a `ctx.waitFor` asks for. @throws SPINE_EVENT_INVALID, SPINE_DURATION_INVALID, SPINE_OPTION_INVALID, SPINE_PAYLOAD_… */
export function waitCommand(
  type: AnyEventType,
  options: WaitForOptions,
  what: string,
): Omit<WaitCommand, 'after' | 'others'> {
  requireEventType(type, `A ${what}`)
  if (options !== undefined) requireKnownOptions(options, WAIT_FOR_OPTIONS, `A ${what}`)
  return {
    kind: 'wait',
    type,
    withinMs: durationMs(options?.within, `${what}: within`),
    cause: causeOf(options.cause, what),
    match: options.match === undefined ? undefined : matchOf(options.match, what),
  }
}

function causeOf(cause: WaitForOptions['cause'], what: string): number | undefined {
  if (cause === undefined) return undefined
  const sequence = typeof cause === 'number' ? cause : cause?.sequence
  if (Number.isSafeInteger(sequence) && sequence >= 1) return sequence
  throw new SpineError('SPINE_OPTION_INVALID', `A ${what} has the cause ${JSON.stringify(cause)}.`, {
    value: cause,
    fix: 'Pass the sequence of the event that is to be answered, or what ctx.publish gave for it.',
  })
}

function matchOf(match: unknown, what: string): Json {
  const { value } = encodeJson(match, `${what}: match`, limits.matchBytesMax)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new SpineError('SPINE_OPTION_INVALID', `The match of a ${what} is no object.`, {
    value: match,
    fix: 'Pass the fields of the data that have to be there, with their values.',
  })
}
