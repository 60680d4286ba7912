/**
 * The rounds of joins: which events each has seen, and which of them still gather. A part of the state.
 *
 * Job: find the round that an event belongs to, and keep what a round has seen until its delivery ends.
 * Not its job: when a round fires or ends (`join.ts`).
 *
 * G1  A round belongs to one delivery, from its first event to the end of that delivery.
 * G2  Which rounds gather, and for whom, follows from the rows that are `joining`: it is kept here to be found quickly.
 */
import type { Sequence } from '../event/sequence.ts'
import type { Row } from './delivery-table.ts'

/** What an agent's registration says of its join. */
export interface JoinSpec {
  readonly types: readonly string[]
  readonly per: 'request' | 'session'
  readonly withinMs?: number
  readonly atLeast?: number
}

export interface JoinRound {
  /** As it was when the round began. */
  readonly spec: JoinSpec
  /** Sequence of the event that began it. */
  readonly source: Sequence
  /** Event type → sequence of the first event of it. */
  readonly seen: Map<string, Sequence>
}

interface Place {
  readonly request: string
  readonly session: string
}

export class JoinRounds {
  readonly #rounds = new Map<Row, JoinRound>()
  /** Agent and scope → rows that gather, oldest first. More than one only where a round goes on under an older spec. */
  readonly #gathering = new Map<string, readonly Row[]>()
  /** Request → agents whose round of it has fired. */
  readonly #fired = new Map<string, Set<number>>()

  get size(): number {
    return this.#rounds.size
  }

  of(row: Row): JoinRound | undefined {
    return this.#rounds.get(row)
  }

  set(row: Row, round: JoinRound): void {
    this.#rounds.set(row, round)
  }

  /** The oldest round that gathers for this agent and knows events of that type. */
  find(agent: number, place: Place, type: string): Row {
    const ofRequest = this.#knowing(scopeOf(agent, 'request', place), type)
    return ofRequest === 0 ? this.#knowing(scopeOf(agent, 'session', place), type) : ofRequest
  }

  gather(row: Row, agent: number, place: Place): void {
    const scope = scopeOf(agent, (this.#rounds.get(row) as JoinRound).spec.per, place)
    const rows = [...(this.#gathering.get(scope) ?? []), row]
    this.#gathering.set(
      scope,
      rows.sort((left, right) => this.#sourceOf(left) - this.#sourceOf(right)),
    )
  }

  gatherNoMore(row: Row, agent: number, place: Place): void {
    const round = this.#rounds.get(row)
    if (round === undefined) return
    const scope = scopeOf(agent, round.spec.per, place)
    const rest = (this.#gathering.get(scope) ?? []).filter((other) => other !== row)
    if (rest.length === 0) this.#gathering.delete(scope)
    else this.#gathering.set(scope, rest)
  }

  forget(row: Row): void {
    this.#rounds.delete(row)
  }

  entries(): Iterable<[Row, JoinRound]> {
    return this.#rounds
  }

  hasFired(agent: number, request: string): boolean {
    return this.#fired.get(request)?.has(agent) === true
  }

  /** It is not to fire again for this request, until that comes to rest. */
  remember(agent: number, request: string): void {
    const agents = this.#fired.get(request)
    if (agents === undefined) this.#fired.set(request, new Set([agent]))
    else agents.add(agent)
  }

  /** Request → agents. */
  fired(): Iterable<[string, ReadonlySet<number>]> {
    return this.#fired
  }

  /** A request that is taken up again begins anew. */
  forgetRequest(request: string): void {
    if (this.#fired.size > 0) this.#fired.delete(request)
  }

  /** What an agent that is gone has fired goes to its heir, or nowhere. */
  forgetAgent(agent: number, heir?: number): void {
    for (const [request, agents] of this.#fired) {
      if (agents.delete(agent) && heir !== undefined) agents.add(heir)
      if (agents.size === 0) this.#fired.delete(request)
    }
  }

  #sourceOf(row: Row): Sequence {
    return this.#rounds.get(row)?.source ?? 0
  }

  #knowing(scope: string, type: string): Row {
    for (const row of this.#gathering.get(scope) ?? [])
      if (this.#rounds.get(row)?.spec.types.includes(type) === true) return row
    return 0
  }
}

function scopeOf(agent: number, per: JoinSpec['per'], place: Place): string {
  return `${agent} ${per} ${place[per]}`
}
