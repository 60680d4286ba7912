/**
 * What is known of newer turns: events of types that some agent declares as `newer`. A part of the state.
 *
 * Job: who has to hear of which type, the last such event of each session, and who stands on an older one. Not its job: what
 * follows from that (`freshness.ts`). A log without such agents has nothing of it.
 *
 * T1  The turns of a session are known while a request that began in it is open: only then can older work come up.
 * T2  Open deliveries of agents that declare freshness are found by session, so that an event looks at no others.
 */
import type { Sequence } from '../event/sequence.ts'
import type { Row } from './delivery-table.ts'

/** Events of one type in one session, by where their requests began, as far as they may have overtaken work that is open. */
export interface SessionTurns {
  /** Of the last one. */
  last: Sequence
  /** Requests of such events that were open when last heard of → their event. */
  readonly open: Map<string, Sequence>
  /** Agent → the last such event whose request gave it work; by index. */
  readonly given: Map<number, Sequence>
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
  /** Session → type → its events. */
  readonly sessions = new Map<string, Map<string, SessionTurns>>()
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
    for (const session of [...this.sessions.keys()]) if (!this.#requests.has(session)) this.sessions.delete(session)
  }

  requestOpened(session: string): void {
    this.#requests.set(session, (this.#requests.get(session) ?? 0) + 1)
  }

  requestClosed(session: string): void {
    const open = (this.#requests.get(session) ?? 0) - 1
    if (open > 0) this.#requests.set(session, open)
    else {
      this.#requests.delete(session)
      this.sessions.delete(session)
    }
  }

  /** T1 */
  remember(session: string, type: string, request: string, sequence: Sequence): void {
    if (!this.#requests.has(session)) return
    let types = this.sessions.get(session)
    if (types === undefined) {
      types = new Map()
      this.sessions.set(session, types)
    }
    const turns = types.get(type) ?? { last: 0, open: new Map(), given: new Map() }
    types.set(type, turns)
    turns.last = Math.max(turns.last, sequence)
    turns.open.set(request, sequence)
  }

  turnsOf(session: string, type: string): SessionTurns | undefined {
    return this.sessions.get(session)?.get(type)
  }

  /** A request has given work to an agent. */
  gave(session: string, request: string, agent: number): void {
    for (const { open, given } of this.sessions.get(session)?.values() ?? []) {
      const sequence = open.get(request)
      if (sequence !== undefined && sequence > (given.get(agent) ?? 0)) given.set(agent, sequence)
    }
  }

  /** A request has come to rest. */
  over(session: string, request: string): void {
    for (const { open } of this.sessions.get(session)?.values() ?? []) open.delete(request)
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
