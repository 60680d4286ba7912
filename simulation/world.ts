/**
 * One seed: several processes on one log, clients that try until they are heard, and everything that can go wrong.
 *
 * Job: produce a history. Not its job: judging it (`checkers/`). All that is random comes from the seed and all time from
 * one virtual clock, so a seed plays the same way every time.
 */
import { encodeState, evolve, initialState, type LogRecord, type Priority, type Spine, stateOf } from 'event-spine'
import {
  type AppendFault,
  type SimulatedEngine,
  SimulatedLog,
  SimulatedProcess,
  VirtualClock,
} from 'event-spine/testing'
import { Chance } from './chance.ts'
import { type Evidence, History, type Publication } from './history.ts'
import { AGENTS, expectedResults, office, type Op, Ordered, randomOps, SESSIONS } from './office.ts'
import { type Policies, randomPolicies } from './policies.ts'

/** How likely, in percent, each thing is in this seed. */
interface Weather {
  readonly loseAppend: number
  readonly keepAppend: number
  readonly repeatTail: number
  readonly syncMsMax: number
  readonly tailMsMax: number
  readonly workMsMax: number
}

interface Slot {
  number: number
  engine: SimulatedEngine | undefined
  process: SimulatedProcess | undefined
}

interface Order {
  readonly publication: Publication
  readonly ops: readonly Op[]
  readonly deadlineMs: number | undefined
  readonly priority: Priority | undefined
  /** The process that is asked now; what a dead one was asked is never answered. */
  triedBy: SimulatedProcess | undefined
}

const PRIORITIES: readonly Priority[] = ['critical', 'high', 'normal', 'low', 'background']
const CALLED = new Set(['expert', 'senior'])
/** Of a process: none, few, more than there ever are. */
const SUSPENDED_RUNS_MAX = [0, 1, 4, 1_000]
/** Deliveries of one agent, in memory: a few, or more than there ever are. */
const PENDING_MAX = [3, 8, 100_000, 100_000]
const ACTIONS = 120
/** Of every order: less than some want. */
const BUDGET = { usd: 3 }
/** The quiet phase must end long before this many things have become due. */
const QUIET_TIMERS_MAX = 20_000

export interface Played {
  readonly evidence: Evidence
  /** What did not drain, in words. */
  readonly stuck: string | undefined
  readonly facts: {
    readonly processes: number
    readonly records: number
    readonly crashes: number
    readonly orders: number
  }
}

export async function play(seed: number): Promise<Played> {
  const world = new World(seed)
  await world.storm()
  const stuck = await world.quiet()
  const evidence = await world.evidence()
  return { evidence, stuck, facts: world.facts(evidence.records.length) }
}

class World {
  readonly #chance: Chance
  readonly #clock = new VirtualClock()
  readonly #log = new SimulatedLog()
  readonly #history = new History()
  readonly #policies: Policies
  readonly #weather: Weather
  readonly #slots: Slot[] = [0, 1].map(() => ({ number: 0, engine: undefined, process: undefined }))
  readonly #orders: Order[] = []
  readonly #tries = new Map<string, number>()
  readonly #mayEndEarly = new Set<number>()
  #processes = 0
  #crashes = 0
  #isQuiet = false

  constructor(seed: number) {
    this.#chance = new Chance(seed)
    this.#policies = randomPolicies(this.#chance)
    const rarely = () => this.#chance.pick([0, 0.3, 1, 3])
    this.#weather = {
      loseAppend: rarely(),
      keepAppend: rarely(),
      repeatTail: this.#chance.pick([0, 10]),
      syncMsMax: this.#chance.pick([0, 5, 40]),
      tailMsMax: this.#chance.pick([0, 0, 20]),
      workMsMax: this.#chance.pick([0, 10, 100]),
    }
  }

  facts(records: number): Played['facts'] {
    return { processes: this.#processes, records, crashes: this.#crashes, orders: this.#orders.length }
  }

  async storm(): Promise<void> {
    this.#start(this.#slots[0] as Slot)
    for (let action = 0; action < ACTIONS; action++) {
      this.#act()
      await this.#turns(1 + this.#chance.below(4))
      const until = this.#clock.now() + this.#chance.pick([0, 1, 10, 60])
      while (this.#clock.fireNext(until)) await this.#turns(1)
      this.#clock.advanceTo(until)
    }
  }

  #act(): void {
    const draw = this.#chance.below(100)
    const slot = this.#chance.pick(this.#slots)
    if (draw < 35) this.#place()
    else if (draw < 55) this.#tryOpenOrders()
    else if (draw < 70)
      this.#start(this.#slots.every((one) => one.engine === undefined) ? slot : (this.#slots[0] as Slot))
    else if (draw < 73) this.#start(slot)
    else if (draw < 77) this.#kill(slot)
    else if (draw < 79) void this.#closeInOrder(slot)
    else if (draw < 82) void this.#cancelOne()
    else if (draw < 84) void this.#prioritizeOne()
    else if (draw < 88) void this.#dealWithDeadLetters(this.#chance.percent(20))
    else if (draw < 89) void this.#pauseOrResume()
    else if (draw < 91) this.#clock.advanceTo(this.#clock.now() + 10_000)
    else this.#tryOpenOrders()
  }

  /** Faults end; whatever is open must come to its end by itself. */
  async quiet(): Promise<string | undefined> {
    this.#isQuiet = true
    for (const slot of this.#slots) this.#kill(slot)
    const slot = this.#slots[0] as Slot
    this.#start(slot)
    for (let fired = 0; fired < QUIET_TIMERS_MAX; fired++) {
      await this.#turns(4)
      if (slot.process !== undefined && !slot.process.isAlive)
        return `the last process died: ${String(slot.process.runtime.failure)}`
      this.#tryOpenOrders()
      if (await this.#isDrained(slot)) return undefined
      if (!this.#clock.fireNext(Number.POSITIVE_INFINITY) && slot.process?.isIdle === true) {
        await this.#turns(8)
        if (await this.#isDrained(slot)) return undefined
        if (this.#clock.next === undefined && slot.process.isIdle) return this.#whatIsOpen(slot)
      }
    }
    return this.#whatIsOpen(slot)
  }

  async evidence(): Promise<Evidence> {
    const records: LogRecord[] = []
    for (;;) {
      const page = await this.#log.store.read({ after: records.length, limit: 1_000 })
      if (page.length === 0) break
      records.push(...page)
    }
    const observer = initialState()
    for (const record of records) evolve(observer, record)
    const { process } = this.#slots[0] as Slot
    return {
      records,
      history: this.#history,
      owner: process === undefined ? '' : encodeState(stateOf(process.spine)),
      observer: encodeState(observer),
      expected: new Map(this.#orders.map(({ publication, ops }) => [publication.id, expectedResults(ops)])),
      mayEndEarly: this.#mayEndEarly,
      open: observer.deliveries.openCount,
    }
  }

  async #isDrained({ process }: Slot): Promise<boolean> {
    if (process === undefined || !process.isIdle) return false
    if (this.#orders.some(({ publication }) => publication.acknowledged.length === 0)) return false
    if (process.spine.agents.list().some(({ paused }) => paused)) {
      // Not awaited: what it waits for comes with time, which passes in the loop that asks.
      void this.#resumeAll(process.spine)
      return false
    }
    if (stateOf(process.spine).deadLetters.size > 0) {
      // Not awaited: what it waits for comes with time, which passes in the loop that asks.
      void this.#dealWithDeadLetters(false)
      return false
    }
    if (process.spine.agents.list().some(({ behind }) => behind)) return false
    return stateOf(process.spine).deliveries.openCount === 0
  }

  #whatIsOpen({ process }: Slot): string {
    if (process === undefined) return 'no process came up'
    const { deliveries } = JSON.parse(encodeState(stateOf(process.spine))) as { deliveries: readonly unknown[] }
    const unheard = this.#orders.filter(({ publication }) => publication.acknowledged.length === 0).length
    return `${unheard} orders unheard, idle ${process.isIdle}, open: ${JSON.stringify(deliveries).slice(0, 1_500)}`
  }

  #start(slot: Slot): void {
    if (slot.process !== undefined && !slot.process.isAlive) this.#kill(slot)
    if (slot.engine !== undefined) return
    const number = ++this.#processes
    const chance = this.#chance.fork()
    const engine = this.#log.engine({
      faultAt: () => this.#faultAt(chance),
      whenToSync: (sync) => this.#later(chance, this.#weather.syncMsMax, sync),
      ...(this.#weather.tailMsMax === 0
        ? {}
        : { whenToDeliver: (deliver: () => void) => this.#later(chance, this.#weather.tailMsMax, deliver) }),
      repeats: () => !this.#isQuiet && chance.percent(this.#weather.repeatTail),
      onDurable: (outcome) => {
        if (outcome.status === 'appended')
          this.#history.written.push({ process: number, first: outcome.first, last: outcome.last })
      },
      onKilled: () => this.#kill(slot, number),
    })
    slot.number = number
    slot.engine = engine
    slot.process = undefined
    const agents = office(
      {
        process: number,
        history: this.#history,
        now: () => this.#clock.now(),
        work: () => this.#work(slot, number, chance),
        crash: () => this.#kill(slot, number),
        tries: this.#tries,
        isHealed: () => this.#isQuiet,
      },
      this.#policies,
    )
    const silent = { warn: () => {} }
    const suspendedRunsMax = chance.pick(SUSPENDED_RUNS_MAX)
    const pendingInMemory = chance.pick(PENDING_MAX)
    const pools = { default: this.#policies.slots }
    const options = { engine, agents, pools, clock: this.#clock, random: chance, logger: silent }
    SimulatedProcess.start(options, { suspendedRunsMax, pendingInMemory }).then(
      (process) => {
        if (slot.number === number && slot.engine !== undefined) slot.process = process
        else process.kill()
      },
      () => {
        // Another process claimed the lane while this one started.
        if (slot.number === number) slot.engine = undefined
      },
    )
  }

  #kill(slot: Slot, number = slot.number): void {
    if (slot.number !== number || slot.engine === undefined) return
    this.#crashes++
    slot.process?.kill()
    slot.engine.kill()
    slot.engine = undefined
    slot.process = undefined
  }

  async #closeInOrder(slot: Slot): Promise<void> {
    const { process, number } = slot
    if (process === undefined) return
    await process.spine.close({ drain: this.#chance.pick([0, 20]) }).catch(() => undefined)
    if (slot.number === number) {
      slot.engine = undefined
      slot.process = undefined
    }
  }

  #faultAt(chance: Chance): AppendFault {
    if (this.#isQuiet) return 'none'
    if (chance.percent(this.#weather.loseAppend)) return 'lose'
    return chance.percent(this.#weather.keepAppend) ? 'keep' : 'none'
  }

  #later(chance: Chance, msMax: number, act: () => void): void {
    this.#clock.setTimer(this.#clock.now() + (msMax === 0 ? 0 : chance.below(msMax)), act)
  }

  /** A tool takes its time; a process that died meanwhile never hears of it. */
  #work(slot: Slot, number: number, chance: Chance): Promise<void> {
    return new Promise((resolve) => {
      this.#later(chance, this.#weather.workMsMax, () => {
        if (slot.number === number && slot.engine !== undefined) resolve()
      })
    })
  }

  #place(): void {
    const id = this.#orders.length + 1
    const publication = {
      key: `order ${id}`,
      id,
      session: this.#chance.pick(SESSIONS),
      invoked: this.#history.next(),
      acknowledged: [],
    }
    const hasDeadline = this.#chance.percent(8)
    const deadlineMs = hasDeadline ? this.#clock.now() + this.#chance.pick([20, 200, 5_000]) : undefined
    if (hasDeadline) this.#mayEndEarly.add(id)
    const priority = this.#chance.percent(50) ? undefined : this.#chance.pick(PRIORITIES)
    const order = { publication, ops: randomOps(this.#chance), deadlineMs, priority, triedBy: undefined }
    this.#history.publications.push(publication)
    this.#orders.push(order)
    void this.#publish(order)
  }

  #tryOpenOrders(): void {
    for (const order of this.#orders) {
      const isHeard = order.publication.acknowledged.length > 0
      if (!isHeard || this.#chance.percent(2)) void this.#publish(order)
    }
  }

  async #publish(order: Order): Promise<void> {
    const { publication, ops, deadlineMs, priority } = order
    const process = this.#slots.map((slot) => slot.process).find((one) => one?.isAlive === true)
    if (process === undefined || order.triedBy?.isAlive === true) return
    order.triedBy = process
    const { id, key, session } = publication
    // A deadline that has passed by now would be refused; the order has been given up then.
    const isLate = deadlineMs !== undefined && deadlineMs <= this.#clock.now()
    const deadline = deadlineMs === undefined || isLate ? undefined : new Date(deadlineMs)
    try {
      const { sequence, request } = await process.spine.publish(
        Ordered,
        { id, ops: [...ops] },
        {
          session,
          idempotencyKey: key,
          ...(deadline === undefined ? {} : { deadline }),
          ...(priority === undefined ? {} : { priority }),
          budget: BUDGET,
        },
      )
      publication.acknowledged.push({ at: this.#history.next(), sequence, request })
    } catch {
      // Unknown or refused: tried again with the same key.
    } finally {
      if (order.triedBy === process) order.triedBy = undefined
    }
  }

  async #cancelOne(): Promise<void> {
    const heard = this.#orders.filter(({ publication }) => publication.acknowledged.length > 0)
    const process = this.#slots[0]?.process
    if (heard.length === 0 || process === undefined) return
    const { publication } = this.#chance.pick(heard)
    this.#mayEndEarly.add(publication.id)
    const [first] = publication.acknowledged
    await process.spine.requests.cancel(first?.request as string, 'no longer wanted').catch(() => undefined)
  }

  async #prioritizeOne(): Promise<void> {
    const heard = this.#orders.filter(({ publication }) => publication.acknowledged.length > 0)
    const process = this.#slots[0]?.process
    if (heard.length === 0 || process === undefined) return
    const [first] = this.#chance.pick(heard).publication.acknowledged
    const priority = this.#chance.pick(PRIORITIES)
    await process.spine.requests.setPriority(first?.request as string, priority).catch(() => undefined)
  }

  async #pauseOrResume(): Promise<void> {
    const process = this.#slots[0]?.process
    if (process === undefined) return
    const { agents } = process.spine
    const name = this.#chance.pick(AGENTS)
    const act = this.#chance.percent(40) ? agents.pause(name, 'lunch') : agents.resume(name)
    await act.catch(() => undefined)
  }

  async #resumeAll({ agents }: Spine): Promise<void> {
    await Promise.all(agents.list().map(({ name }) => agents.resume(name).catch(() => undefined)))
  }

  async #dealWithDeadLetters(discards: boolean): Promise<void> {
    const process = this.#slots.map((slot) => slot.process).find((one) => one?.isAlive === true)
    if (process === undefined) return
    for (const [id, letter] of [...stateOf(process.spine).deadLetters]) {
      // Whoever called an expert was told of its death: redriving it again and again would only breed more calls.
      const isOwed = this.#isQuiet && CALLED.has(id.slice(id.indexOf('/') + 1))
      if (isOwed) void process.spine.deadLetters.discard(id).catch(() => undefined)
      else if (discards) {
        const order = this.#orders.find(({ publication }) => publication.acknowledged[0]?.request === letter.request)
        if (order === undefined) continue
        this.#mayEndEarly.add(order.publication.id)
        await process.spine.deadLetters.discard(id).catch(() => undefined)
      } else {
        await Promise.all([process.spine.deadLetters.redrive(id), process.spine.deadLetters.redrive(id)]).catch(
          () => undefined,
        )
      }
    }
  }

  async #turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}
