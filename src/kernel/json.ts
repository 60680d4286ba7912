/**
 * JSON at the edge: one walk that refuses what JSON would lose, copies, and freezes.
 *
 * J1  What is stored is what the handler sees: the value equals `JSON.parse(json)`, also on the first run.
 * J2  Nothing that JSON would change silently is accepted: NaN, Infinity, Date, BigInt, Map, class instances, holes.
 * J3  The value is frozen all the way down, and holds no `__proto__`, `constructor` or `prototype` key.
 */
import { SpineError } from './errors.ts'
import { limits } from './limits.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A value with its JSON text, encoded once and carried together to the disk and to the fold. */
export interface Encoded {
  readonly json: string
  readonly value: Json
}

/** `what` starts the path in errors: `data.items[2].price`. */
export function encodeJson(value: unknown, what: string, bytesMax: number): Encoded {
  const copy = copyJson(value, what, 1, { what, bytesMax, values: 0 })
  const json = JSON.stringify(copy)
  const bytes = json.length * 3 > bytesMax ? utf8Bytes(json) : 0
  if (bytes > bytesMax) refuseTooLarge(what, bytes, bytesMax)
  return { json, value: copy }
}

/** Text of a value that we built ourselves from parts that are already plain JSON. */
export function encodeOwn(value: Json): Encoded {
  return { json: JSON.stringify(value), value }
}

function refuseTooLarge(what: string, bytes: number | string, bytesMax: number): never {
  throw new SpineError('SPINE_PAYLOAD_TOO_LARGE', `${what} is ${bytes} bytes of JSON; the limit is ${bytesMax}.`, {
    value: bytes,
    limit: bytesMax,
    fix: 'Put the content in a store of its own and pass a reference.',
  })
}

/** One call of `encodeJson`. Every value is at least a byte of JSON, so their count can end a walk early. */
interface Walk {
  readonly what: string
  readonly bytesMax: number
  values: number
}

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

function copyJson(value: unknown, path: string, depth: number, walk: Walk): Json {
  // An array that holds one array twice, sixty times over, is small in memory and endless in JSON.
  if (++walk.values > walk.bytesMax) refuseTooLarge(walk.what, `more than ${walk.bytesMax}`, walk.bytesMax)
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value)) return value === 0 ? 0 : value
      return refuse(path, `${value}`, 'JSON has no such number; use null or a text.')
    case 'object':
      break
    default:
      return refuse(path, typeof value, 'Only JSON values can be stored.')
  }
  if (value === null) return null
  if (depth > limits.payloadDepthMax) {
    throw new SpineError('SPINE_PAYLOAD_TOO_DEEP', `${path} is nested deeper than ${limits.payloadDepthMax} levels.`, {
      limit: limits.payloadDepthMax,
      fix: 'Flatten it, or break the cycle if it refers to itself.',
    })
  }
  return Array.isArray(value) ? copyArray(value, path, depth, walk) : copyObject(value, path, depth, walk)
}

function copyArray(value: readonly unknown[], path: string, depth: number, walk: Walk): Json {
  const copy: Json[] = []
  for (let index = 0; index < value.length; index++)
    copy.push(copyJson(value[index], `${path}[${index}]`, depth + 1, walk))
  return Object.freeze(copy)
}

function copyObject(value: object, path: string, depth: number, walk: Walk): Json {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && !isForeignPlainObject(prototype)) {
    const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'object'
    return refuse(
      path,
      `a ${name}`,
      name === 'Date' ? 'Store date.toISOString() instead.' : 'Store a plain object instead.',
    )
  }
  const copy: Record<string, Json> = {}
  for (const key of Object.keys(value)) {
    if (FORBIDDEN_KEYS.has(key))
      refuse(path, `the key ${JSON.stringify(key)}`, 'It could change the prototype of what reads it.')
    const item = (value as Record<string, unknown>)[key]
    if (item !== undefined) copy[key] = copyJson(item, `${path}.${key}`, depth + 1, walk)
  }
  return Object.freeze(copy)
}

/** `Object.prototype` of another realm (a test runner's sandbox, a `vm` context) is plain too. */
function isForeignPlainObject(prototype: unknown): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'hasOwnProperty')
}

function refuse(path: string, found: string, fix: string): never {
  throw new SpineError('SPINE_PAYLOAD_NOT_JSON', `${path}: ${found} cannot be stored as JSON.`, { value: found, fix })
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}

/** Length in UTF-8 without an encoder, which the pure ring does not have; half a surrogate pair is written as U+FFFD. */
export function utf8Bytes(text: string): number {
  let bytes = 0
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) bytes += 1
    else if (unit < 0x800) bytes += 2
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) {
      bytes += 4
      index++
    } else bytes += 3
  }
  return bytes
}

/** Freezes a value that came from `JSON.parse`. */
export function freezeJson<Value extends Json>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const item of Object.values(value)) freezeJson(item as Json)
    Object.freeze(value)
  }
  return value
}

/** The same value with the keys of every object in order. */
export function withSortedKeys(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item: Json) => withSortedKeys(item))
  const entries = Object.entries(value as { readonly [key: string]: Json })
  entries.sort(([left], [right]) => (left < right ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, withSortedKeys(item)]))
}

/** The same text for the same value whatever the order of its keys: for fingerprints and for comparing states. */
export function canonicalJson(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`
  const entries = Object.entries(value as { readonly [key: string]: Json })
  entries.sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`
}
