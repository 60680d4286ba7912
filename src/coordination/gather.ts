/**
 * When a run that waits for several of its own commands goes on: fan-out and gather, as a rule over counts.
 *
 * Job: the rule, and what a run keeps of its gathers. Not its job: ending the gather's command (`settle-gathers.ts`), the
 * value that a handler is given (runtime/gather.ts), which is put together from the outcomes of the branches.
 *
 * States of a gather: `open` (entered by `spine.gather.opened`; held in `RunGathers.open`) → `fired` (its command has
 * ended). It leaves `open` in the fold of the very record that ended the branch which decides, or by its own timer.
 * Either way it is forgotten when its run ends, starts over, or has a new attempt that may do without it.
 *
 * G1  It fires once, at the first record after which its rule is met or out of reach, and with that record.
 * G2  The branches that count are those that have ended when it fires, each once; nothing that comes later changes it.
 * G3  It needs no record of its own to fire: whoever folds the log knows.
 * G4  A gather that has fired stands as long as what it counted does: when a new attempt tries a counted branch again,
 *     the gather is opened again, too.
 */
import type { Json } from '../kernel/json.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Command, RunState, SpineState } from './state.ts'
import type { Row } from './delivery-table.ts'

/** What it waits for: every branch to succeed, every branch to end, or so many successes. */
export type GatherUntil = 'all' | 'settled' | { readonly quorum: number }

export interface GatherRule {
  readonly until: GatherUntil
  /** Successes that are enough for `'all'` and `'settled'`; without it `'all'` needs every one, `'settled'` none. */
  readonly atLeast: number | undefined
}

/** What becomes of branches that are open when it fires. */
export type OnLate = 'cancel' | 'finish'

export interface GatherState extends GatherRule {
  /** Commands of the same run, in the order of its result. */
  readonly branches: readonly string[]
  readonly onLate: OnLate
}

export interface RunGathers {
  /** By command, in the order of opening: whatever is nested in another comes before it. */
  readonly all: Map<string, GatherState>
  /** Those that have not fired, in the same order. */
  open: string[]
}

export interface Tally {
  /** Of all branches. */
  readonly count: number
  readonly ok: number
  readonly failed: number
}

/** Whether nothing that may still come could change the result. */
export function isDecided(rule: GatherRule, { count, ok, failed }: Tally): boolean {
  if (ok + failed === count) return true
  if (rule.until === 'settled') return false
  const needed = rule.until === 'all' ? (rule.atLeast ?? count) : rule.until.quorum
  return count - failed < needed || (rule.until !== 'all' && ok >= needed)
}

/** Whether it brought what it was for. */
export function isReached(rule: GatherRule, { count, ok, failed }: Tally): boolean {
  if (rule.until === 'all') return ok >= (rule.atLeast ?? count)
  if (rule.until === 'settled') return rule.atLeast === undefined ? ok + failed === count : ok >= rule.atLeast
  return ok >= rule.until.quorum
}

/** Whether a failed branch is the failure of the gather, as with `Promise.all`. */
export function isPlain({ until, atLeast }: GatherRule, due: number | undefined): boolean {
  return until === 'all' && atLeast === undefined && (due ?? 0) === 0
}

export function tallyOf({ branches }: GatherState, commands: ReadonlyMap<string, Command>): Tally {
  let ok = 0
  let failed = 0
  for (const branch of branches) {
    const command = commands.get(branch)
    if (command === undefined || command.ended === 0) continue
    if (command.ok) ok++
    else failed++
  }
  return { count: branches.length, ok, failed }
}

/** As the opening record tells it. */
export function gatherOf(data: {
  readonly branches: readonly string[]
  readonly until: Json
  readonly atLeast?: number
  readonly onLate?: string
}): GatherState {
  const { branches, until, atLeast, onLate } = data
  return { branches, until: until as GatherUntil, atLeast, onLate: onLate === 'finish' ? 'finish' : 'cancel' }
}

export function addGather(run: RunState, name: string, gather: GatherState): void {
  run.gathers ??= { all: new Map(), open: [] }
  run.gathers.all.set(name, gather)
  run.gathers.open.push(name)
}

/** A command of the run has ended: its open gathers are looked at when the record has been folded. */
export function touchGathers(state: SpineState, row: Row): void {
  const run = state.runs.get(row)
  if (run?.gathers === undefined || run.gathers.open.length === 0) return
  state.touched ??= new Map()
  state.touched.set(run, row)
}

/** For who asks what a run waits for. */
export function isGathering(run: RunState | undefined): boolean {
  return run?.gathers !== undefined && run.gathers.open.length > 0
}

const BRANCH = /@gather#\d+\/[^/]*#0$/

/** What the commands of a branch that is a function begin with; `undefined` for a branch that is a single command. */
export function branchPrefix(branch: string): string | undefined {
  return BRANCH.test(branch) ? `${branch.slice(0, -2)}/` : undefined
}

/** Calls that nobody waits for any more, because their gather has fired without them. */
export function* lateCalls(run: RunState, name: string, onLate: OnLate): Generator<string> {
  const gather = run.gathers?.all.get(name)
  if (gather === undefined || gather.onLate !== onLate || run.commands.get(name)?.ended === 0) return
  yield* openCalls(run, gather)
}

function* openCalls(run: RunState, { branches, onLate }: GatherState): Generator<string> {
  for (const branch of branches) {
    const command = run.commands.get(branch)
    if (command !== undefined && command.ended !== 0) continue
    if (command?.kind === 'call') yield branch
    const inner = command?.kind === 'gather' ? run.gathers?.all.get(branch) : undefined
    // A gather inside one that is cancelled goes with it, unless it says that its branches shall finish.
    if (inner !== undefined && inner.onLate === onLate) yield* openCalls(run, inner)
    const prefix = branchPrefix(branch)
    if (prefix === undefined) continue
    for (const call of run.calls.values()) if (call.startsWith(prefix)) yield call
  }
}

/** Open waits that nobody waits for any more, because their gather has fired without them and cancels what is late. */
export function* lateWaits(run: RunState, name: string): Generator<string> {
  const gather = run.gathers?.all.get(name)
  if (gather === undefined || gather.onLate !== 'cancel') return
  for (const branch of gather.branches) {
    const command = run.commands.get(branch)
    if (command !== undefined && command.ended !== 0) continue
    if (command?.kind === 'wait') yield branch
    if (command?.kind === 'gather') yield* lateWaits(run, branch)
    const prefix = branchPrefix(branch)
    if (prefix === undefined) continue
    for (const [inner, { kind, ended }] of run.commands)
      if (kind === 'wait' && ended === 0 && inner.startsWith(prefix)) yield inner
  }
}

/** Gathers of a run that have fired and left calls open which are to be cancelled: what a crash may have left undone. */
export function* gathersWithLateCalls(run: RunState): Generator<string> {
  if (run.gathers === undefined || run.calls.size === 0) return
  for (const name of run.gathers.all.keys()) if (!lateCalls(run, name, 'cancel').next().done) yield name
}

/** Open calls that outlive a run which ends well: late for a gather that lets them finish. */
export function callsToFinish(run: RunState): ReadonlySet<string> {
  if (run.gathers === undefined || run.calls.size === 0) return NONE
  const names = new Set<string>()
  for (const name of run.gathers.all.keys()) for (const call of lateCalls(run, name, 'finish')) names.add(call)
  return names
}

const NONE: ReadonlySet<string> = new Set()

/** What a new attempt tries again because a gather rejected with it, and what stands inside branches that it enters again. */
export interface Reentered {
  readonly failures: ReadonlySet<string>
  readonly prefixes: readonly string[]
}

/**
 * `upTo` and `failed` as in `forgetFailures`. A gather that rejected, and is tried again, has every failed branch of it
 * tried again; a branch that is a function, and is tried again, has every failure inside it tried again.
 */
export function reenteredOf(
  { commands, gathers }: RunState,
  { upTo, failed }: { readonly upTo: Sequence; readonly failed: string | undefined },
): Reentered {
  const failures = new Set<string>(failed === undefined ? [] : [failed])
  // From the outermost, because what rejected the outer one may be an inner one.
  for (const [name, gather] of [...(gathers?.all ?? [])].reverse()) {
    const command = commands.get(name)
    if (command === undefined || command.ended === 0 || command.ok) continue
    const isTriedAgain =
      command.ended > upTo || failures.has(name) || gather.branches.some((each) => failures.has(each))
    if (!isTriedAgain) continue
    failures.add(name)
    for (const branch of gather.branches) if (hasFailed(commands.get(branch))) failures.add(branch)
  }
  for (const [name, command] of commands) if (hasFailed(command) && command.ended > upTo) failures.add(name)
  const prefixes = [...failures].map(branchPrefix).filter((prefix) => prefix !== undefined)
  if (prefixes.length > 0) {
    for (const [name, command] of commands)
      if (hasFailed(command) && prefixes.some((prefix) => name.startsWith(prefix))) failures.add(name)
  }
  return { failures, prefixes }
}

function hasFailed(command: Command | undefined): command is Command {
  return command !== undefined && command.ended !== 0 && !command.ok
}

/**
 * G4: drops every gather that a new attempt may not ask for again in the same words: open ones, those it may never come
 * to, and those that counted what is `forgotten` (command → when it had ended). They are opened anew where it asks.
 */
export function forgetGathers(run: RunState, forgotten: Map<string, Sequence>): void {
  const { gathers, commands } = run
  if (gathers === undefined) return
  for (const [name, { branches }] of gathers.all) {
    const command = commands.get(name)
    const ended = command?.ended ?? 0
    const stands = ended !== 0 && command?.carried === false
    const countsForgotten = branches.some((branch) => (forgotten.get(branch) ?? Number.POSITIVE_INFINITY) <= ended)
    if (stands && !countsForgotten) continue
    // For the gathers that hold this one.
    if (ended !== 0) forgotten.set(name, ended)
    gathers.all.delete(name)
    commands.delete(name)
  }
  gathers.open = []
  if (gathers.all.size === 0) run.gathers = undefined
}

/** Ended commands in the order of their outcomes: what one record ended itself comes before the gathers that it fired. */
export function byOutcome([, left]: readonly [string, Command], [, right]: readonly [string, Command]): number {
  return left.ended - right.ended || rank(left) - rank(right)
}

function rank({ kind, asked }: Command): number {
  return kind === 'gather' ? asked : 0
}
