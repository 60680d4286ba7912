import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { fixOfImport, shown } from '../kernel/shown.ts'
import type { AnyEventType, EventOf, SpineEvent } from './event-type.ts'
import { isEventType } from './require-event-type.ts'

export interface JoinOptions {
  /**
   * What belongs together. `'request'`: events of one request; fires once, until the request comes to rest. `'session'`:
   * events of one session, whatever requests they belong to; the next event after it has fired begins a new round.
   */
  readonly per: 'request' | 'session'
  /** How long a round gathers, from the time of its first event. Then it fires with what there is. Default: no bound. */
  readonly within?: Duration
  /**
   * How many of the types are enough: at once, or, with `within`, when the time is up. From 1 to the number of types.
   * Default: all of them; with `within` 1.
   */
  readonly atLeast?: number
}

const JOIN_OPTIONS = optionNames<JoinOptions>({ per: true, within: true, atLeast: true })

type Types = readonly AnyEventType[]

/** What `join()` makes, for `on` of an agent. */
export interface Join<Joined extends Types = Types, IsWhole extends boolean = boolean> {
  readonly kind: 'join'
  readonly types: Joined
  readonly per: 'request' | 'session'
  readonly withinMs: number | undefined
  readonly atLeast: number | undefined
  /** For the compiler only: all types are there when the handler is entered. */
  readonly '~isWhole'?: IsWhole
}

export type AnyJoin = Join<Types, boolean>

/** What the handler of a join is given: the events by their types, and the types that are not there. The rest is of the first event. */
export interface JoinedEvent<Data = unknown, Type extends string = string> extends SpineEvent<'spine.join', Data> {
  readonly missing: readonly Type[]
}

// Written out, and not named, so that editors and errors show the events and not how their type is made.
export type JoinedEventOf<On> =
  On extends Join<infer Joined, infer IsWhole>
    ? IsWhole extends true
      ? JoinedEvent<{ readonly [Event in Joined[number] as Event['type']]: EventOf<Event> }, Joined[number]['type']>
      : JoinedEvent<{ readonly [Event in Joined[number] as Event['type']]?: EventOf<Event> }, Joined[number]['type']>
    : never

type Joinable<Listed> = Listed extends readonly [AnyEventType, AnyEventType, ...AnyEventType[]]
  ? Listed
  : Listed extends AnyEventType
    ? 'join takes a list of event types: join([A, B], { per })'
    : Listed extends readonly AnyEventType[]
      ? 'join takes two event types or more'
      : 'join takes event types: what event() returned'

/**
 * Events of several types as one: for the option `on` of an agent. The handler starts when an event of each type is
 * there, and is given them together. The agents that emit them know nothing of it.
 *
 * @throws SPINE_AGENT_INVALID for fewer than two types, for one that is named twice, and for more than 32;
 *   SPINE_OPTION_INVALID, SPINE_DURATION_INVALID
 * @example
 * const offer = agent('offer', { on: join([Priced, Checked], { per: 'request', within: '1h' }) }, (evt) => {
 *   console.log(evt.data['order.priced']?.data.total, 'missing:', evt.missing)
 * })
 */
export function join<const Listed, const Options extends JoinOptions>(
  types: Joinable<Listed>,
  options: Options,
): Join<
  Listed extends Types ? Listed : never,
  Options extends { readonly within: Duration } | { readonly atLeast: number } ? false : true
> {
  const listed = types as unknown as Types
  checkTypes('join', listed)
  if (listed.length < 2) {
    throw invalid(`join was given ${listed.length} event type.`, 'Join two or more, or react to one with on.')
  }
  if (options !== undefined) requireKnownOptions(options, JOIN_OPTIONS, 'join')
  const { per, within, atLeast } = options ?? {}
  if (per !== 'request' && per !== 'session')
    throw invalid(`join: per is ${JSON.stringify(per)}.`, "Use 'request' or 'session'.")
  if (atLeast !== undefined && !(Number.isSafeInteger(atLeast) && atLeast >= 1 && atLeast <= listed.length)) {
    throw new SpineError('SPINE_OPTION_INVALID', `join: atLeast is ${atLeast}.`, {
      value: atLeast,
      limit: listed.length,
      fix: `Use a whole number from 1 to ${listed.length}, the number of types.`,
    })
  }
  const withinMs = within === undefined ? undefined : durationMs(within, 'join: within')
  return Object.freeze({ kind: 'join', types: Object.freeze([...listed]), per, withinMs, atLeast }) as never
}

/** A list of event types, each once. @throws SPINE_AGENT_INVALID */
export function checkTypes(what: string, types: readonly AnyEventType[]): void {
  const isList = Array.isArray(types)
  const stranger = isList ? types.find((type) => !isEventType(type)) : types
  if (!isList || types.some((type) => !isEventType(type)))
    throw invalid(
      `${what} takes a list of what event() returned.`,
      fixOfImport(stranger, `It was given ${shown(stranger)}: write [Priced, Checked].`),
    )
  if (types.length > limits.joinTypesMax) {
    throw new SpineError('SPINE_AGENT_INVALID', `${what} names ${types.length} event types.`, {
      value: types.length,
      limit: limits.joinTypesMax,
      fix: `Name at most ${limits.joinTypesMax}.`,
    })
  }
  const twice = types.find((type, index) => types.some((other, at) => at < index && other.type === type.type))
  if (twice !== undefined) throw invalid(`${what} names '${twice.type}' twice.`, 'Name each event type once.')
}

function invalid(message: string, fix: string): SpineError {
  return new SpineError('SPINE_AGENT_INVALID', message, { fix })
}

export function isJoin(on: unknown): on is AnyJoin {
  return (on as { readonly kind?: unknown } | undefined)?.kind === 'join'
}
