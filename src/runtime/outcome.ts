import type { Failure, SystemData } from '../event/catalogue.ts'
import { eventId, type LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import { type BranchValue, decodeBranchValue } from './branch-value.ts'
import type { Command, WaitCommand } from './command.ts'
import { errorOf } from './failure.ts'
import { routedTarget } from './route-command.ts'
import { toEvent } from './to-event.ts'

/** What a released promise gives: read from the record that ended the command, so the same on every replay. */
export function outcomeOf(
  command: Command,
  record: LogRecord,
  taken?: LogRecord | undefined,
): { readonly value: unknown } | { readonly error: Error } {
  // First, because it ends with the record that ended a branch.
  if (command.kind === 'gather') return command.gather.outcomeAt(record)
  if (record.type === 'spine.step.recorded') return outcomeOfStep(command, record)
  if (command.kind === 'wait') return outcomeOfWait(command, taken)
  if (command.kind === 'call') return outcomeOfCall(command.target, record)
  if (command.kind === 'route') return { value: routedTarget(command, record) }
  return { value: undefined }
}

function outcomeOfStep(command: Command, record: LogRecord): { readonly value: unknown } | { readonly error: Error } {
  const { value, error, events } = record.data as unknown as SystemData<'spine.step.recorded'>
  if (error !== undefined) return { error: errorOf(error) }
  if (command.kind === 'branch') return { value: decodeBranchValue({ value, events } as Partial<BranchValue>) }
  if (command.kind !== 'publish') return { value }
  // The published event is the neighbour before the record that journals it, in the same commit.
  const sequence = record.sequence - 1
  return { value: { sequence, id: eventId({ ...record, sequence, hops: record.hops + 1 }) } }
}

function outcomeOfWait({ type }: WaitCommand, taken: LogRecord | undefined) {
  if (taken === undefined) return { value: undefined }
  try {
    return { value: toEvent(taken, new Map([[type.type, type]])) }
  } catch (error) {
    return { error: error as Error }
  }
}

function outcomeOfCall(target: string, record: LogRecord): { readonly value: unknown } | { readonly error: Error } {
  if (record.type !== 'spine.delivery.completed') return { error: callFailed(target, record) }
  return { value: (record.data as unknown as SystemData<'spine.delivery.completed'>).reply }
}

/** The error of whoever waits for directed work that ended without a reply. */
export function callFailed(target: string, record: LogRecord): SpineError {
  const agent = record.agent ?? target
  const cause = causeOf(record)
  return new SpineError('SPINE_CALL_FAILED', `'${agent}' did not reply: ${cause.message}`, {
    agent,
    cause,
    value: target,
  })
}

function causeOf(record: LogRecord): Error {
  const data = record.data as {
    readonly error?: Failure
    readonly why?: string
    readonly name?: string
    readonly of?: number
  }
  if (data?.error !== undefined) return errorOf(data.error)
  switch (record.type) {
    case 'spine.delivery.expired':
    case 'spine.request.expired':
      return new SpineError('SPINE_EXPIRED', 'its deadline passed.')
    case 'spine.delivery.superseded':
      return new SpineError('SPINE_SUPERSEDED', 'a newer turn of the session made it pointless.', {
        value: (data as { by?: number }).by,
      })
    case 'spine.delivery.skipped':
      return new SpineError('SPINE_DUPLICATE', `its dedupe key was used before, by record ${data.of}.`, {
        value: data.of,
      })
    case 'spine.agent.removed':
      return new SpineError('SPINE_REMOVED', `the agent '${data.name}' was removed.`)
    default:
      return new SpineError('SPINE_REQUEST_CANCELLED', `cancelled (${data?.why ?? 'by whoever asked for it'}).`)
  }
}
