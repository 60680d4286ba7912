/**
 * Performs what a run asked for in one turn: everything that goes to the log is one commit; steps run their functions.
 */
import type { Failure, SystemData } from '../event/catalogue.ts'
import type { NewRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Priority } from '../event/priority.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import { type BranchValue, encodeBranchValue } from './branch-value.ts'
import { ownName } from './branches.ts'
import type { BranchCommand, Command, StepCommand, WaitCommand } from './command.ts'
import { headerNow } from './execution.ts'
import { failureOf } from './failure.ts'
import type { Gather } from './gather.ts'
import { writtenPriority } from './given-priority.ts'
import { queueFull } from './queue-full.ts'
import { fact, following } from './record-draft.ts'
import type { Asked } from './replay.ts'
import type { Run } from './run.ts'
import { routeRecord } from './route-record.ts'
import { ask, asked, measured, remaining, type StepCost } from './step-costs.ts'
import { runStep } from './run-step.ts'

export function performCommands(run: Run, asked: readonly Asked[]): void {
  const records: NewRecord[] = []
  const startOnceDurable: Start[] = []
  const called: string[] = []
  for (const one of asked) {
    const { command } = one
    if (one.late !== undefined && !run.maybeDone(one.id)) {
      if (one.late === 'branch' && command.kind !== 'branch') records.push(tooLate(run, one.id))
      continue
    }
    switch (command.kind) {
      case 'step':
        if (joinStep(run, one, command)) break
        if (command.cost === undefined) void performStep(run, one.id, command, false)
        else startCosted(run, one, command, records, startOnceDurable)
        break
      case 'effect':
        if (joinEffect(run, one.id)) break
        if (command.cost !== undefined) {
          startCosted(run, one, command, records, startOnceDurable)
          break
        }
        if (run.maybeDone(one.id)) {
          void performStep(run, one.id, command, true)
          break
        }
        records.push(fact('spine.step.started', headerNow(run), { command: one.id, ...run.stand() }))
        startOnceDurable.push({ id: one.id, command, at: records.length - 1 })
        break
      case 'call':
        records.push(requestCall(run, one.id, command, called, records))
        break
      case 'remaining':
        records.push(
          fact('spine.step.recorded', headerNow(run), { command: one.id, value: remaining(run), ...run.stand() }),
        )
        break
      case 'route':
        records.push(routeRecord(run, one.id, command))
        break
      case 'publish':
        records.push(
          command.event(run.host.clock.now()),
          fact('spine.step.recorded', headerNow(run), { command: one.id, ...run.stand() }),
        )
        break
      case 'wait':
        records.push(openWait(run, one.id, command))
        break
      case 'sleep':
        records.push(
          fact('spine.timer.set', headerNow(run), {
            command: one.id,
            due: run.host.clock.now() + command.ms,
            ...run.stand(),
          }),
        )
        break
      case 'branch':
        void followBranch(run, one.id, command)
        break
      case 'gather':
        records.push(openGather(run, command.gather))
    }
  }
  run.effects.announced += countEffects(startOnceDurable)
  if (records.length > 0) void commit(run, records, startOnceDurable, called)
}

/** A step whose start goes to the log before its function is entered. */
interface Start {
  readonly id: string
  readonly command: StepCommand
  /** Its place among the records of the commit. */
  readonly at: number
}

function countEffects(starts: readonly Start[]): number {
  return starts.filter(({ command }) => command.kind === 'effect').length
}

/** Reserved with its start, or refused with an outcome. Each try reserves anew: what a lost one reserved stays charged. */
function startCosted(run: Run, { id }: Asked, command: StepCommand, records: NewRecord[], starts: Start[]): void {
  const { estimate } = command.cost as StepCost
  const refusal = ask(run, id, estimate, records)
  if (refusal !== undefined) {
    records.push(
      fact('spine.step.recorded', headerNow(run), { command: id, error: failureOf(refusal), ...run.stand() }),
    )
    return
  }
  records.push(startOf(run, id, command))
  starts.push({ id, command, at: records.length - 1 })
}

function startOf(run: Run, id: string, { kind, cost }: StepCommand): NewRecord {
  return fact('spine.step.started', headerNow(run), {
    command: id,
    ...(cost === undefined ? {} : { cost: cost.estimate }),
    ...(kind === 'step' ? { plain: true } : {}),
    ...run.stand(),
  })
}

async function commit(
  run: Run,
  records: readonly NewRecord[],
  starts: readonly Start[],
  called: readonly string[],
): Promise<void> {
  try {
    const outcome = await run.append(records)
    run.effects.announced -= countEffects(starts)
    // Stopped meanwhile: what was announced and not begun is left to whoever comes next, if anyone does.
    if (outcome === undefined) return
    const last = 'last' in outcome ? outcome.last : 0
    for (const { id, command, at } of starts) {
      const reserved = command.cost === undefined ? undefined : last - (records.length - 1 - at)
      if (!run.isOver) void performStep(run, id, command, run.maybeDone(id), reserved)
      else if (reserved !== undefined)
        void run.append([fact('spine.budget.returned', headerNow(run), { reserved })], 'lane')
    }
  } catch (error) {
    void run.fail(error)
  } finally {
    for (const target of called) run.host.callsOnTheWay.arrived(target)
    if (run.host.chargesOnTheWay.size > 0) chargesArrived(run, records)
  }
}

function chargesArrived(run: Run, records: readonly NewRecord[]): void {
  for (const { type, data } of records) {
    if (type !== 'spine.step.started' && type !== 'spine.call.requested') continue
    asked(run, (data?.value as { readonly command?: string } | undefined)?.command ?? '')
  }
}

/** An effect of an earlier attempt that still runs in this process: its outcome is on the way. */
function joinEffect(run: Run, id: string): boolean {
  const effect = run.host.effectsUnderWay.get(idempotencyKey(run, id))
  if (effect === undefined) return false
  run.effects.add(effect)
  // Its outcome comes from here, so this run is not suspended, and its timeout runs.
  run.busy++
  void effect.finally(() => {
    run.busy--
    run.wake()
  })
  return true
}

/** A step of this run, from before it made room for more urgent work, that still runs: its outcome is on the way. */
function joinStep(run: Run, one: Asked, command: StepCommand): boolean {
  const { id } = one
  const step = run.host.preemptedSteps.join(run, id)
  if (step === undefined) return false
  run.busy++
  void step.then((isRecorded) => {
    run.busy--
    if (isRecorded || run.isOver || run.phase === 'ending') run.wake()
    else if (command.cost !== undefined) performCommands(run, [one])
    else void performStep(run, id, command, false)
  })
  return true
}

async function performStep(
  run: Run,
  id: string,
  command: StepCommand,
  maybeDone: boolean,
  reserved?: Sequence,
): Promise<void> {
  run.busy++
  const work = executeAndRecord(run, id, command, maybeDone, reserved)
  if (command.kind === 'effect') {
    const key = idempotencyKey(run, id)
    run.host.effectsUnderWay.set(key, work)
    run.effects.add(work)
    void work.finally(() => run.host.effectsUnderWay.delete(key))
  } else run.stepsUnderWay.set(id, work)
  await work
  run.stepsUnderWay.delete(id)
  run.busy--
  run.wake()
}

/**
 * Never rejects; true when an outcome was recorded. The result of a plain step whose run is over is dropped, unless it made
 * room; that of an effect is recorded whatever happened.
 */
async function executeAndRecord(
  run: Run,
  id: string,
  command: StepCommand,
  maybeDone: boolean,
  reserved: Sequence | undefined,
): Promise<boolean> {
  const tries = reserved === undefined ? undefined : { reserved, count: 0 }
  const result = await execute(run, id, tries === undefined ? command : paidByTry(run, id, command, tries), maybeDone)
  const outcome = tries === undefined ? result : { ...result, ...measured(run, id, command, tries.reserved, result) }
  const effect = command.kind === 'effect'
  // What a stopped attempt's signal made of a step is no outcome: the next attempt would be given it instead of a new try.
  const stopped = run.isOver || run.isConcluded || (run.phase === 'ending' && 'error' in outcome)
  if (run.isPreempted && !effect) return 'error' in outcome ? false : recordLate(run, id, outcome)
  if (stopped && !effect) return false
  const stand = { ...(command.keep ? { keep: true } : {}), ...generationOf(run), ...run.stand() }
  const guarded = effect ? 'lane' : 'request'
  try {
    const recorded = await run.append(
      [fact('spine.step.recorded', headerNow(run), { command: id, ...outcome, ...stand })],
      guarded,
    )
    return recorded !== undefined
  } catch (error) {
    const data = {
      command: id,
      error: failureOf(error),
      ...(tries === undefined ? {} : { reserved: tries.reserved }),
      ...stand,
    }
    return (await run.append([fact('spine.step.recorded', headerNow(run), data)], guarded)) !== undefined
  }
}

/** Of a run that may be started over under a step of it: what that brings is of the generation it was asked in. */
function generationOf({ agent, generation }: Run): { readonly generation?: number } {
  return agent.isFresh ? { generation } : {}
}

/** What a step brought after its run had made room. The run may have been started over since, which the fold knows best. */
async function recordLate(run: Run, id: string, outcome: Partial<SystemData<'spine.step.recorded'>>): Promise<boolean> {
  if (!run.host.preemptedSteps.brings(run, id)) return false
  const { generation } = run
  try {
    const data = { command: id, ...outcome, generation }
    return (await run.append([fact('spine.step.recorded', headerNow(run), data)], 'request')) !== undefined
  } catch {
    // Too large to be kept: it is done again, and fails there.
    return false
  }
}

/** Every further try inside a step reserves anew, and what the one before it reserved is charged. */
function paidByTry(
  run: Run,
  id: string,
  command: StepCommand,
  tries: { reserved: Sequence; count: number },
): StepCommand {
  return {
    ...command,
    run: async (step) => {
      if (tries.count++ > 0) tries.reserved = await reserveAgain(run, id, command)
      return command.run(step)
    },
  }
}

async function reserveAgain(run: Run, id: string, command: StepCommand): Promise<Sequence> {
  const records: NewRecord[] = []
  const refusal = ask(run, id, (command.cost as StepCost).estimate, records)
  if (refusal === undefined) records.push(startOf(run, id, command))
  try {
    const outcome = await run.append(records)
    if (refusal !== undefined) throw refusal
    if (outcome === undefined || !('last' in outcome))
      throw run.signal.reason ?? new SpineError('SPINE_CLOSED', 'The run is over.')
    return outcome.last
  } finally {
    if (refusal === undefined) asked(run, id)
  }
}

async function execute(run: Run, id: string, command: StepCommand, maybeDone: boolean) {
  const { clock, random } = run.host
  const what = `step '${id}' of ${run.agent.name}`
  // An effect is never told to stop: it is finished. Its own timeout still bounds it.
  const stop = () => command.lateness?.signal(run.signal) ?? run.signal
  const signal = command.kind === 'effect' ? NEVER : stop()
  try {
    const { interception } = run.host
    const name = ownName(id)
    const intercepted =
      interception === undefined ? command : { ...command, run: interception.stepOf(run.agent, name, command.run) }
    const result = await runStep(intercepted, {
      clock,
      random,
      signal,
      idempotencyKey: idempotencyKey(run, id),
      maybeDone,
      what,
    })
    return result === undefined ? {} : { value: result.value }
  } catch (error) {
    return { error: failureOf(error) }
  }
}

/** When the function of a branch ends, so does its command; unless the branch is late, or the run is over. */
async function followBranch(run: Run, id: string, { work, isWanted }: BranchCommand): Promise<void> {
  let outcome: Partial<BranchValue> | { readonly error: Failure }
  try {
    const value = await work
    outcome = value === undefined ? {} : encodeBranchValue(value, `branch '${id}' of ${run.agent.name}`)
  } catch (error) {
    outcome = { error: failureOf(error) }
  }
  if (!isWanted() || run.isOver || run.isConcluded || run.phase === 'ending') return
  const stand = { ...generationOf(run), ...run.stand() }
  try {
    await run.append([fact('spine.step.recorded', headerNow(run), { command: id, ...outcome, ...stand })], 'request')
  } catch (error) {
    const data = { command: id, error: failureOf(error), ...stand }
    await run.append([fact('spine.step.recorded', headerNow(run), data)], 'request')
  }
}

function openGather(run: Run, gather: Gather): NewRecord {
  const header = headerNow(run)
  const { withinMs } = gather.plan
  const due = withinMs === undefined ? {} : { due: header.time + withinMs }
  return fact('spine.gather.opened', header, {
    ...gather.opening,
    ...due,
    ...run.stand(),
  } as SystemData<'spine.gather.opened'>)
}

/** Nobody waits for it, and it has not begun: it ends here. */
function tooLate(run: Run, id: string): NewRecord {
  const error = new SpineError('SPINE_GATHER_LATE', `'${id}' of ${run.agent.name} came too late for its gather.`)
  return fact('spine.step.recorded', headerNow(run), { command: id, error: failureOf(error), ...run.stand() })
}

const NEVER = new AbortController().signal

/** The same for every try of a step, also after a crash or a redrive, and different in every other log. */
function idempotencyKey(run: Run, id: string): string {
  return `${run.header.request}/${run.source}/${run.agent.name}/${id}`
}

function openWait(run: Run, id: string, command: WaitCommand): NewRecord {
  const { type, withinMs, cause, match } = command
  const others = command.others()
  return fact('spine.wait.opened', headerNow(run), {
    command: id,
    event: type.type,
    after: command.after(),
    due: Math.ceil(run.host.clock.now() + withinMs),
    ...(cause === undefined ? {} : { cause }),
    ...(match === undefined ? {} : { match }),
    ...(others.length === 0 ? {} : { others }),
    ...run.stand(),
  })
}

/** `called`: targets of the calls in this commit, to which it adds. */
function requestCall(
  run: Run,
  id: string,
  command: Extract<Command, { kind: 'call' }>,
  called: string[],
  records: NewRecord[],
): NewRecord {
  const { budget } = command
  const refusal =
    refuseCall(run, command.target, command.priority ?? run.header.priority) ??
    (budget === undefined ? undefined : ask(run, id, budget, records, true))
  if (refusal !== undefined)
    return fact('spine.step.recorded', headerNow(run), { command: id, error: failureOf(refusal), ...run.stand() })
  called.push(command.target)
  run.host.callsOnTheWay.asked(command.target)
  const header = following(run.header, run.host.clock.now(), command.session)
  const deadline =
    command.withinMs === undefined
      ? header.deadline
      : Math.min(header.deadline ?? Number.POSITIVE_INFINITY, header.time + command.withinMs)
  return fact(
    'spine.call.requested',
    {
      ...header,
      deadline,
      priority: command.priority === undefined ? header.priority : writtenPriority(command.priority),
    },
    {
      command: id,
      target: command.target,
      input: command.input.value,
      ...(budget === undefined ? {} : { budget }),
      ...run.stand(),
    },
  )
}

function refuseCall(run: Run, target: string, priority: Priority | undefined): SpineError | undefined {
  try {
    run.host.requireRegistered(target)
  } catch (error) {
    return error as SpineError
  }
  const full = queueFull(run.host.state, target, run.host.callsOnTheWay.to(target), priority)
  if (full !== undefined) return full
  const { caller } = run.host.state.deliveries
  let depth = 1
  for (let row = caller[run.row] as number; row !== 0; row = caller[row] as number) depth++
  if (depth <= limits.callDepthMax) return undefined
  return new SpineError(
    'SPINE_CALL_DEPTH',
    `${run.agent.name} cannot call '${target}': calls are nested ${depth} deep.`,
    {
      value: depth,
      limit: limits.callDepthMax,
      fix: 'Agents call each other in a circle; end it, or hand off instead of calling.',
    },
  )
}
