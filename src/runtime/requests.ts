/** Questions about requests: what is open and why, how it ended, and the order to end it. */
import type { SpineEvent } from '../agent/event-type.ts'
import { type Row, STATUS } from '../coordination/delivery-table.ts'
import { type AgentState, deliveryId } from '../coordination/state.ts'
import type { IdempotencyKey } from '../engine/engine.ts'
import { type Amounts, givenAmounts } from '../event/amounts.ts'
import { PRIORITIES, type Priority } from '../event/priority.ts'
import { isSystemType, type LogRecord } from '../event/record.ts'
import type { Duration } from '../kernel/duration.ts'
import { durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { canonicalJson } from '../kernel/json.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import type { Owing } from './catch-up.ts'
import { fingerprint } from './fingerprint.ts'
import { givenPriority } from './given-priority.ts'
import { keyReused } from './key-reused.ts'
import { fact, rowHeader } from './record-draft.ts'
import { RequestRests } from './request-rests.ts'
import { requireId } from './require-id.ts'
import type { Runtime } from './runtime.ts'
import { asStored, toEvent } from './to-event.ts'
import { type Waiting, waitingOf } from './waiting.ts'

export interface Settled {
  /** `open`: the bound passed first, or all that is left waits for absent agents. `failed`: at rest, with dead letters. */
  readonly status: 'done' | 'failed' | 'expired' | 'cancelled' | 'open'
  /** The log position that this tells of. */
  readonly at: number
  /** Ids of the request's dead letters, without those of agents that only look on (`observes`). */
  readonly deadLetters: readonly string[]
  /** What it has spent so far, by unit; what is reserved for steps under way is in it. `{}` when nothing was counted. */
  readonly spent: Amounts
  /** What is still open at agents that this process hosts, and why. */
  readonly waiting: readonly Waiting[]
  /** Names of agents with open work for this request that no live process hosts; they are not waited for. */
  readonly absent: readonly string[]
}

export interface RequestInfo extends Settled {
  readonly id: string
  readonly session: string
  /** The original event. */
  readonly event: SpineEvent
  readonly deadline: Date | undefined
}

interface RaiseOptions {
  readonly idempotencyKey?: string
}
const RAISE_OPTIONS = optionNames<RaiseOptions>({ idempotencyKey: true })

export class Requests {
  readonly #runtime: Runtime
  readonly #rests: RequestRests

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    this.#rests = new RequestRests(runtime)
  }

  async settled(request: string, within: Duration = '60s'): Promise<Settled> {
    const withinMs = durationMs(within, 'settled: within')
    if (typeof request !== 'string' || this.#openRows(request).length === 0) await this.#root(request)
    const until = this.#runtime.clock.now() + withinMs
    await this.#rests.rest(request, withinMs)
    if (this.#isAnyBehind()) await this.#given(request, until)
    return this.#describe(request)
  }

  async get(id: string): Promise<RequestInfo> {
    const root = await this.#root(id)
    const described = await this.#describe(id)
    const deadline = root.deadline === undefined ? undefined : new Date(root.deadline)
    return { id, session: root.session, event: asStored(root), deadline, ...described }
  }

  /** Its events in order, those to come included, until nothing is open at hosted agents. */
  async *events(request: string): AsyncIterableIterator<SpineEvent> {
    for (let after = 0; ; ) {
      const head = this.#runtime.state.at
      const isOpen = this.#isOpen(request) || (await this.#isOwedHere(request))
      const page = await this.#runtime.engine.read({ request, after, limit: limits.readRecordsMax })
      for (const record of page) if (!isSystemType(record.type)) yield toEvent(record, this.#runtime.types)
      after = page.at(-1)?.sequence ?? after
      if (page.length === limits.readRecordsMax) continue
      if (!isOpen || this.#runtime.isClosed) return
      await this.#runtime.passing(head)
    }
  }

  async cancel(id: string, why: string): Promise<void> {
    const root = await this.#root(id)
    if (this.#openRows(id).length === 0 && !(await this.#isOwed(id))) return
    const { clock } = this.#runtime
    const header = {
      time: clock.now(),
      session: root.session,
      request: id,
      key: root.key,
      cause: root.sequence,
      hops: root.hops,
    }
    await this.#runtime.append({
      moves: [`request/${id}`],
      records: [fact('spine.request.cancelled', header, { why: String(why) })],
    })
  }

  async raiseBudget(
    id: string,
    amounts: Amounts,
    why: string | undefined,
    options: RaiseOptions | undefined,
  ): Promise<void> {
    if (options !== undefined) requireKnownOptions(options, RAISE_OPTIONS, 'raiseBudget')
    const given = givenAmounts(amounts, 'raiseBudget')
    const { session, key, sequence, hops } = await this.#root(id)
    const header = { time: this.#runtime.clock.now(), session, request: id, key, cause: sequence, hops }
    const data = { amounts: given, ...(why === undefined ? {} : { why: String(why) }) }
    const once = raiseKey(id, given, options?.idempotencyKey)
    const records = [fact('spine.budget.raised', header, data)]
    const outcome = await this.#runtime.append(once === undefined ? { records } : { records, key: once })
    if (outcome.status === 'key-reused') throw keyReused(once?.name, outcome.first)
  }

  /** A request at rest has no class. */
  async setPriority(id: string, priority: Priority, why: string | undefined): Promise<void> {
    const given = givenPriority(priority, 'setPriority')
    if (given === undefined) throw missingPriority()
    const root = await this.#root(id)
    if (this.#openRows(id).length === 0 && !this.#runtime.state.owings.has(id)) return
    const { session, key, sequence, hops } = root
    const header = { time: this.#runtime.clock.now(), session, request: id, key, cause: sequence, hops }
    const data = { priority: given, ...(why === undefined ? {} : { why: String(why) }) }
    await this.#runtime.append({ records: [fact('spine.request.prioritized', header, data)] })
  }

  /** Starts over what stands paused: a new generation, on a new basis, with nothing kept but its effects. */
  async restart(id: string, why: string): Promise<readonly string[]> {
    await this.#root(id)
    const { state, clock } = this.#runtime
    const { deliveries } = state
    const rows = [...this.#openRows(id), ...this.#watchingRows(id)].filter(
      (row) => deliveries.status[row] === STATUS.paused,
    )
    const records = rows.map((row) => {
      const generation = (deliveries.generation[row] as number) + 1
      if (generation > limits.generationsMax) throw tooManyGenerations(id, generation)
      return fact('spine.delivery.restarted', rowHeader(state, row, clock.now()), { generation, why: String(why) })
    })
    const restarted = rows.map((row) => deliveryId(deliveries.source[row] as number, this.#agentOf(row)))
    if (records.length > 0) await this.#runtime.appendAsOwner(records)
    return restarted
  }

  #isOpen(request: string): boolean {
    return this.#openRows(request).some((row) => this.#isHosted(row))
  }

  /** Agents that are hosted here, and behind, have been given all of it, and are done with it; or the bound has passed. */
  async #given(request: string, until: number): Promise<void> {
    const { catchUp, clock } = this.#runtime
    while (this.#isAnyBehind() && clock.now() < until && !this.#runtime.isClosed) {
      const seen = catchUp.moves
      const isOwed = await this.#isOwedHere(request)
      if (seen === catchUp.moves) {
        if (!isOwed) break
        await this.#moveAfter(seen, until)
      }
      await this.#rests.rest(request, Math.max(0, until - clock.now()))
    }
    // What was admitted last, and put nobody behind any more.
    await this.#rests.rest(request, Math.max(0, until - clock.now()))
  }

  #moveAfter(seen: number, until: number): Promise<void> {
    const { catchUp, clock, onFolded } = this.#runtime
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel()
        onFolded.delete(look)
        resolve()
      }
      const look = () => {
        if (catchUp.moves !== seen || this.#runtime.isClosed) done()
      }
      const timer = clock.setTimer(until, done)
      onFolded.add(look)
    })
  }

  /** Some agent is still to be given an event of it. */
  async #isOwed(request: string): Promise<boolean> {
    return this.#isAnyBehind() && (await this.#runtime.catchUp.owing(request)).length > 0
  }

  async #isOwedHere(request: string): Promise<boolean> {
    if (!this.#isAnyBehind()) return false
    return (await this.#runtime.catchUp.owing(request)).some(({ agent }) => this.#runtime.hosted.has(agent))
  }

  #isAnyBehind(): boolean {
    return this.#runtime.state.agents.some(({ behind }) => behind !== undefined)
  }

  #isHosted(row: Row): boolean {
    return this.#runtime.hosted.has(this.#agentOf(row))
  }

  #agentOf(row: Row): string {
    const { agents, deliveries } = this.#runtime.state
    return (agents[deliveries.agent[row] as number] as AgentState).name
  }

  #openRows(request: string): readonly Row[] {
    const { requests, deliveries } = this.#runtime.state
    const slot = requests.find(request)
    const rows: Row[] = []
    for (let row = slot === 0 ? 0 : requests.firstRow(slot); row !== 0; row = deliveries.nextOfRequest(row))
      rows.push(row)
    return rows.reverse()
  }

  /** Those that only look on are in no list; asked for by people only. */
  #watchingRows(request: string): readonly Row[] {
    const { requests, deliveries } = this.#runtime.state
    const slot = requests.find(request)
    if (slot === 0 || requests.watching[slot] === 0) return []
    return [...deliveries.rows()].filter((row) => deliveries.request[row] === slot && deliveries.observes[row] === 1)
  }

  async #describe(request: string): Promise<Settled> {
    const { state } = this.#runtime
    const rows = this.#openRows(request)
    const waiting = rows.filter((row) => this.#isHosted(row)).map((row) => waitingOf(this.#runtime, row))
    const owing = this.#isAnyBehind() ? await this.#runtime.catchUp.owing(request) : []
    const isHere = ({ agent }: Owing) => this.#runtime.hosted.has(agent)
    for (const { agent, since } of owing.filter(isHere))
      waiting.push({ agent, since, why: 'behind', detail: `'${agent}' has not been given all of it yet` })
    const away = rows.filter((row) => !this.#isHosted(row)).map((row) => this.#agentOf(row))
    const absent = [...new Set([...away, ...owing.filter((each) => !isHere(each)).map(({ agent }) => agent)])]
    const deadLetters = [...(state.lettersOfRequest.get(request) ?? [])].filter(
      (id) => state.deadLetters.get(id)?.observes !== true,
    )
    const at = state.at
    const status =
      rows.length + owing.length > 0
        ? 'open'
        : ((await this.#endOf(request)) ?? (deadLetters.length > 0 ? 'failed' : 'done'))
    return { status, at, deadLetters, spent: await this.#runtime.spendings.of(request), waiting, absent }
  }

  /** Whether someone or time ended the request: the last such record, if any. */
  async #endOf(request: string): Promise<'cancelled' | 'expired' | undefined> {
    const known = this.#runtime.endOf(request)
    if (known !== 'unknown') return known
    const types = ['spine.request.cancelled', 'spine.request.expired']
    const [end] = await this.#runtime.engine.read({ request, types, limit: 1, backwards: true })
    return end === undefined ? undefined : end.type === 'spine.request.cancelled' ? 'cancelled' : 'expired'
  }

  async #root(request: string): Promise<LogRecord> {
    const isId = typeof request === 'string' && request !== ''
    const root = !isId ? undefined : await this.#runtime.records.root(request)
    if (root !== undefined && request !== 'spine') return root
    throw new SpineError('SPINE_REQUEST_UNKNOWN', `No request has the id '${request}'.`, {
      value: request,
      fix: "Pass the 'request' that publish or start returned.",
    })
  }
}

/** The reason is not part of what is done. */
function raiseKey(request: string, amounts: Amounts, name: string | undefined): IdempotencyKey | undefined {
  if (name === undefined) return undefined
  requireId(name, 'idempotencyKey')
  return { scope: `raiseBudget ${request}`, name, print: fingerprint(canonicalJson({ ...amounts })) }
}

function missingPriority(): SpineError {
  return new SpineError('SPINE_OPTION_INVALID', 'setPriority was given no priority.', {
    fix: `Use one of ${PRIORITIES.map((name) => `'${name}'`).join(', ')}.`,
  })
}

function tooManyGenerations(request: string, generation: number): SpineError {
  return new SpineError('SPINE_OPTION_INVALID', `The request '${request}' was started over too often.`, {
    value: generation,
    limit: limits.generationsMax,
    fix: 'Cancel it, and publish its event again with mended code.',
  })
}
