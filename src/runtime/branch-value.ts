/**
 * What a branch of a gather that is a function brought, as it is recorded: JSON, and where in it events stand.
 *
 * An event holds a `Date`, which JSON has no word for. Returning one, from `scope.waitFor`, is what most people write; so it
 * is stored as JSON with its place beside it, and given back as an event: the first time, and on every replay.
 */
import { SpineError } from '../kernel/errors.ts'
import { encodeJson, type Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'

export interface BranchValue {
  readonly value: Json
  /** JSON pointers (RFC 6901); absent where there is none. */
  readonly events?: readonly string[]
}

/** @throws SPINE_PAYLOAD_NOT_JSON, SPINE_PAYLOAD_TOO_LARGE, SPINE_PAYLOAD_TOO_DEEP */
export function encodeBranchValue(value: unknown, what: string): BranchValue {
  try {
    return { value: encodeJson(value, what, limits.stepResultBytesMax).value }
  } catch (error) {
    if (!SpineError.is(error, 'SPINE_PAYLOAD_NOT_JSON')) throw error
    const events: string[] = []
    const plain = withoutDates(value, '', 0, { events, left: VALUES_MAX })
    if (events.length === 0) throw error
    return { value: encodeJson(plain, what, limits.stepResultBytesMax).value, events }
  }
}

export function decodeBranchValue({ value, events }: Partial<BranchValue>): unknown {
  if (events === undefined) return value
  return events.reduce<unknown>((whole, pointer) => replaced(whole, pathOf(pointer), asEvent), value)
}

/** More than that does not fit into a result; and a graph that is small in memory may be endless as a tree. */
const VALUES_MAX = 100_000

interface Walk {
  readonly events: string[]
  left: number
}

function withoutDates(value: unknown, pointer: string, depth: number, walk: Walk): unknown {
  if (typeof value !== 'object' || value === null || depth > limits.payloadDepthMax || walk.left-- <= 0) return value
  if (Array.isArray(value))
    return value.map((item, index) => withoutDates(item, `${pointer}/${index}`, depth + 1, walk))
  if (!isPlain(value)) return value
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    withoutDates(item, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, depth + 1, walk),
  ])
  if (!isEvent(value)) return Object.fromEntries(entries)
  walk.events.push(pointer)
  return { ...Object.fromEntries(entries), time: value.time.toISOString() }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isEvent(value: object): value is { readonly time: Date } {
  const { sequence, id, type, request, time } = value as Readonly<Record<string, unknown>>
  const isNamed = typeof id === 'string' && typeof type === 'string' && typeof request === 'string'
  return isNamed && Number.isSafeInteger(sequence) && time instanceof Date && !Number.isNaN(time.getTime())
}

function pathOf(pointer: string): readonly string[] {
  const [, ...path] = pointer.split('/')
  return path.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** A copy, frozen like the whole, in which `change` has been made at one place. */
function replaced(whole: unknown, path: readonly string[], change: (value: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return change(whole)
  const copy = (Array.isArray(whole) ? [...(whole as unknown[])] : { ...(whole as object) }) as Record<string, unknown>
  copy[key] = replaced(copy[key], rest, change)
  return Object.freeze(copy)
}

function asEvent(value: unknown): unknown {
  const event = value as { readonly time: string; readonly source?: string }
  return Object.freeze({ ...event, time: new Date(event.time), source: event.source })
}
