/**
 * What is known of newer turns: events of types that some agent declares as `newer`. A part of the state.
 *
 * Job: who has to hear of which type, the last such event of each session, and who stands on an older one. Not its job: what
 * follows from that (`freshness.ts`). A log without such agents has nothing of it.
 *
 * T1  The last events of a session are known while a request that began in it is open: only then can older work come up.
 * T2  Open deliveries of agents that declare freshness are found by session, so that an event looks at no others.
 */
import type { Sequence } from '../event/sequence.ts'
import type { Row } from './delivery-table.ts'

/** The last event of a type in a session. */
export interface Turn {
  readonly sequence: Sequence
  readonly request: string
  /** Agents that its request has given work to; indices. */
  readonly given: Set<number>
}

/** An open delivery that stands on an older turn. */
export interface Stale {
  /** The first event that made it so. */
  readonly by: Sequence
  readonly then: 'hold' | 'cancel' | 'restart'
  /** Requests of newer turns that may still give work to its agent. Of `'hold'` only. */
  readonly requests: Set<string>
  /** Nothing can save it: its end is for the owner to write. */
  isSuperseded: boolean
}

export class Turns {
  /** Type → agents that declare it as newer; indices. */
  readonly listeners = new Map<string, number[]>()
  readonly stale = new Map<Row, Stale>()
  /** Session → type → its last event. */
  readonly latest = new Map<string, Map<string, Turn>>()
  /** Session → requests that began in it and are open. Kept while anybody declares freshness. */
  readonly #requests = new Map<string, number>()
  /** Agent → session → open deliveries. */
  readonly #open = new Map<number, Map<string, Set<Row>>>()

  get isUsed(): boolean {
    return this.listeners.size > 0
  }

  isStale(row: Row): boolean {
    return this.stale.size > 0 && this.stale.has(row)
  }

  /** Who listens, anew. `newer`: types by agent. */
  listen(newer: Iterable<readonly [agent: number, types: readonly string[]]>): void {
    this.listeners.clear()
    for (const [agent, types] of newer)
      for (const type of types) {
        const agents = this.listeners.get(type)
        if (agents === undefined) this.listeners.set(type, [agent])
        else agents.push(agent)
      }
  }

  /** The open requests of each session, anew. */
  countRequests(sessions: Iterable<string>): void {
    this.#requests.clear()
    for (const session of sessions) this.requestOpened(session)
    for (const session of [...this.latest.keys()]) if (!this.#requests.has(session)) this.latest.delete(session)
  }

  requestOpened(session: string): void {
    this.#requests.set(session, (this.#requests.get(session) ?? 0) + 1)
  }

  requestClosed(session: string): void {
    const open = (this.#requests.get(session) ?? 0) - 1
    if (open > 0) this.#requests.set(session, open)
    else {
      this.#requests.delete(session)
      this.latest.delete(session)
    }
  }

  /** T1 */
  remember(session: string, type: string, turn: Turn): void {
    if (!this.#requests.has(session)) return
    const known = this.latest.get(session)
    if (known === undefined) this.latest.set(session, new Map([[type, turn]]))
    else known.set(type, turn)
  }

  turnOf(session: string, type: string): Turn | undefined {
    return this.latest.get(session)?.get(type)
  }

  /** A request has given work to an agent. */
  gave(session: string, request: string, agent: number): void {
    for (const turn of this.latest.get(session)?.values() ?? []) if (turn.request === request) turn.given.add(agent)
  }

  opened(agent: number, session: string, row: Row): void {
    let sessions = this.#open.get(agent)
    if (sessions === undefined) {
      sessions = new Map()
      this.#open.set(agent, sessions)
    }
    const rows = sessions.get(session)
    if (rows === undefined) sessions.set(session, new Set([row]))
    else rows.add(row)
  }

  closed(agent: number, session: string, row: Row): void {
    this.stale.delete(row)
    const sessions = this.#open.get(agent)
    const rows = sessions?.get(session)
    if (sessions === undefined || rows?.delete(row) !== true || rows.size > 0) return
    sessions.delete(session)
    if (sessions.size === 0) this.#open.delete(agent)
  }

  openOf(agent: number, session: string): readonly Row[] {
    return [...(this.#open.get(agent)?.get(session) ?? [])]
  }

  /** Its open deliveries are told anew. */
  forgetOpen(agent: number): void {
    this.#open.delete(agent)
  }
}
