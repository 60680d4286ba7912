import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Priority } from '../event/priority.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'

/** An event as handlers, queries and waits see it. Frozen. */
export interface SpineEvent<Type extends string = string, Data = unknown> {
  readonly sequence: number
  readonly id: string
  readonly type: Type
  readonly time: Date
  readonly session: string
  /** The id of the root of the causal tree. */
  readonly request: string
  /** Sequence of the record that led to this event; 0 for the root of a request. */
  readonly cause: number
  /** Name of the agent that emitted it; `undefined` when it was published from outside. */
  readonly source: string | undefined
  /** How urgent the work is that it leads to. */
  readonly priority: Priority
  readonly data: Data
}

/** What `event()` makes: a type's name, its schema, and a guard. */
export interface EventType<Type extends string = string, Data = unknown, Input = unknown> {
  readonly type: Type
  readonly version: number
  readonly schema: StandardSchemaV1
  readonly upgrade: ((data: Json, fromVersion: number) => unknown) | undefined
  /** Narrows an event of a union: `if (Booked.is(evt)) evt.data.day`. */
  is(record: { readonly type: string }): record is SpineEvent<Type, Data>
  /** For the compiler only. */
  readonly '~types'?: { readonly data: Data; readonly input: Input }
}

export type AnyEventType = EventType<string, unknown, unknown>
export type DataOf<Event> = Event extends EventType<string, infer Data, unknown> ? Data : never
export type InputOf<Event> = Event extends EventType<string, unknown, infer Input> ? Input : never
/** The event itself; a union of types gives a union that `evt.type` discriminates. */
export type EventOf<Event> = Event extends EventType<infer Type, infer Data, unknown> ? SpineEvent<Type, Data> : never

/** Part of the data of an event, to compare with: fields of objects may be left out, lists are compared whole. */
export type MatchOf<Data> = [Json] extends [Data]
  ? { readonly [key: string]: Json }
  : Data extends readonly unknown[] | string | number | boolean | null
    ? Data
    : { readonly [Key in keyof Data]?: MatchOf<Data[Key]> }

export interface EventOptions {
  /** Default 1. Raise it when old data no longer fits the schema, and give `upgrade`. */
  readonly version?: number
  /** Turns the data of an older version into today's. Runs on read; the log keeps what was written. */
  readonly upgrade?: (data: Json, fromVersion: number) => unknown
}

const EVENT_OPTIONS = optionNames<EventOptions>({ version: true, upgrade: true })

/**
 * The path of the first field that JSON cannot hold, looked for six levels deep; `never` when there is none.
 * The check exists so that a `Date` in a schema is a compile error that names the field, rather than a surprise at night.
 */
type NotJson<T, Path extends string, Depth extends unknown[] = []> = Depth['length'] extends 6
  ? never
  : unknown extends T
    ? never
    : T extends string | number | boolean | null | undefined
      ? never
      : T extends Date
        ? `${Path} is a Date`
        : T extends
              | bigint
              | symbol
              | ((...args: never[]) => unknown)
              | ReadonlyMap<unknown, unknown>
              | ReadonlySet<unknown>
          ? `${Path} is no JSON value`
          : T extends readonly (infer Item)[]
            ? NotJson<Item, `${Path}[]`, [...Depth, 0]>
            : { [Key in keyof T & string]: NotJson<T[Key], `${Path}.${Key}`, [...Depth, 0]> }[keyof T & string]

type JsonSchemaOf<Schema extends StandardSchemaV1> = [NotJson<StandardSchemaV1.InferOutput<Schema>, 'data'>] extends [
  never,
]
  ? Schema
  : `the schema's output must be JSON, but ${NotJson<StandardSchemaV1.InferOutput<Schema>, 'data'>}: use a string (ISO date) instead`

/**
 * Declares a type of event: a past-tense fact such as `inquiry.received`, and the schema of its data.
 *
 * The schema may come from any library that speaks Standard Schema (zod, valibot, arktype). It runs once, before the
 * event is stored; what it returns is what is stored and what handlers get.
 *
 * @throws SPINE_EVENT_INVALID for a name that is not `noun.happened`, is reserved (`spine.…`), or is too long.
 * @example const Inquiry = event('inquiry.received', z.object({ text: z.string() }))
 */
export function event<const Type extends string, Schema extends StandardSchemaV1>(
  type: Type,
  schema: JsonSchemaOf<Schema>,
  options: EventOptions = {},
): EventType<Type, StandardSchemaV1.InferOutput<Schema>, StandardSchemaV1.InferInput<Schema>> {
  checkName(type)
  if (!isStandardSchema(schema)) {
    throw new SpineError('SPINE_EVENT_INVALID', `Event '${type}': the second argument is not a schema.`, {
      fix: 'Pass a Standard Schema: z.object({…}) of zod 4, v.object({…}) of valibot, type({…}) of arktype.',
    })
  }
  requireKnownOptions(options, EVENT_OPTIONS, `Event '${type}'`)
  const version = options.version ?? 1
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new SpineError('SPINE_EVENT_INVALID', `Event '${type}': version ${version} is not a whole number from 1.`, {
      value: version,
    })
  }
  return Object.freeze({
    type,
    version,
    schema,
    upgrade: options.upgrade,
    is: (record: { readonly type: string }): record is SpineEvent<Type, StandardSchemaV1.InferOutput<Schema>> =>
      record.type === type,
  })
}

export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  const candidate = value as { '~standard'?: { validate?: unknown } } | null
  const carrier = typeof value === 'object' || typeof value === 'function'
  return carrier && typeof candidate?.['~standard']?.validate === 'function'
}

function checkName(type: string): void {
  const ok = /^[a-z0-9]+(?:[-_][a-z0-9]+)*(?:\.[a-z0-9]+(?:[-_][a-z0-9]+)*)+$/i.test(type)
  if (ok && type.length <= limits.nameCharactersMax && !type.startsWith('spine.')) return
  throw new SpineError('SPINE_EVENT_INVALID', `'${type}' cannot be the name of an event.`, {
    value: type,
    limit: limits.nameCharactersMax,
    fix: "Use noun.happened, such as 'inquiry.received'; 'spine.' is reserved.",
  })
}
