import {
  type AnyAgent,
  type AnyHandler,
  type AnyOptions,
  type PreemptOptions,
  subscriptionsOf,
} from '../agent/agent.ts'
import { type RetryPolicy, retryPolicy } from '../agent/retry-policy.ts'
import { isJoin } from '../agent/join.ts'
import { protectionOf } from '../agent/protection.ts'
import type { AnyEventType } from '../agent/event-type.ts'
import type { SystemData } from '../event/catalogue.ts'
import { isSystemType, type LogRecord } from '../event/record.ts'
import { durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { encodeJson, type Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { DEFAULT_POOL } from './pool.ts'
import { requireAgent } from './require-agent.ts'

/** An agent whose code this process runs, with its options read once. */
export interface HostedAgent {
  readonly name: string
  readonly version: string
  readonly options: AnyOptions
  readonly handler: AnyHandler
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly concurrency: number
  readonly pool: string
  readonly preempt: Required<PreemptOptions>
  readonly emits: ReadonlySet<string>
  readonly directed: boolean
  /** A newer turn of its session may overtake its work. */
  readonly isFresh: boolean
}

const CONCURRENCY_DEFAULT = 16
const TIMEOUT_DEFAULT = '5m'

export function hostAgent(agent: AnyAgent): HostedAgent {
  const { name, options, handler } = agent
  if (handler === undefined) {
    throw new SpineError('SPINE_AGENT_INVALID', `'${name}' is a reference: it has no handler.`, {
      value: name,
      fix: 'Pass reference.handle(handler) in agents, or leave it out and host it in another process.',
    })
  }
  return {
    name,
    version: String(options.version ?? '1'),
    options,
    handler,
    retry: retryPolicy(options.retry, `Agent '${name}'`),
    timeoutMs: durationMs(options.timeout ?? TIMEOUT_DEFAULT, `Agent '${name}': timeout`),
    concurrency: options.concurrency ?? CONCURRENCY_DEFAULT,
    pool: options.pool ?? DEFAULT_POOL,
    preempt: { at: options.preempt?.at ?? 'signal', then: options.preempt?.then ?? 'resume' },
    emits: new Set((options.emits ?? []).map((type) => type.type)),
    directed: options.input !== undefined,
    isFresh: options.freshness !== undefined,
  }
}

/**
 * The agents of this process. One name may be hosted in several versions: the highest takes what is new, each older one
 * finishes the runs that it has begun.
 */
export class HostedAgents {
  /** By name, the highest version of each. */
  readonly current = new Map<string, HostedAgent>()
  readonly #versions = new Map<string, HostedAgent>()
  /** Event types that they react to. */
  readonly #heardTypes = new Set<string>()
  #hearsEverything = false

  /** @throws SPINE_AGENT_INVALID when two share a name and a version. */
  constructor(agents: readonly AnyAgent[]) {
    for (const [place, agent] of agents.entries()) {
      requireAgent(agent, `createSpine: agents[${place}]`)
      this.add(hostAgent(agent))
    }
  }

  add(agent: HostedAgent): void {
    const { name, version } = agent
    if (this.versionOf(name, version) !== undefined) {
      throw new SpineError('SPINE_AGENT_INVALID', `Two agents are named '${name}' and have the version '${version}'.`, {
        value: name,
        fix: "The name is what the log knows an agent by: give each its own, or another 'version' to new code of the same agent.",
      })
    }
    this.#versions.set(`${name}@${version}`, agent)
    for (const { type } of subscriptionsOf(agent.options)) this.#heardTypes.add(type)
    if (agent.options.on === '*') this.#hearsEverything = true
    const known = this.current.get(name)
    if (known === undefined || VERSIONS.compare(version, known.version) > 0) this.current.set(name, agent)
  }

  /** Whether a record gives work to an agent of this process, as far as its type and target tell. */
  hears({ type, data }: LogRecord): boolean {
    if (!isSystemType(type)) return this.#hearsEverything || this.#heardTypes.has(type)
    const { target, handoff } = data as { readonly target?: string; readonly handoff?: { readonly target: string } }
    return this.current.has(handoff?.target ?? target ?? '')
  }

  versionOf(name: string, version: string): HostedAgent | undefined {
    return this.#versions.get(`${name}@${version}`)
  }

  /** Every version of every agent. */
  all(): Iterable<HostedAgent> {
    return this.#versions.values()
  }
}

/** '2' before '10', '1.9.0' before '1.10.0'. */
const VERSIONS = new Intl.Collator('en', { numeric: true })

/** What the log should know of an agent. It is appended only when it differs from what the log knows already. */
export function registrationOf(agent: HostedAgent): SystemData<'spine.agent.registered'> {
  const { name, version, options, retry, timeoutMs, concurrency, directed } = agent
  const registration = {
    name,
    version,
    kind: directed ? 'directed' : 'reacts',
    on: options.on === '*' ? ['*'] : subscriptionsOf(options).map((type) => type.type),
    emits: [...agent.emits],
    order: options.order ?? 'default',
    // Left out where it says nothing, so that logs from before it know the agent as it is.
    ...((options.onFailure ?? 'skip') === 'skip' ? {} : { onFailure: options.onFailure as string }),
    ...termsOf(options),
    options: {
      concurrency,
      timeoutMs,
      retry: { ...retry },
      ...(options.maxPending === undefined ? {} : { maxPending: options.maxPending }),
      ...(options.pool === undefined ? {} : { pool: options.pool }),
      ...(options.preempt === undefined ? {} : { preempt: { ...agent.preempt } }),
      ...(protectionOf(options, name) as { readonly [name: string]: Json }),
    } satisfies Json,
  }
  return encodeJson(registration, `agent '${name}'`, limits.payloadBytesMax)
    .value as unknown as SystemData<'spine.agent.registered'>
}

/** Left out where they say nothing. */
function termsOf({ on, after, observes, priority, freshness, exclusive, from }: AnyOptions): {
  readonly [name: string]: Json
} {
  const terms: { [name: string]: Json } = {}
  if (freshness !== undefined)
    terms['freshness'] = { newer: freshness.newer.map(({ type }) => type), then: freshness.then }
  if (priority !== undefined) terms['priority'] = priority
  if (exclusive !== undefined) terms['exclusive'] = exclusive
  if (isJoin(on)) {
    const { types, per, withinMs, atLeast } = on
    const bounds = { ...(withinMs === undefined ? {} : { withinMs }), ...(atLeast === undefined ? {} : { atLeast }) }
    terms['join'] = { types: types.map(({ type }) => type), per, ...bounds }
  }
  if (after !== undefined && after.length > 0) terms['after'] = after.map(({ type }) => type)
  if (observes === true) terms['observes'] = true
  if (from !== undefined && from !== 'now') terms['from'] = from
  return terms
}

/** Every event type that the agents name. @throws SPINE_EVENT_INVALID when one name stands for two declarations. */
export function eventTypesOf(agents: Iterable<HostedAgent>): Map<string, AnyEventType> {
  const types = new Map<string, AnyEventType>()
  for (const agent of agents) {
    const { emits = [], after = [], freshness } = agent.options
    for (const type of [...subscriptionsOf(agent.options), ...emits, ...after, ...(freshness?.newer ?? [])]) {
      const known = types.get(type.type)
      if (known !== undefined && known.version !== type.version) {
        throw new SpineError(
          'SPINE_EVENT_INVALID',
          `Event '${type.type}' is declared in versions ${known.version} and ${type.version}.`,
          {
            value: type.type,
            fix: 'Declare each event type once and import it.',
          },
        )
      }
      types.set(type.type, type)
    }
  }
  return types
}
