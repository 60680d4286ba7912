/**
 * Lets attempts of agents with a rate start when the rate has room for them.
 *
 * Job: ask the agent's function for the key, count what is about to start beside what the log has counted, and keep the rest
 * in lines, first come first served. Not its job: counting what has started (`coordination/rates.ts`), slots, order of keys.
 *
 * RG1  What passes is counted from then on: here until the record of its start is folded, there afterwards.
 * RG2  Whoever waits takes no slot, and each line has one time at which it is looked at again.
 * RG3  Who was called and could not start (its agent was paused, say) keeps nobody else waiting longer than one window.
 * RG4  Nothing here is durable: a new owner has every waiting delivery come again.
 */
import type { Row } from '../coordination/delivery-table.ts'
import type { DueEntry } from '../coordination/due-heap.ts'
import { freeAt, isRatedStart, rateOptions } from '../coordination/rates.ts'
import { agentNamed, type AgentState } from '../coordination/state.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import { SpineError } from '../kernel/errors.ts'
import type { HostedAgent } from './hosted-agent.ts'
import type { RunHost } from './run-host.ts'
import { workEvent } from './work-event.ts'
import { requireId } from './require-id.ts'

/** An attempt may start: with its record goes the key. */
export interface RatedStart {
  readonly key: string
  /** Asking for the key failed, and with it the attempt. */
  readonly error?: unknown
  /** The record of the start has been folded, or refused. */
  readonly settled: () => void
}

interface Ticket {
  readonly source: Sequence
  key: string | undefined
  error?: unknown
  /** It was told to come. */
  isCalled: boolean
}

interface Line {
  readonly agent: string
  readonly key: string
  waiting: { readonly row: Row; readonly source: Sequence }[]
  /** Times at which attempts passed whose start is not folded yet. */
  passed: number[]
  /** Times at which deliveries were called that have not passed yet. */
  called: number[]
  dueAt: number
}

export interface RateGateHost extends RunHost {
  readonly clock: Clock
  lookAgainAt(entry: DueEntry): void
}

export class RateGate {
  readonly #host: RateGateHost
  readonly #ready: (row: Row, source: Sequence) => void
  readonly #tickets = new Map<Row, Ticket>()
  readonly #lines = new Map<string, Line>()
  #asking = 0

  /** `ready`: a delivery that waited here may start. */
  constructor(host: RateGateHost, ready: (row: Row, source: Sequence) => void) {
    this.#host = host
    this.#ready = ready
  }

  /** No key is being asked for. */
  get isIdle(): boolean {
    return this.#asking === 0
  }

  /** Whether `admit` would let it start now. */
  wouldAdmit(agent: HostedAgent, row: Row, source: Sequence): boolean {
    const { state, clock } = this.#host
    if (!isRatedStart(state.deliveries, row)) return true
    const ticket = this.#ticketOf(row, source)
    if (ticket.error !== undefined) return true
    if (ticket.key === undefined && agent.options.rate?.key !== undefined) return false
    const line = this.#lineOf(agent.name, ticket.key ?? '')
    const now = clock.now()
    return this.#freeAt(line, line.passed, now) <= now && (ticket.isCalled || line.waiting.length === 0)
  }

  /** `'waits'`: it comes again when there is room. `undefined`: its start does not count. */
  admit(agent: HostedAgent, row: Row, source: Sequence): RatedStart | 'waits' | undefined {
    const { state, clock } = this.#host
    if (!isRatedStart(state.deliveries, row)) return undefined
    const ticket = this.#ticketOf(row, source)
    if (ticket.error !== undefined) {
      this.#tickets.delete(row)
      return { key: '', error: ticket.error, settled: () => {} }
    }
    if (ticket.key === undefined && agent.options.rate?.key === undefined) ticket.key = ''
    if (ticket.key === undefined) {
      void this.#ask(agent, row, ticket)
      return 'waits'
    }
    const line = this.#lineOf(agent.name, ticket.key)
    const now = clock.now()
    const wasCalled = ticket.isCalled
    if (wasCalled) line.called.shift()
    const isFree = this.#freeAt(line, line.passed, now) <= now
    if (isFree && (wasCalled || line.waiting.length === 0)) {
      this.#tickets.delete(row)
      line.passed.push(now)
      return { key: line.key, settled: () => this.#settled(line) }
    }
    ticket.isCalled = false
    if (wasCalled) line.waiting.unshift({ row, source })
    else line.waiting.push({ row, source })
    this.#lookAgain(line)
    return 'waits'
  }

  /** A line may go on. */
  pass(place: string): void {
    const line = this.#lines.get(place)
    if (line === undefined) return
    line.dueAt = 0
    const now = this.#host.clock.now()
    let taken = 0
    const called: Line['waiting'] = []
    for (const each of line.waiting) {
      const isOpen = this.#host.state.deliveries.source[each.row] === each.source
      if (isOpen && this.#freeAt(line, [...line.passed, ...line.called], now) > now) break
      taken++
      if (!isOpen) continue
      line.called.push(now)
      called.push(each)
    }
    line.waiting = line.waiting.slice(taken)
    this.#lookAgain(line)
    for (const { row, source } of called) {
      this.#ticketOf(row, source).isCalled = true
      this.#ready(row, source)
    }
  }

  /** When a delivery that waits here is looked at again; `undefined` when it does not. */
  waitsUntil(row: Row): number | undefined {
    const { state } = this.#host
    const ticket = this.#tickets.get(row)
    if (ticket?.key === undefined || ticket.isCalled || ticket.source !== state.deliveries.source[row]) return undefined
    const { name } = state.agents[state.deliveries.agent[row] as number] as AgentState
    return this.#lines.get(placeOf(name, ticket.key))?.dueAt
  }

  #ticketOf(row: Row, source: Sequence): Ticket {
    const known = this.#tickets.get(row)
    if (known?.source === source) return known
    const ticket: Ticket = { source, key: undefined, isCalled: false }
    this.#tickets.set(row, ticket)
    return ticket
  }

  #lineOf(agent: string, key: string): Line {
    const place = placeOf(agent, key)
    let line = this.#lines.get(place)
    if (line === undefined) {
      line = { agent, key, waiting: [], passed: [], called: [], dueAt: 0 }
      this.#lines.set(place, line)
    }
    return line
  }

  #freeAt(line: Line, others: readonly number[], now: number): number {
    const agent = agentNamed(this.#host.state, line.agent)
    const options = agent === undefined ? undefined : rateOptions(agent)
    return options === undefined ? now : freeAt(options, agent?.rate?.get(line.key) ?? [], others, now)
  }

  #lookAgain(line: Line): void {
    const place = placeOf(line.agent, line.key)
    if (line.waiting.length === 0) {
      if (line.passed.length === 0) this.#lines.delete(place)
      return
    }
    const now = this.#host.clock.now()
    const at = this.#freeAt(line, [...line.passed, ...line.called], now)
    if (line.dueAt === at) return
    line.dueAt = at
    this.#host.lookAgainAt({ at, kind: 'rate', row: 0, source: 0, name: place })
  }

  #settled(line: Line): void {
    line.passed.shift()
    this.#lookAgain(line)
  }

  async #ask(agent: HostedAgent, row: Row, ticket: Ticket): Promise<void> {
    this.#asking++
    try {
      ticket.key = await keyOf(this.#host, agent, row, ticket.source)
    } catch (error) {
      ticket.error = error ?? new Error('rate.key threw nothing')
    } finally {
      this.#asking--
      if (this.#tickets.get(row) === ticket) this.#ready(row, ticket.source)
    }
  }
}

/** Names a line in the due heap. */
function placeOf(agent: string, key: string): string {
  return `${agent} ${key}`
}

async function keyOf(host: RunHost, agent: HostedAgent, row: Row, source: Sequence): Promise<string> {
  const ask = agent.options.rate?.key as (evt: unknown) => unknown
  const key = ask(await workEvent(host, row, source))
  if (typeof key === 'string') {
    requireId(key, `rate.key of ${agent.name}`)
    return key
  }
  throw new SpineError('SPINE_OPTION_INVALID', `rate.key of ${agent.name} returned no text.`, {
    value: key,
    fix: 'Return what is counted apart, at once: key: (evt) => evt.data.customer.',
  })
}
