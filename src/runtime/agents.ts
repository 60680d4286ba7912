/** Questions and orders about agents that the log knows. */
import type { JoinSpec } from '../coordination/join-rounds.ts'
import { breakerPhase } from '../coordination/breakers.ts'
import { agentNamed, type AgentState, deliveryId } from '../coordination/state.ts'
import { SpineError } from '../kernel/errors.ts'
import { requireAgentName } from '../agent/agent-name.ts'
import { limits } from '../kernel/limits.ts'
import { fact, systemHeader } from './record-draft.ts'
import type { Runtime } from './runtime.ts'

export interface AgentInfo {
  readonly name: string
  readonly version: string
  readonly kind: 'reacts' | 'directed'
  readonly on: readonly string[]
  readonly emits: readonly string[]
  /** What it joins of the types in `on`; `undefined` when it reacts to each by itself. */
  readonly join: JoinInfo | undefined
  /** Types that a session must have had before anything of it starts here. */
  readonly after: readonly string[]
  /** No request waits for it. */
  readonly observes: boolean
  /** Registered on the log, but hosted by no live process. */
  readonly absent: boolean
  /** Someone paused it: it starts nothing new. `since`: sequence of the record that says so. */
  readonly paused: { readonly since: number; readonly why?: string } | undefined
  /** It is given events later than they come: all up to `upTo` so far. `since`: sequence of the record that says so. */
  readonly behind: { readonly since: number; readonly upTo: number } | undefined
  /** Of an agent that declares one. */
  readonly breaker: BreakerInfo | undefined
  /** Deliveries not ended yet. */
  readonly open: number
  /** Keys that stand still (`'block'`) or are set aside (`'park'`) until their dead letters are redriven or discarded. */
  readonly heldKeys: readonly HeldKey[]
}

export interface BreakerInfo {
  /** `'half-open'`: one delivery is tried, or will be as soon as there is one. */
  readonly state: 'closed' | 'open' | 'half-open'
  /** Failed attempts in a row that count while it is closed. */
  readonly failures: number
  /** When it is tried again, while it is open. */
  readonly until: Date | undefined
}

export interface JoinInfo {
  readonly per: 'request' | 'session'
  readonly withinMs: number | undefined
  readonly atLeast: number | undefined
}

export interface HeldKey {
  readonly key: string
  readonly how: 'block' | 'park'
  /** Ids of its dead letters, in the order of their deaths. Redriving any brings back all of them. */
  readonly deadLetters: readonly string[]
  /** Deliveries of the key that wait behind them. */
  readonly waiting: number
}

export class Agents {
  readonly #runtime: Runtime

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  list(): readonly AgentInfo[] {
    return this.#runtime.state.agents
      .filter((agent) => agent.registration !== undefined)
      .map((agent) => this.#info(agent))
  }

  async remove(name: string): Promise<void> {
    this.#requireAbsent(name, 'removed')
    await this.#append('spine.agent.removed', { name })
  }

  async rename(name: string, to: string): Promise<void> {
    this.#requireAbsent(name, 'renamed')
    requireAgentName(to)
    const heir = this.#runtime.state.agents.find((agent) => agent.name === to)
    const kind = this.#runtime.state.agents.find((agent) => agent.name === name)?.registration?.kind
    if (heir?.registration !== undefined && heir.registration.kind !== kind) {
      throw new SpineError('SPINE_AGENT_INVALID', `'${name}' and '${to}' do different kinds of work.`, {
        value: to,
        fix: "An agent that reacts can only take over from one that reacts; one with 'input' from one with 'input'.",
      })
    }
    if (heir?.registration !== undefined && agentNamed(this.#runtime.state, name)?.behind !== undefined) {
      throw new SpineError(
        'SPINE_AGENT_INVALID',
        `'${name}' is behind, and '${to}' could not be given what it has missed.`,
        {
          value: to,
          fix: `Host '${name}' until it has caught up, or rename it into a new name.`,
        },
      )
    }
    await this.#append('spine.agent.renamed', { name, to })
  }

  /** Twice is once: an agent that is paused stays as it is, and nothing is written. */
  async pause(name: string, why?: string): Promise<void> {
    this.#runtime.requireRegistered(name)
    if (agentNamed(this.#runtime.state, name)?.paused !== undefined) return
    await this.#append(
      'spine.agent.paused',
      why === undefined ? { name } : { name, why: String(why).slice(0, limits.errorCharactersMax) },
    )
  }

  async resume(name: string): Promise<void> {
    this.#runtime.requireRegistered(name)
    const agent = agentNamed(this.#runtime.state, name) as AgentState
    if (agent.paused !== undefined) await this.#append('spine.agent.resumed', { name })
    if (breakerPhase(agent, this.#runtime.clock.now()) !== 'closed')
      await this.#append('spine.breaker.closed', { name, why: 'resumed by someone' })
  }

  /** What a newcomer should be told at start. */
  warnings(): readonly string[] {
    return this.list()
      .filter((agent) => agent.absent && agent.open > 0)
      .map(
        ({ name, open }) =>
          `agent '${name}' has ${open} open ${open === 1 ? 'delivery' : 'deliveries'} but is not hosted here: host it, or spine.agents.rename('${name}', newName), or spine.agents.remove('${name}')`,
      )
  }

  #info(agent: AgentState): AgentInfo {
    const { name, open, paused } = agent
    const registration = agent.registration as NonNullable<AgentState['registration']>
    return {
      name,
      version: registration.version,
      kind: registration.kind as AgentInfo['kind'],
      on: registration.on,
      emits: registration.emits,
      join: joinOf(registration.join as unknown as JoinSpec | undefined),
      after: registration.after ?? [],
      observes: registration.observes === true,
      absent: !this.#runtime.hosted.has(name),
      paused:
        paused === undefined
          ? undefined
          : { since: paused.since, ...(paused.why === undefined ? {} : { why: paused.why }) },
      behind: agent.behind === undefined ? undefined : { since: agent.behind.since, upTo: agent.behind.cursor },
      breaker: this.#breakerOf(agent),
      open,
      heldKeys: [...agent.holds].map(([key, { mode, letters }]) => ({
        key,
        how: mode,
        deadLetters: letters.map((source) => deliveryId(source, name)),
        waiting: this.#waitingFor(agent, key),
      })),
    }
  }

  #breakerOf(agent: AgentState): BreakerInfo | undefined {
    const { breaker } = agent
    if (breaker === undefined) return undefined
    const state = breakerPhase(agent, this.#runtime.clock.now())
    const until = state === 'open' && breaker.until !== 0 ? new Date(breaker.until) : undefined
    return { state, failures: breaker.failures.length, until }
  }

  #waitingFor(agent: AgentState, key: string): number {
    const { agents, deliveries } = this.#runtime.state
    let count = 0
    for (const row of deliveries.rows())
      if (agents[deliveries.agent[row] as number] === agent && deliveries.key[row] === key) count++
    return count
  }

  #requireAbsent(name: string, verb: string): void {
    this.#runtime.requireRegistered(name)
    if (!this.#runtime.hosted.has(name)) return
    throw new SpineError('SPINE_AGENT_HOSTED', `'${name}' is hosted by this process and cannot be ${verb}.`, {
      value: name,
      fix: 'Leave it out of createSpine({ agents }) first.',
    })
  }

  async #append(
    type:
      | 'spine.agent.removed'
      | 'spine.agent.renamed'
      | 'spine.agent.paused'
      | 'spine.agent.resumed'
      | 'spine.breaker.closed',
    data: { readonly name: string; readonly to?: string; readonly why?: string },
  ): Promise<void> {
    const { clock } = this.#runtime
    await this.#runtime.appendAsOwner([fact(type, systemHeader(clock.now()), data as never)])
  }
}

function joinOf(spec: JoinSpec | undefined): JoinInfo | undefined {
  return spec === undefined ? undefined : { per: spec.per, withinMs: spec.withinMs, atLeast: spec.atLeast }
}
