/**
 * What a run asked for against what its journal holds: decides which promise is released next.
 *
 * Job: keep the order of release. Not its job: performing anything (`run.ts`), or the journal itself (the fold).
 *
 * Y1  Outcomes are released in the order of their sequences, one at a time, live and on a replay alike; so a native
 *     `Promise.race` has the same winner every time.
 * Y2  A command that is not in the journal is performed only after every journaled outcome has been released.
 * Y3  An outcome that was not asked for yet waits. One that never will be, because the handler asks for something new
 *     instead or ends, is a mismatch; save that of a command which an earlier attempt left open: after a failure the
 *     handler may rightly take another way, so such an outcome holds nothing up and is given if it is asked for.
 */
import type { LogRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Command } from './command.ts'
import { type RouteCommand, routedTarget, targetOf } from './route-command.ts'

export interface Outcome {
  readonly command: string
  readonly record: LogRecord
  /** The event that a wait took. */
  event?: LogRecord | undefined
  /** The event is being read: this and what comes behind it is released when it is there. */
  isLoading?: boolean
}

export interface Asked {
  readonly id: string
  readonly command: Command
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  /** Nobody waits for it any more: it came too late for its gather. */
  late?: 'scope' | 'branch' | undefined
}

export type NextMove =
  | { readonly kind: 'release'; readonly asked: Asked; readonly outcome: Outcome }
  | { readonly kind: 'perform'; readonly asked: readonly Asked[] }
  | { readonly kind: 'mismatch'; readonly error: SpineError }
  | { readonly kind: 'wait' }

const NOTHING_ASKED = new Map<string, Asked>()
const NO_IDS: ReadonlySet<string> = new Set()
const NOTHING_OPEN: readonly string[] = []

export class Replay {
  /** Set by a handler that has a gather. */
  latenessOf: ((id: string) => Asked['late']) | undefined
  /** This and the next two are made with the first question: many handlers never ask one. */
  #asked: Map<string, Asked> = NOTHING_ASKED
  #occurrences: Map<string, number> | undefined
  #openIds: Set<string> | undefined
  readonly #journal: ReadonlySet<string>
  /** What was released, in order: the common part of a diff. */
  readonly #released: string[] = []
  readonly #carried: ReadonlySet<string>
  #outcomes: Outcome[]
  #fresh: Asked[] = []
  #refusal: SpineError | undefined
  #open = 0

  /** `journal`: every command on the log, ended or not. `outcomes`: the ended ones, in sequence order. */
  constructor(journal: ReadonlySet<string>, outcomes: readonly Outcome[], carried: ReadonlySet<string> = NO_IDS) {
    this.#journal = journal
    this.#carried = carried
    this.#outcomes = outcomes.length === 0 ? [] : [...outcomes]
  }

  /** Commands that were asked for and have not been given their outcome; those that end with others are not counted. */
  get open(): number {
    return this.#open
  }

  /** The journal holds a command that the handler has not come to yet: where it is now, it has been before. */
  get isReplaying(): boolean {
    for (const id of this.#journal) if (!this.#asked.has(id) && !this.#carried.has(id)) return true
    return false
  }

  get count(): number {
    return this.#asked.size
  }

  /** The id of the next command of that name. @throws SPINE_STEP_NAME when the one before it is still open. */
  nextId(name: string, exclusive: boolean): string {
    this.#occurrences ??= new Map()
    const occurrence = this.#occurrences.get(name) ?? 0
    const before = `${name}#${occurrence - 1}`
    if (exclusive && occurrence > 0 && this.#openIds?.has(before)) {
      throw new SpineError('SPINE_STEP_NAME', `Two steps named '${name}' run at the same time.`, {
        value: name,
        fix: 'Give parallel steps names of their own, such as `read ${id}`.',
      })
    }
    this.#occurrences.set(name, occurrence + 1)
    return `${name}#${occurrence}`
  }

  ask(id: string, command: Command): Promise<unknown> {
    if (this.#openIds === undefined) {
      this.#openIds = new Set()
      this.#asked = new Map()
    }
    if (!endsWithOthers(command)) this.#open++
    this.#openIds.add(id)
    const promise = new Promise<unknown>((resolve, reject) => {
      const asked: Asked = { id, command, resolve, reject }
      this.#asked.set(id, asked)
      const journaled = this.#journal.has(id)
      // A step that outlived its preemption may have brought its outcome before it is asked for again.
      const isThere = this.#outcomes.some((outcome) => outcome.command === id)
      // An effect that started and left no outcome must be performed again; other open commands end by themselves.
      const unfinished = journaled && command.kind === 'effect'
      if (!isThere && (!journaled || unfinished)) this.#fresh.push(asked)
    })
    promise.catch(() => {})
    return promise
  }

  /** What was asked for under this id. */
  commandOf(id: string): Command | undefined {
    return this.#asked.get(id)?.command
  }

  /** What was asked for is not what the journal holds under the same id: the next move says so. */
  refuse(found: string, expected: string): void {
    this.#refusal ??= new SpineError(
      'SPINE_REPLAY_MISMATCH',
      `The journal holds ${expected}, but the handler ${found}.`,
      { value: found, limit: expected, fix: CHANGED },
    )
  }

  /** An outcome came in while the run lives. */
  receive(outcome: Outcome): void {
    this.#outcomes.push(outcome)
  }

  next(): NextMove {
    if (this.#refusal !== undefined) return { kind: 'mismatch', error: this.#refusal }
    for (const [index, outcome] of this.#outcomes.entries()) {
      const asked = this.#asked.get(outcome.command)
      if (asked !== undefined) {
        if (outcome.isLoading === true) return { kind: 'wait' }
        if (asked.command.kind === 'route' && !isNamed(asked.command, outcome.record))
          return { kind: 'mismatch', error: this.#mismatch(outcome, `routes to '${targetOf(outcome.record)}' no more`) }
        return this.#release(index, asked, outcome)
      }
      if (this.#carried.has(outcome.command)) continue
      const [instead] = this.#fresh
      return instead === undefined
        ? { kind: 'wait' }
        : { kind: 'mismatch', error: this.#mismatch(outcome, `asks for '${instead.id}'`) }
    }
    return this.#takeFresh()
  }

  /** Effects that an earlier attempt had started, asked for again by a handler that ended before their turn came. */
  takeStartedEffects(): readonly Asked[] {
    const started = this.#fresh.filter(({ id, command }) => command.kind === 'effect' && this.#journal.has(id))
    if (started.length > 0) this.#fresh = this.#fresh.filter((asked) => !started.includes(asked))
    return started
  }

  /** When the handler has ended: the mismatch, if journaled outcomes were never asked for. */
  mismatchAtEnd(how: string): SpineError | undefined {
    const unasked = this.#outcomes.find(({ command }) => !this.#asked.has(command) && !this.#carried.has(command))
    return unasked === undefined ? undefined : this.#mismatch(unasked, how)
  }

  /** What is still open when the handler ends: losers of a race, forgotten calls. */
  openCommands(): readonly string[] {
    return this.#openIds === undefined || this.#openIds.size === 0 ? NOTHING_OPEN : [...this.#openIds]
  }

  #release(index: number, asked: Asked, outcome: Outcome): NextMove {
    this.#outcomes.splice(index, 1)
    this.#openIds?.delete(asked.id)
    if (!endsWithOthers(asked.command)) this.#open--
    this.#released.push(asked.id)
    return { kind: 'release', asked, outcome }
  }

  #takeFresh(): NextMove {
    if (this.#fresh.length === 0) return { kind: 'wait' }
    const asked = this.#fresh
    this.#fresh = []
    if (this.latenessOf !== undefined) for (const one of asked) one.late = this.latenessOf(one.id)
    return { kind: 'perform', asked }
  }

  #mismatch(expected: Outcome, found: string): SpineError {
    const journal = this.#outcomes.filter(({ command }) => !this.#carried.has(command)).map(({ command }) => command)
    const handler = [...this.#asked.keys()].filter((id) => this.#openIds?.has(id))
    return new SpineError(
      'SPINE_REPLAY_MISMATCH',
      `The journal goes on with '${expected.command}' (record ${expected.record.sequence}), but the handler ${found}.`,
      {
        value: found,
        limit: expected.command,
        fix: `${CHANGED}\n${diff(this.#released, journal, handler)}`,
      },
    )
  }
}

const CHANGED =
  'The handler changed under a run that had begun, or depends on something outside its steps: deploy the old code beside the new, start the request over with requests.restart, or cancel it.'

/** Nothing of its own is under way: a handler that waits for such only waits for something else, or for itself. */
function endsWithOthers({ kind }: Command): boolean {
  return kind === 'gather' || kind === 'branch'
}

/** Lines of a diff: what agreed, then what the journal holds (-) and what the handler waits for instead (+). */
function diff(agreed: readonly string[], journal: readonly string[], handler: readonly string[]): string {
  const shown = agreed.slice(-DIFF_LINES)
  return [
    ...(agreed.length > shown.length ? [`  … ${agreed.length - shown.length} more`] : []),
    ...shown.map((id) => `  ${id}`),
    ...journal.slice(0, DIFF_LINES).map((id) => `- ${id}`),
    ...handler.slice(0, DIFF_LINES).map((id) => `+ ${id}`),
  ].join('\n')
}

/** A decision is given by the name of its target; the rules of a changed handler may not have it any more. */
function isNamed(command: RouteCommand, record: LogRecord): boolean {
  return record.type !== 'spine.route.decided' || routedTarget(command, record) !== undefined
}

const DIFF_LINES = 5
