/**
 * What the owner of the lane writes without a run: timers fired, deadlines passed, late calls
 * cancelled, circles broken, loops of crashes ended.
 *
 * Job: turn a decision of `coordination/` into records under the lane's guard. Not its job: deciding, or waiting for it.
 */
import { decideBreaker, probeUntil } from '../coordination/breakers.ts'
import { findCallCycle } from '../coordination/call-cycles.ts'
import type { DueDecision, Place } from '../coordination/decide.ts'
import { DELAY } from '../coordination/delays.ts'
import { lateCalls } from '../coordination/gather.ts'
import { KEY_PARKED } from '../coordination/dead-letters.ts'
import { isEnough, JOIN_WAIT } from '../coordination/join.ts'
import type { Row } from '../coordination/delivery-table.ts'
import { agentNamed, type AgentState, deliveryId, type SpineState } from '../coordination/state.ts'
import type { AppendOutcome, Guard } from '../engine/engine.ts'
import type { NewRecord } from '../event/record.ts'
import type { Clock } from '../kernel/clock.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { Random } from '../kernel/random.ts'
import type { CommitDraft } from './appender.ts'
import { failureOf } from './failure.ts'
import { fact, requestHeader, rowHeader, systemHeader } from './record-draft.ts'
import { workHead } from './lane.ts'
import type { Logger } from './logger.ts'

export interface OwnerHost {
  readonly state: SpineState
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  laneGuard(): Guard
  /** Stops what runs of a delivery, and of what it has called. */
  giveUp(row: Row): void
  append(commit: CommitDraft): Promise<AppendOutcome>
}

export type OwnerDecision = Exclude<DueDecision, { kind: 'start' | 'look-again' | 'half-open' | 'pass-rate' }>

export class LaneOwner {
  readonly #host: OwnerHost
  /** Decisions that are on their way to the log: the due heap may name one twice, and a dispatcher may ask again. */
  readonly #underWay = new Set<string>()

  constructor(host: OwnerHost) {
    this.#host = host
  }

  carryOut(decision: OwnerDecision): void {
    const { state, clock } = this.#host
    const time = clock.now()
    switch (decision.kind) {
      case 'fire-timer': {
        const { row, command, isWait } = decision
        const type = isWait ? 'spine.wait.expired' : 'spine.timer.fired'
        this.#write(`fire ${this.#nameOf(row)} ${command}`, [fact(type, rowHeader(state, row, time), { command })])
        return
      }
      case 'end-delay':
        this.#write(`end the delay of ${this.#nameOf(decision.row)}`, [
          fact('spine.timer.fired', rowHeader(state, decision.row, time), { command: DELAY }),
        ])
        return
      case 'end-join':
        this.#endJoin(decision.row)
        return
      case 'expire-delivery': {
        const header = rowHeader(state, decision.row, time)
        // No guard of its commits would tell: what it wrote before comes before its end, and it writes nothing after.
        this.#host.giveUp(decision.row)
        const expired = fact('spine.delivery.expired', header, { deadline: header.deadline ?? 0 })
        this.#write(`expire ${this.#nameOf(decision.row)}`, [expired], [this.#workHead(decision.row)])
        return
      }
      case 'expire-request': {
        const header = requestHeader(state, decision.request, time)
        const expired = fact('spine.request.expired', header, { deadline: decision.deadline })
        this.#write(`expire ${decision.request}`, [expired], [`request/${decision.request}`])
      }
    }
  }

  /** The time of a round is up. */
  #endJoin(row: Row): void {
    const { state, clock } = this.#host
    const round = state.joins.of(row)
    if (round === undefined) return
    const header = rowHeader(state, row, clock.now())
    const { spec, seen } = round
    const why = `join: ${seen.size} of ${spec.types.length} types came within ${spec.withinMs} ms, and ${spec.atLeast} were asked for`
    const end = isEnough(round)
      ? fact('spine.wait.expired', header, { command: JOIN_WAIT })
      : fact('spine.delivery.skipped', header, { why })
    this.#write(`end join ${this.#nameOf(row)}`, [end])
  }

  /** A delivery that took down every process it ran in. */
  endCrashLoop({ row, source }: Place): Promise<void> {
    const { state, clock, logger } = this.#host
    const agent = this.#agentOf(row)
    const crashes = state.deliveries.crashes[row] as number
    const error = new SpineError(
      'SPINE_CRASH_LOOP',
      `${agent} took down the process ${crashes} times on record ${source}, ${limits.crashesAloneMax} times with nothing else running.`,
      {
        value: crashes,
        limit: limits.crashesBesideOthersMax + limits.crashesAloneMax,
        fix: 'Mend the handler, then redrive the dead letter.',
      },
    )
    logger.warn(`${error.message} It is dead letter '${source}/${agent}'.`)
    const attempts = state.deliveries.attempt[row] as number
    return this.#append([
      fact('spine.delivery.dead', rowHeader(state, row, clock.now()), { attempts, error: failureOf(error) }),
    ])
  }

  /** A newer turn of its session has made it pointless, or starts it over. */
  overtake({ row, source }: Place): void {
    const { state, clock } = this.#host
    const stale = state.deliveries.source[row] === source ? state.turns.stale.get(row) : undefined
    if (stale === undefined) return
    const header = rowHeader(state, row, clock.now())
    if (stale.isSuperseded) {
      this.#write(`supersede ${this.#nameOf(row)}`, [fact('spine.delivery.superseded', header, { by: stale.by })])
      return
    }
    const times = state.deliveries.turns[row] as number
    const generation = (state.deliveries.generation[row] as number) + 1
    const why = `a newer turn, record ${stale.by}`
    const record =
      times < limits.freshRestartsMax
        ? fact('spine.delivery.restarted', header, { generation, why })
        : fact('spine.delivery.dead', header, {
            attempts: state.deliveries.attempt[row] as number,
            error: failureOf(overtakenTooOften(this.#nameOf(row), times)),
          })
    this.#write(`restart ${this.#nameOf(row)} ${generation}`, [record])
  }

  /** A delivery waits for another: if that waits for it in the end, the youngest call of the circle is rejected. */
  breakCycle({ row, source }: Place): void {
    const { state, clock } = this.#host
    if (state.deliveries.source[row] !== source) return
    const cycle = findCallCycle(state, row)
    if (cycle === undefined) return
    const chain = cycle.chain.join(' → ')
    const error = new SpineError('SPINE_CALL_CYCLE', `The call waits for its own caller: ${chain}.`, {
      value: chain,
      fix: 'Hand off instead of calling, or give the work keys of its own.',
    })
    // A run that is started over before this is folded has not asked for it (simulator seed 6700033).
    const generation = state.deliveries.generation[cycle.caller] as number
    const data = { command: cycle.command, error: failureOf(error), generation }
    this.#write(`reject ${this.#nameOf(cycle.caller)} ${cycle.command}`, [
      fact('spine.step.recorded', rowHeader(state, cycle.caller, clock.now()), data),
    ])
  }

  /** A gather went on without these calls: nobody wants their replies. */
  cancelLate({ row, source, command }: Place & { readonly command: string }): void {
    const { state, clock } = this.#host
    const run = state.runs.get(row)
    if (state.deliveries.source[row] !== source || run === undefined) return
    const callees = [...lateCalls(run, command, 'cancel')]
      .map((call) => run.commands.get(call)?.row ?? 0)
      .filter((callee) => callee !== 0)
    if (callees.length === 0) return
    const why = `late for ${command} of ${this.#nameOf(row)}`
    const records = callees.map((callee) =>
      fact('spine.delivery.cancelled', rowHeader(state, callee, clock.now()), { why }),
    )
    const moves = callees.map((callee) => this.#workHead(callee))
    this.#write(`cancel late ${this.#nameOf(row)} ${command}`, records, moves)
  }

  /** A delivery of a parked key joins the dead letter that parked it. */
  park(row: Row): void {
    const { state, clock } = this.#host
    const agent = this.#agentOf(row)
    const first = (state.agents[state.deliveries.agent[row] as number] as AgentState).holds.get(
      state.deliveries.key[row] as string,
    )?.letters[0]
    const error = new SpineError(KEY_PARKED, `Its key is parked behind dead letter '${first}/${agent}'.`, {
      fix: 'Redrive that one: all that are parked behind it come back in order.',
    })
    const data = { attempts: 0, error: failureOf(error) }
    this.#write(`park ${this.#nameOf(row)}`, [fact('spine.delivery.dead', rowHeader(state, row, clock.now()), data)])
  }

  /** Opens or closes the breaker of an agent, as its attempts have shown. People are told when it opens. */
  moveBreaker(name: string): void {
    const { state, clock, random, logger } = this.#host
    const agent = agentNamed(state, name)
    const now = clock.now()
    const decision = agent === undefined ? undefined : decideBreaker(agent, now, random)
    if (decision === undefined || this.#underWay.has(`breaker ${name}`)) return
    if (decision.kind === 'close') {
      this.#writeBreaker(name, fact('spine.breaker.closed', systemHeader(now), { name }))
      return
    }
    const { until } = decision
    logger.warn(
      `agent '${name}' keeps failing: its breaker is open, and nothing of it starts until ${new Date(until).toISOString()}`,
    )
    this.#writeBreaker(name, fact('spine.breaker.opened', systemHeader(now), { name, until }))
  }

  /** The delivery that shows whether the agent works again. */
  probe(row: Row): void {
    const { state, clock } = this.#host
    const agent = state.agents[state.deliveries.agent[row] as number] as AgentState
    const { name } = agent
    const data = { name, until: probeUntil(agent, clock.now()), probe: state.deliveries.source[row] as number }
    this.#writeBreaker(name, fact('spine.breaker.opened', systemHeader(clock.now()), data))
  }

  /** One record at a time; what was asked for meanwhile is looked at when it has been folded. */
  #writeBreaker(name: string, record: NewRecord): void {
    const decision = `breaker ${name}`
    if (this.#underWay.has(decision)) return
    const { at } = this.#host.state
    this.#underWay.add(decision)
    void this.#append([record]).finally(() => {
      this.#underWay.delete(decision)
      if (this.#host.state.at > at) this.moveBreaker(name)
    })
  }

  #agentOf(row: Row): string {
    const { agents, deliveries } = this.#host.state
    return (agents[deliveries.agent[row] as number] as AgentState).name
  }

  #workHead(row: Row): string {
    return workHead(this.#host.state.deliveries.source[row] as number, this.#agentOf(row))
  }

  #nameOf(row: Row): string {
    return deliveryId(this.#host.state.deliveries.source[row] as number, this.#agentOf(row))
  }

  #write(decision: string, records: readonly NewRecord[], moves?: readonly string[]): void {
    if (this.#underWay.has(decision)) return
    this.#underWay.add(decision)
    void this.#append(records, moves).finally(() => this.#underWay.delete(decision))
  }

  /** A refusal means that the lane is lost, which whoever folds the other's claim notices. */
  async #append(records: readonly NewRecord[], moves?: readonly string[]): Promise<void> {
    const commit = { guards: [this.#host.laneGuard()], records, ...(moves === undefined ? {} : { moves }) }
    await this.#host.append(commit).catch(() => undefined)
  }
}

function overtakenTooOften(name: string, times: number): SpineError {
  return new SpineError('SPINE_SUPERSEDED', `Newer turns of its session started '${name}' over ${times} times.`, {
    value: times,
    limit: limits.freshRestartsMax,
    fix: "Redrive it when the session is quiet, or let the agent say freshness: { then: 'cancel' }.",
  })
}
