/** Work that failed for good: listed, looked at, put back or given up. */
import type { SpineEvent } from '../agent/event-type.ts'
import type { AgentState, DeadLetterState } from '../coordination/state.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord, RecordHeader } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames, requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { fact } from './record-draft.ts'
import type { Runtime } from './runtime.ts'
import { asStored } from './to-event.ts'

export interface DeadLetter {
  /** `<sequence of what was handled>/<agent>` */
  readonly id: string
  readonly agent: string
  readonly request: string
  readonly session: string
  /** Sequence of the record that declared it dead. */
  readonly sequence: number
  readonly time: Date
  readonly attempts: number
  readonly error: { readonly code: string; readonly name: string; readonly message: string; readonly stack?: string }
}

export interface DeadLetterDetail extends DeadLetter {
  /** What was being handled. */
  readonly event: SpineEvent
  /** What led there, from the root of the request to the event itself. */
  readonly chain: readonly SpineEvent[]
  /** What a join was given, in order; `event` is the first of them. Empty for other work. */
  readonly joined: readonly SpineEvent[]
}

interface LetterFilter {
  readonly request?: string
  readonly agent?: string
}
const LETTER_FILTER = optionNames<LetterFilter>({ request: true, agent: true })

export class DeadLetters {
  readonly #runtime: Runtime

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  async list(filter: LetterFilter = {}): Promise<readonly DeadLetter[]> {
    requireKnownOptions(filter, LETTER_FILTER, 'deadLetters.list')
    const letters: DeadLetter[] = []
    for (const [id, letter] of this.#runtime.state.deadLetters) {
      const agent = this.#agentOf(letter)
      if (filter.request !== undefined && filter.request !== letter.request) continue
      if (filter.agent !== undefined && filter.agent !== agent) continue
      letters.push(await this.#read(id, letter))
    }
    return letters
  }

  async get(id: string): Promise<DeadLetterDetail> {
    const letter = this.#find(id)
    const chain = await this.#chain(letter.source)
    const joined = await this.#joined(letter)
    return { ...(await this.#read(id, letter)), event: chain.at(-1) as SpineEvent, chain, joined }
  }

  async redrive(id: string): Promise<void> {
    await this.#appendAbout(id, 'spine.delivery.redriven', {})
  }

  async discard(id: string, why?: string): Promise<void> {
    await this.#appendAbout(id, 'spine.delivery.discarded', why === undefined ? {} : { why: String(why) })
  }

  /** Twice is once: the second record finds nothing in the fold, so it is not even written. */
  async #appendAbout(
    id: string,
    type: 'spine.delivery.redriven' | 'spine.delivery.discarded',
    data: SystemData<'spine.delivery.discarded'>,
  ): Promise<void> {
    const letter = this.#runtime.state.deadLetters.get(id)
    if (letter === undefined && (await this.#wasDead(id))) return
    const { source, request, session, key, hops } = letter ?? this.#find(id)
    const agent = this.#agentOf(this.#find(id))
    const header: Omit<RecordHeader, 'type'> = {
      time: this.#runtime.clock.now(),
      session,
      request,
      key,
      cause: source,
      hops,
      agent,
    }
    await this.#runtime.appendAsOwner([fact(type, header, data)])
  }

  /** Whether it was a dead letter once and has been dealt with since. */
  async #wasDead(id: string): Promise<boolean> {
    const source = Number(id.slice(0, id.indexOf('/')))
    if (!Number.isSafeInteger(source) || source < 1 || source > this.#runtime.state.at) return false
    const { request } = await this.#runtime.records.get(source)
    const agent = id.slice(id.indexOf('/') + 1)
    const dead = await this.#runtime.engine.read({
      request,
      agent,
      types: ['spine.delivery.dead'],
      limit: limits.readRecordsMax,
    })
    return dead.some((record) => record.cause === source)
  }

  #find(id: string): DeadLetterState {
    const letter = this.#runtime.state.deadLetters.get(id)
    if (letter !== undefined) return letter
    throw new SpineError('SPINE_DEAD_LETTER_UNKNOWN', `No dead letter has the id '${id}'.`, {
      value: id,
      fix: 'Take an id from spine.deadLetters.list().',
    })
  }

  #agentOf(letter: DeadLetterState): string {
    return (this.#runtime.state.agents[letter.agent] as AgentState).name
  }

  async #read(id: string, letter: DeadLetterState): Promise<DeadLetter> {
    const record = await this.#runtime.records.get(letter.sequence)
    const { attempts, error } = record.data as unknown as SystemData<'spine.delivery.dead'>
    const { request, session, sequence } = letter
    return {
      id,
      agent: this.#agentOf(letter),
      request,
      session,
      sequence,
      time: new Date(record.time),
      attempts,
      error,
    }
  }

  async #joined({ join }: DeadLetterState): Promise<readonly SpineEvent[]> {
    const sequences = [...(join?.seen.values() ?? [])].sort((left, right) => left - right)
    const records = await Promise.all(sequences.map((sequence) => this.#runtime.records.get(sequence)))
    return records.map(asStored)
  }

  async #chain(sequence: number): Promise<readonly SpineEvent[]> {
    const records: LogRecord[] = []
    for (let at = sequence; at !== 0 && records.length <= limits.hopsMax; at = (records[0] as LogRecord).cause) {
      records.unshift(await this.#runtime.records.get(at))
    }
    return records.map(asStored)
  }
}
