/**
 * One entering of a handler: its `ctx`, what it asked for, what it was given, what it returned.
 *
 * Job: run user code against a journal. Not its job: slots, commits, attempts (`run.ts`). A run enters its handler once,
 * or, under a test kit that replays always, once for every outcome; an execution that was replaced has no effect.
 */
import type { SpineEvent } from '../agent/event-type.ts'
import type { GatherState } from '../coordination/gather.ts'
import type { Amounts } from '../event/amounts.ts'
import type { NewRecord, RecordHeader, LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import { Branches } from './branches.ts'
import type { Command } from './command.ts'
import type { Gather } from './gather.ts'
import type { Journal } from './journal.ts'
import { patchCommand, SPEND } from './journal.ts'
import { type Joined, joinedEvent } from './joined-event.ts'
import { outcomeOf } from './outcome.ts'
import { fact, placeAt } from './record-draft.ts'
import { tellLow } from './step-costs.ts'
import { type Asked, type Outcome, Replay } from './replay.ts'
import { type Commands, RunContext } from './run-context.ts'
import type { Run } from './run.ts'
import type { SessionState } from './session-states.ts'
import { toEvent } from './to-event.ts'
import type { Trail } from './trail.ts'

/** What a handler is given beside its journal. */
export interface Envelope {
  readonly source: LogRecord
  readonly root: LogRecord
  /** What a join has gathered; absent where an event is handled by itself. */
  readonly joined?: Joined | undefined
  /** State of the session at the basis. */
  readonly session: SessionState
  /** Empty for a chain that is too short to go in circles. */
  readonly trail: Trail
}

export type HandlerResult = { readonly value: unknown } | { readonly error: unknown }

/** How far a thrown error is followed to what it was made of. */
const CAUSES_MAX = 8

export class Execution implements Commands {
  readonly replay: Replay
  readonly context: RunContext
  /** Passed `ctx.patched` that are not on the log yet: they go before whatever the run appends next. */
  markers: NewRecord[] = []
  result: HandlerResult | undefined
  readonly #run: Run
  readonly #journaled: ReadonlySet<string>
  #patches: Map<string, boolean> | undefined
  readonly #spendings: ReadonlySet<string>
  #branches: Branches | undefined
  readonly #envelope: Envelope
  /** Errors that were given to the handler → the commands that they ended. */
  #failures: Map<unknown, string> | undefined
  /** The last success that was given to it. */
  #upTo: Sequence = 0
  #releasedTime: number
  #isReplaced = false
  #isWarned = false
  #root: SpineEvent | undefined

  constructor(run: Run, envelope: Envelope, journal: Journal, early: readonly Outcome[]) {
    const { host, agent } = run
    this.#run = run
    this.#envelope = envelope
    this.#journaled = journal.ids
    this.#spendings = journal.spendings
    if (journal.patches.size > 0) this.#patches = new Map([...journal.patches].map((id) => [id, true]))
    this.#releasedTime = envelope.joined?.records.at(-1)?.time ?? envelope.source.time
    this.replay = new Replay(journal.ids, outcomesOf(journal, early), journal.carried)
    this.context = new RunContext({
      agent,
      header: run.header,
      request: () => this.#request(),
      sessionState: envelope.session,
      trail: envelope.trail,
      failedBefore: host.state.deliveries.attempt[run.row] as number,
      generation: host.state.deliveries.generation[run.row] as number,
      signal: () => run.signal,
      now: () => this.#releasedTime,
      ask: (name, command, exclusive) => this.#ask(name, command, exclusive),
      commands: this,
      patched: (id) => this.#isPatched(id),
      spend: (amounts) => this.#spend(amounts),
      late: (what) => this.#late(what),
    })
  }

  enter(): void {
    const { host, agent } = this.#run
    const handler = (host.interception?.handlerOf(agent) ?? agent.handler) as (event: unknown, ctx: unknown) => unknown
    let returned: unknown
    try {
      const { source, root, joined } = this.#envelope
      const first = toEvent(source, host.types)
      if (root === source) this.#root = first
      const event = joined === undefined ? first : joinedEvent(first, joined, host.types)
      returned = handler(event, this.context.handle())
    } catch (error) {
      this.result = { error }
      return
    }
    if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== 'function') {
      this.context.close()
      this.result = { value: returned }
      return
    }
    Promise.resolve(returned).then(
      (value) => this.#ended({ value }),
      (error: unknown) => this.#ended({ error }),
    )
  }

  /** The original event; for the first run of a request that is what is handled. */
  #request(): SpineEvent {
    this.#root ??= toEvent(this.#envelope.root, this.#run.host.types)
    return this.#root
  }

  /** Nothing that this execution still does has an effect. */
  replace(): void {
    this.#isReplaced = true
    if (this.#branches !== undefined) this.#branches.isAbandoned = true
  }

  /** Whether this effect started before the handler was entered, and left no outcome. */
  maybeDone(id: string): boolean {
    return this.#journaled.has(id)
  }

  /** Made with the first question. */
  get branches(): Branches {
    if (this.#branches === undefined) {
      const branches = new Branches()
      this.#branches = branches
      this.replay.latenessOf = (id) => branches.latenessOf(id)
    }
    return this.#branches
  }

  release(asked: Asked, { record, event }: Outcome): void {
    // A branch that is late is told nothing more: it goes no further.
    if (this.#branches?.latenessOf(asked.id) === 'scope') return
    this.#releasedTime = record.time
    const outcome = outcomeOf(asked.command, record, event)
    if ('error' in outcome) {
      this.#failures ??= new Map()
      // A gather rejects with the error of its branch.
      if (!this.#failures.has(outcome.error)) this.#failures.set(outcome.error, asked.id)
      asked.reject(outcome.error)
    } else {
      this.#upTo = record.sequence
      asked.resolve(outcome.value)
    }
    if (asked.command.kind === 'gather') this.#fired(asked.command.gather)
  }

  #fired(gather: Gather): void {
    const { late } = gather
    if (late.length === 0 || gather.plan.onLate === 'finish') return
    const reason = new SpineError('SPINE_GATHER_LATE', `'${gather.id}' of ${this.#run.agent.name} went on without it.`)
    for (const { id, lateness, inner } of late) {
      lateness?.abort(reason)
      this.branches.late(id)
      if (inner !== undefined) this.#fired(inner)
    }
  }

  /** How far it came, for the record that ends a failed attempt: see `forgetFailures` in the fold. */
  came(error: unknown): { readonly upTo: Sequence; readonly failed?: string } {
    let failed: string | undefined
    for (let cause = error, depth = 0; depth < CAUSES_MAX && failed === undefined; depth++) {
      failed = this.#failures?.get(cause)
      cause = cause instanceof Error ? cause.cause : undefined
    }
    return failed === undefined ? { upTo: this.#upTo } : { upTo: this.#upTo, failed }
  }

  #ended(result: HandlerResult): void {
    if (this.#isReplaced) return
    this.context.close()
    this.result = result
    this.#run.stirred()
  }

  #late(what: string): void {
    if (this.#isReplaced || this.#isWarned) return
    this.#isWarned = true
    const { host, agent, source } = this.#run
    host.logger.warn(
      `agent '${agent.name}' ${what} after its handler had returned (record ${source}): it has no effect`,
    )
  }

  /** An execution that was replaced, or whose run ends, is answered no more. */
  #ask(name: string, command: Command, exclusive: boolean): Promise<unknown> {
    const id = this.reserve(name, exclusive)
    return id === undefined ? new Promise(() => {}) : this.askAs(id, command)
  }

  reserve(name: string, exclusive = false): string | undefined {
    const { phase } = this.#run
    const scope = this.#branches?.scope
    if (this.#isReplaced || phase === 'over' || phase === 'ending' || scope?.lateness.isLate === true) return undefined
    return this.replay.nextId(scope === undefined ? name : `${scope.prefix}${name}`, exclusive)
  }

  commandOf(id: string): Command | undefined {
    return this.replay.commandOf(id)
  }

  askAs(id: string, command: Command): Promise<unknown> {
    const { agent } = this.#run
    if (this.replay.count >= limits.commandsMax) {
      throw new SpineError(
        'SPINE_OPTION_INVALID',
        `${agent.name} asked for more than ${limits.commandsMax} steps and calls in one run.`,
        { limit: limits.commandsMax, fix: 'Split the work: hand off to a fresh run now and then.' },
      )
    }
    const scope = this.#branches?.scope
    if (scope !== undefined && (command.kind === 'step' || command.kind === 'effect')) command.lateness = scope.lateness
    const promise = this.replay.ask(id, command)
    this.#branches?.asked(id)
    if (command.kind === 'gather') this.#compare(command.gather)
    this.#run.stirred()
    return promise
  }

  /** A gather is known by its number: under the same number the journal must hold the same one. */
  #compare({ id, opening }: Gather): void {
    const known = this.#run.host.state.runs.get(this.#run.row)?.gathers?.all.get(id)
    if (known === undefined) return
    const words = ({ branches, until, atLeast, onLate }: Partial<GatherState>) =>
      `${id} of [${branches?.join(', ')}] ${JSON.stringify([until, atLeast ?? null, onLate ?? 'cancel'])}`
    const [expected, found] = [words(known), words(opening)]
    if (expected !== found) this.replay.refuse(`asks for ${found}`, expected)
  }

  #spend(amounts: Amounts): void {
    const id = this.reserve(SPEND)
    if (id === undefined || this.#spendings.has(id)) return
    tellLow(this.#run, amounts, this.markers)
    const data = { command: id, spent: amounts, ...this.#run.stand() }
    this.markers.push(fact('spine.step.recorded', headerNow(this.#run), data))
  }

  #isPatched(id: string): boolean {
    this.#patches ??= new Map()
    const known = this.#patches.get(id)
    if (known !== undefined) return known
    const isNew = !this.replay.isReplaying
    this.#patches.set(id, isNew)
    if (isNew) {
      const data = { command: patchCommand(id), value: true, ...this.#run.stand() }
      this.markers.push(fact('spine.step.recorded', headerNow(this.#run), data))
    }
    return isNew
  }
}

/** Those of the journal, and those that came in while it was read and are not in it. */
function outcomesOf({ outcomes }: Journal, early: readonly Outcome[]): readonly Outcome[] {
  if (early.length === 0) return outcomes
  return [...outcomes, ...early.filter(({ command }) => !outcomes.some((outcome) => outcome.command === command))]
}

/** The header of a record that the run writes now. */
export function headerNow(run: Run): Omit<RecordHeader, 'type'> {
  return placeAt(run.header, run.host.clock.now())
}

/** The last outcome that an execution was given, when every new one is given to a handler run again from the top. */
export function isReplayDue(run: Run, record: LogRecord, replayedTo: Sequence): boolean {
  // A step that runs in this process would be asked for, and run, a second time.
  return run.host.interception?.replaysAlways === true && run.busy === 0 && record.sequence > replayedTo
}
