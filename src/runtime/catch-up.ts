/**
 * Gives agents that are behind what they have missed, window by window, and puts agents behind for which too much waits.
 *
 * Job: read the log, and record what is admitted. Not its job: what that opens (`coordination/behind.ts`).
 *
 * CU1  An agent is admitted no more than fits beside what is open of it.
 * CU2  An event of a request that has been cancelled or has expired since is left out, unless the agent only looks on. A
 *      cancel that comes in between refuses the window, which is read again. One whose deadline has passed is admitted, and
 *      expires on the log.
 * CU3  One window of an agent is under way at a time.
 * CU4  A request that a window wakes is bounded by the budget that it had, and has spent what it has spent.
 */
import type { AdmittedPlace } from '../coordination/behind.ts'
import { EVERYTHING } from '../coordination/terms.ts'
import { agentNamed, type AgentState, type SpineState } from '../coordination/state.ts'
import type { AppendOutcome, Engine, Guard } from '../engine/engine.ts'
import { isSystemType, type LogRecord, type NewRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Clock } from '../kernel/clock.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import type { CommitDraft } from './appender.ts'
import type { HostedAgent } from './hosted-agent.ts'
import type { Logger } from './logger.ts'
import type { Interception } from './run-host.ts'
import { fact, systemHeader } from './record-draft.ts'
import type { Spendings } from './spendings.ts'

export interface CatchUpHost {
  readonly state: SpineState
  readonly engine: Engine
  readonly clock: Clock
  readonly logger: Logger
  readonly isClosed: boolean
  readonly interception: Interception | undefined
  readonly hosted: ReadonlyMap<string, HostedAgent>
  readonly spendings: Pick<Spendings, 'budgetOf'>
  laneGuard(): Guard
  append(commit: CommitDraft): Promise<AppendOutcome>
}

export interface Owing {
  readonly agent: string
  readonly since: Sequence
}

/** Admitted in one commit. */
const WINDOW_EVENTS = 256
/** After a read that failed. */
const TRY_AGAIN_MS = 1_000
/** After a window that was refused. */
const REFUSED_MS = 20
const ENDS = ['spine.request.cancelled', 'spine.request.expired']

export class CatchUp {
  readonly #host: CatchUpHost
  readonly #pendingMax: number
  readonly #window: number
  readonly #underWay = new Set<string>()
  /** Behind, and waiting for room. */
  readonly #waiting = new Set<string>()
  /** How often an agent has come to be behind, has been admitted events, or is level again. */
  moves = 0

  constructor(host: CatchUpHost) {
    this.#host = host
    this.#pendingMax = host.interception?.pendingInMemory ?? limits.pendingInMemoryMax
    this.#window = Math.max(1, Math.min(WINDOW_EVENTS, Math.floor(this.#pendingMax / 2)))
  }

  get isIdle(): boolean {
    return this.#underWay.size === 0
  }

  /** A batch was folded: there may be too much of something now, or room again. */
  folded(): void {
    // Before this process has taken over it decides nothing.
    if (this.#host.state.marks === undefined) return
    if (this.#host.state.deliveries.openCount >= this.#pendingMax) this.#putBehind()
    if (this.#waiting.size > 0) for (const name of [...this.#waiting]) this.goOn(name)
  }

  /** Agents that still have to be given an event of the request, and since when they are behind. */
  async owing(request: string): Promise<readonly Owing[]> {
    const { state, engine } = this.#host
    const owing: Owing[] = []
    for (const { name, behind, registration } of state.agents) {
      if (behind === undefined || registration === undefined || registration.observes === true) continue
      const { since, cursor } = behind
      const isEverything = registration.on.includes(EVERYTHING)
      const types = isEverything ? {} : { types: registration.on }
      // Of `'*'` the last of the request decides: what comes at the end of it may be facts, and then it is looked at again.
      const page = await engine.read({ request, ...types, after: cursor, limit: this.#window })
      const alive = await this.#alive(page.filter(({ type, agent }) => !isSystemType(type) && agent !== name))
      if (alive.length > 0) owing.push({ agent: name, since })
    }
    return owing
  }

  moved(name: string): void {
    this.moves++
    this.goOn(name)
  }

  /** An agent is behind, or was. */
  goOn(name: string): void {
    const { state, hosted, isClosed } = this.#host
    const agent = agentNamed(state, name)
    this.#waiting.delete(name)
    if (agent?.behind === undefined || !hosted.has(name) || isClosed || this.#underWay.has(name)) return
    if (agent.open + this.#window > this.#pendingMax) {
      this.#waiting.add(name)
      return
    }
    this.#underWay.add(name)
    this.#admit(agent, agent.behind.cursor)
      .catch((error: unknown) => this.#tryAgain(name, error as Error))
      .finally(() => {
        this.#underWay.delete(name)
        this.goOn(name)
      })
  }

  #tryAgain(name: string, { message }: Error): Promise<void> | undefined {
    const { logger, isClosed } = this.#host
    if (isClosed) return undefined
    logger.warn(`what '${name}' has missed could not be read, once more in ${TRY_AGAIN_MS} ms: ${message}`)
    return this.#pause(TRY_AGAIN_MS)
  }

  #pause(ms: number): Promise<void> {
    const { clock } = this.#host
    return new Promise((resolve) => clock.setTimer(clock.now() + ms, resolve))
  }

  #putBehind(): void {
    const { state, clock } = this.#host
    for (const { name, open, behind, registration, terms } of state.agents) {
      if (open < this.#pendingMax || behind !== undefined || this.#underWay.has(name)) continue
      // What joins gathers events, and holds few; directed work is bounded by `maxPending`.
      if (registration?.kind !== 'reacts' || terms?.join !== undefined) continue
      this.#underWay.add(name)
      const record = fact('spine.agent.behind', systemHeader(clock.now()), { name, since: state.at + 1 })
      this.#host
        .append({ guards: [this.#host.laneGuard()], records: [record] })
        .catch(() => undefined)
        .finally(() => {
          this.#underWay.delete(name)
          this.goOn(name)
        })
    }
  }

  async #admit({ name, registration }: AgentState, cursor: Sequence): Promise<void> {
    const { state, clock } = this.#host
    const head = state.at
    const on = registration?.on ?? []
    const isEverything = on.includes(EVERYTHING)
    const page = await this.#read(cursor, isEverything ? undefined : on)
    const last = page.at(-1)?.sequence ?? 0
    const upTo = page.length === this.#window ? last : Math.max(head, last)
    const heard = page.filter(({ type, agent }) => !isSystemType(type) && !(isEverything && agent === name))
    const looksOn = registration?.observes === true
    const admitted = looksOn ? heard : await this.#alive(heard)
    const places = admitted.map((record) => placeOf(record) as unknown as Json)
    const events = admitted.map(({ sequence }) => sequence)
    const requests = looksOn ? [] : [...new Set(admitted.map(({ request }) => request))]
    const guards = requests.map((request) => ({ head: `request/${request}`, notAfter: Math.max(head, last) }))
    const record = fact('spine.agent.admitted', systemHeader(clock.now()), { name, upTo, events, places })
    const budgets = looksOn ? [] : await this.#budgetsOf(admitted)
    const commit = { guards: [this.#host.laneGuard(), ...guards], records: [record, ...budgets] }
    const outcome = await this.#host.append(commit).catch(() => undefined)
    // Whoever refused it, a cancel or another owner, is not folded here yet.
    if (outcome?.status !== 'appended') await this.#pause(REFUSED_MS)
  }

  async #read(after: Sequence, types: readonly string[] | undefined): Promise<readonly LogRecord[]> {
    const query = { limit: this.#window, ...(types === undefined ? {} : { types }) }
    try {
      return await this.#host.engine.read({ ...query, after })
    } catch (error) {
      // What is not retained any more cannot be given to anybody.
      if (!SpineError.is(error, 'SPINE_TRIMMED') || typeof error.limit !== 'number') throw error
      return this.#host.engine.read({ ...query, after: error.limit - 1 })
    }
  }

  /** A request that is woken by a window has no budget in memory any more. */
  async #budgetsOf(records: readonly LogRecord[]): Promise<readonly NewRecord[]> {
    const { state, clock, spendings } = this.#host
    const budgets = new Map<string, NewRecord>()
    for (const { request, session, key, sequence, hops } of records) {
      if (budgets.has(request) || state.budgets.of(request) !== undefined) continue
      const known = await spendings.budgetOf(request)
      if (known === undefined) continue
      const header = { ...systemHeader(clock.now()), session, request, key, cause: sequence, hops }
      budgets.set(request, fact('spine.budget.given', header, known))
    }
    return [...budgets.values()]
  }

  async #alive(records: readonly LogRecord[]): Promise<readonly LogRecord[]> {
    const { engine } = this.#host
    const ends = new Map<string, Sequence>()
    for (const { request } of records) {
      if (ends.has(request)) continue
      const [end] = await engine.read({ request, types: ENDS, limit: 1, backwards: true })
      ends.set(request, end?.sequence ?? 0)
    }
    return records.filter(({ sequence, request }) => sequence > (ends.get(request) as Sequence))
  }
}

function placeOf({ type, session, request, key, hops, deadline, due, priority }: LogRecord): AdmittedPlace {
  return {
    ...{ type, session, request, key, hops },
    ...(deadline === undefined ? {} : { deadline }),
    ...(due === undefined ? {} : { due }),
    ...(priority === undefined ? {} : { priority }),
  }
}
