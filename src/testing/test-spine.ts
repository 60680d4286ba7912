/**
 * A spine for tests: a log in memory, time that stands until the test moves it, chance from a seed, and every run executed
 * again from the top at every await, so that code which cannot be replayed fails in the first test and not after the first
 * crash.
 *
 * Job: the `Spine` of one simulated process, which may be killed and comes back on the same log, as its test goes on.
 * Not its job: any behaviour of its own. What it shows is the runtime's.
 */
import type { AnyAgent, AnyOptions, AnyHandler, Handler } from '../agent/agent.ts'
import type { AnyEventType, EventOf, SpineEvent } from '../agent/event-type.ts'
import { type Duration, durationMs } from '../kernel/duration.ts'
import { SpineError } from '../kernel/errors.ts'
import { optionNames } from '../kernel/known-options.ts'
import { seededRandom } from '../kernel/random.ts'
import type { StepContext } from '../agent/context.ts'
import { hostAgent } from '../runtime/hosted-agent.ts'
import type { Interception, StepFunction } from '../runtime/run-host.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { toEvent } from '../runtime/to-event.ts'
import { checkSpineOptions, type Spine, type SpineOptions } from '../spine.ts'
import { type AppendFault, nextTurn, SimulatedLog } from './simulated-log.ts'
import { SimulatedProcess } from './simulated-process.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface TestSpineOptions extends Omit<SpineOptions, 'engine' | 'clock' | 'random' | 'logger'> {
  /**
   * `'always'` (default): after every await of a `ctx` promise the handler is run again from the top and given its journal.
   * `'after-crash'`: only where a real process would.
   */
  readonly replay?: 'always' | 'after-crash'
  /** Seed of ids and jitter. Default `'test'`. */
  readonly seed?: string
  /** Open deliveries of one agent, instead of `limits.pendingInMemoryMax`: beyond, it falls behind, and catches up. */
  readonly pendingInMemory?: number
}

const TEST_SPINE_OPTIONS = optionNames<TestSpineOptions>({
  agents: true,
  pools: true,
  replay: true,
  seed: true,
  pendingInMemory: true,
})

/** A `Spine` that outlives the crashes of its process: what waits on it goes on when the process is back. */
export interface TestSpine extends Spine {
  /** Virtual time, absolute ms. It begins at 2026-01-01T00:00:00Z. */
  now(): number
  /** Moves time, step by step: whatever becomes due on the way happens at its own time. */
  advance(duration: Duration): Promise<void>
  /** Resolves when nothing can happen any more without time passing. Steps that wait for real I/O are waited for, up to 10 s. */
  idle(): Promise<void>
  /** Replaces the handler of an agent, or hosts a reference with this one. */
  mock<Options extends AnyOptions>(
    agent: { readonly name: string; readonly options: Options; readonly handler: AnyHandler | undefined },
    handler: Handler<Options>,
  ): void
  /** Replaces a step by what it shall return, or by a function. The name is `'agent/step'`. */
  step(name: `${string}/${string}`, replacement: unknown): void
  /** The process dies the next time that this step's function has returned: its result is lost. It comes back by itself. */
  crashAt(step: `${string}/${string}`): void
  /** The process dies now: what was not durable is lost. Resolves when it is back. */
  crash(): Promise<void>
  /** How often the process has died. */
  readonly crashes: number
  /** Events of a type so far, in order; of all types without one. */
  events(): Promise<readonly SpineEvent[]>
  events<Event extends AnyEventType>(type: Event): Promise<readonly EventOf<Event>[]>
  /** The lines that people would have seen. */
  readonly warnings: readonly string[]
}

/** How long `idle` waits for steps that do real I/O. */
const REAL_WAIT_MS_MAX = 10_000
/** Turns of the event loop without anything to do, before that counts as rest. */
const QUIET_TURNS = 3

/**
 * Opens a spine for a test. Works with any test runner.
 *
 * @example
 * const spine = await testSpine({ agents: [inquiry] })
 * spine.step('inquiry/extract', { service: 'haircut', day: 'friday' })
 * const { request } = await spine.publish(Inquiry, { text: 'a haircut on friday' })
 * expect((await spine.settled(request)).status).toBe('done')
 * await spine.close()
 */
export async function testSpine(options: TestSpineOptions): Promise<TestSpine> {
  checkSpineOptions(options, 'testSpine', TEST_SPINE_OPTIONS)
  const world = new TestWorld(options, () => 'none')
  await world.start()
  return world.spine
}

export class TestWorld {
  readonly clock = new VirtualClock()
  readonly log = new SimulatedLog()
  readonly spine: TestSpine
  crashes = 0
  appends = 0
  readonly warnings: string[] = []
  readonly #options: TestSpineOptions
  readonly #faultAt: (append: number) => AppendFault
  readonly #random
  readonly #handlers = new Map<string, AnyHandler>()
  readonly #references = new Map<string, AnyAgent>()
  readonly #steps = new Map<string, StepFunction>()
  readonly #crashesAt = new Set<string>()
  #process: SimulatedProcess | undefined
  #starting: Promise<SimulatedProcess> | undefined
  #hosting: Promise<unknown> = Promise.resolve()
  #keys = 0
  #isClosed = false

  /** `faultAt` is asked for every append of every process in turn, counted from 1. */
  constructor(options: TestSpineOptions, faultAt: (append: number) => AppendFault) {
    this.#options = options
    this.#faultAt = faultAt
    this.#random = seededRandom(options.seed ?? 'test')
    this.spine = this.#facade()
  }

  /** The process is there; one that dies while it starts is started again. */
  start(): Promise<SimulatedProcess> {
    this.#starting ??= this.#startUntilAlive()
    return this.#starting
  }

  /** The process dies, and is started again at once. */
  crash(): Promise<unknown> {
    this.crashes++
    const dead = this.#process
    // One that dies while it starts is noticed by whoever starts it.
    if (dead !== undefined) {
      this.#process = undefined
      this.#starting = undefined
      dead.kill()
    }
    return this.start()
  }

  async #startUntilAlive(): Promise<SimulatedProcess> {
    for (;;) {
      const crashed = this.crashes
      const engine = this.log.engine({
        faultAt: () => this.#faultAt(++this.appends),
        // On a turn of its own: the process dies in the middle of a call, which must not return into a new one.
        onKilled: () => void this.crash().catch(() => undefined),
      })
      const { replay, seed, pendingInMemory, ...spineOptions } = this.#options
      const agents = [...spineOptions.agents, ...this.#references.values()]
      try {
        const starting = SimulatedProcess.start(
          {
            ...spineOptions,
            agents,
            engine,
            clock: this.clock,
            random: this.#random,
            logger: { warn: (line) => this.warnings.push(line) },
          },
          this.#interception(),
        )
        const process = await whileAlive(starting, () => this.crashes > crashed)
        if (process !== undefined) {
          this.#process = process
          return process
        }
      } catch (error) {
        if (this.crashes === crashed) throw error
      }
    }
  }

  #interception(): Interception {
    const { pendingInMemory } = this.#options
    return {
      ...(pendingInMemory === undefined ? {} : { pendingInMemory }),
      replaysAlways: (this.#options.replay ?? 'always') === 'always',
      handlerOf: (agent) => this.#handlers.get(agent.name) ?? agent.handler,
      stepOf: (agent, name, run) => {
        const place = `${agent.name}/${name}`
        const replaced = this.#steps.get(place) ?? run
        return this.#crashesAt.has(place) ? (step) => this.#runAndCrash(place, replaced, step) : replaced
      },
    }
  }

  async #runAndCrash(place: string, run: StepFunction, step: StepContext): Promise<unknown> {
    await run(step)
    if (this.#crashesAt.delete(place)) void this.crash()
    return new Promise(() => {})
  }

  /** An operation of an outside client: it is tried again when the process died under it. */
  async #persist<Result>(operation: (spine: Spine) => Promise<Result>): Promise<Result> {
    for (;;) {
      const process = await this.start()
      await this.#hosting
      const crashed = this.crashes
      try {
        const result = await operation(process.spine)
        if (this.crashes === crashed) return result
      } catch (error) {
        if (this.crashes === crashed) throw error
      }
    }
  }

  /** A wait: time passes as far as it has to, from one thing that becomes due to the next. */
  async #pump<Result>(waiting: Promise<Result>): Promise<Result> {
    let isDone = false
    const done = () => {
      isDone = true
    }
    waiting.then(done, done)
    while (!isDone) {
      await this.idle(() => isDone)
      if (isDone) break
      if (!this.clock.fireNext(Number.POSITIVE_INFINITY)) break
    }
    return waiting
  }

  async idle(isEnough: () => boolean = () => false): Promise<void> {
    const until = systemClock.now() + REAL_WAIT_MS_MAX
    for (let quiet = 0, turns = 0; quiet < QUIET_TURNS && !isEnough(); turns++) {
      await nextTurn()
      const process = this.#process
      const isIdle = this.#isClosed || (process !== undefined && (process.isIdle || !process.isAlive))
      quiet = isIdle ? quiet + 1 : 0
      if (isIdle || turns < 1_000) continue
      if (systemClock.now() > until) throw this.#stillRunning()
      await new Promise<void>((resolve) => systemClock.setTimer(systemClock.now() + 1, resolve))
    }
  }

  #stillRunning(): SpineError {
    const runs = [...(this.#process?.runtime.liveRuns ?? [])].filter((run) => run.phase !== 'suspended')
    return new SpineError(
      'SPINE_WAIT_TIMEOUT',
      `Still running after ${REAL_WAIT_MS_MAX} ms of real time: ${runs.map((run) => run.agent.name).join(', ')}.`,
      {
        limit: REAL_WAIT_MS_MAX,
        fix: 'A handler or step waits for something that never comes; virtual time passes only through advance().',
      },
    )
  }

  async advance(duration: Duration): Promise<void> {
    const until = this.clock.now() + durationMs(duration, 'advance')
    await this.idle()
    while (this.clock.fireNext(until)) await this.idle()
    this.clock.advanceTo(until)
  }

  #mock(agent: AnyAgent, handler: AnyHandler): void {
    this.#handlers.set(agent.name, handler)
    const known =
      this.#process?.runtime.hosted.has(agent.name) || this.#options.agents.some(({ name }) => name === agent.name)
    if (known || this.#references.has(agent.name)) return
    const hosted = { name: agent.name, options: agent.options, handler }
    this.#references.set(agent.name, hosted)
    const hosting = this.#process?.runtime.host(hostAgent(hosted))
    this.#hosting = Promise.all([this.#hosting, hosting?.catch(() => undefined)])
  }

  #step(place: string, replacement: unknown): void {
    const run = typeof replacement === 'function' ? (replacement as StepFunction) : () => replacement
    this.#steps.set(place, run)
  }

  async #events(type?: AnyEventType): Promise<readonly SpineEvent[]> {
    const { runtime } = await this.start()
    const found: SpineEvent[] = []
    for (let after = 0; ; ) {
      const page = await runtime.engine.read({ after, limit: 1_000 })
      for (const record of page) {
        const isWanted = type === undefined ? !record.type.startsWith('spine.') : record.type === type.type
        if (isWanted) found.push(toEvent(record, runtime.types))
      }
      const last = page.at(-1)
      if (last === undefined) return found
      after = last.sequence
    }
  }

  #current(): Spine {
    if (this.#process === undefined)
      throw new SpineError('SPINE_CLOSED', 'The process is being started again.', { fix: 'Await spine.idle() first.' })
    return this.#process.spine
  }

  #facade(): TestSpine {
    const world = this
    const persist = <Result>(operation: (spine: Spine) => Promise<Result>) => this.#persist(operation)
    const wait = <Result>(operation: (spine: Spine) => Promise<Result>) => this.#pump(this.#persist(operation))
    /** A client that tries again needs a key of its own for each thing that it publishes. */
    const keyed = <Options extends { readonly idempotencyKey?: string }>(options: Options | undefined) => {
      const own = options?.idempotencyKey === undefined
      return {
        own,
        options: { ...options, idempotencyKey: options?.idempotencyKey ?? `test ${++this.#keys}` } as Options,
      }
    }
    const close: Spine['close'] = async (options) => {
      this.#isClosed = true
      const process = await this.start()
      await this.#pump(process.spine.close(options))
    }
    return {
      publish: async (type, data, options) => {
        const { own, options: all } = keyed(options)
        const published = await persist((spine) => spine.publish(type, data, all))
        return own ? { ...published, duplicate: false } : published
      },
      publishAll: (messages, options) => persist((spine) => spine.publishAll(messages, options)),
      start: async (target, input, options) => {
        const { own, options: all } = keyed(options)
        const handle = await persist((spine) => spine.start(target, input, all))
        const again = (spine: Spine) => spine.start(target, input, all)
        return {
          ...handle,
          duplicate: own ? false : handle.duplicate,
          result: (how) => wait(async (spine) => (await again(spine)).result(how)),
          cancel: (why) => persist(async (spine) => (await again(spine)).cancel(why)),
          setPriority: (priority, why) => persist(async (spine) => (await again(spine)).setPriority(priority, why)),
        }
      },
      settled: (request, options) => wait((spine) => spine.settled(request, options)),
      waitFor: (type, options) => wait((spine) => spine.waitFor(type, options)),
      log: { read: (query) => this.#current().log.read(query), tail: (options) => this.#current().log.tail(options) },
      sessions: { get: (id, options) => persist((spine) => spine.sessions.get(id, options)) },
      agents: {
        list: () => this.#current().agents.list(),
        remove: (name) => persist((spine) => spine.agents.remove(name)),
        rename: (name, to) => persist((spine) => spine.agents.rename(name, to)),
        pause: (name, why) => persist((spine) => spine.agents.pause(name, why)),
        resume: (name) => persist((spine) => spine.agents.resume(name)),
      },
      requests: {
        get: (id) => persist((spine) => spine.requests.get(id)),
        cancel: (id, why) => persist((spine) => spine.requests.cancel(id, why)),
        setPriority: (id, priority, why) => persist((spine) => spine.requests.setPriority(id, priority, why)),
        raiseBudget: (id, amounts, why, options) => {
          const all = keyed(options).options
          return persist((spine) => spine.requests.raiseBudget(id, amounts, why, all))
        },
        restart: (id, why) => persist((spine) => spine.requests.restart(id, why)),
      },
      deadLetters: {
        list: (filter) => persist((spine) => spine.deadLetters.list(filter)),
        get: (id) => persist((spine) => spine.deadLetters.get(id)),
        redrive: (id) => persist((spine) => spine.deadLetters.redrive(id)),
        discard: (id, why) => persist((spine) => spine.deadLetters.discard(id, why)),
      },
      close,
      [Symbol.asyncDispose]: () => close(),
      now: () => this.clock.now(),
      advance: (duration) => this.advance(duration),
      idle: () => this.idle(),
      mock: (agent, handler) => this.#mock(agent as AnyAgent, handler as unknown as AnyHandler),
      step: (place, replacement) => this.#step(place, replacement),
      crashAt: (place) => void this.#crashesAt.add(place),
      crash: async () => void (await this.crash()),
      get crashes() {
        return world.crashes
      },
      get warnings() {
        return world.warnings
      },
      events: ((type?: AnyEventType) => this.#events(type)) as TestSpine['events'],
    }
  }
}

/** `undefined` when the process that is being started has died instead. */
async function whileAlive<Result>(starting: Promise<Result>, isDead: () => boolean): Promise<Result | undefined> {
  let settled: { readonly value: Result } | { readonly error: unknown } | undefined
  starting.then(
    (value) => {
      settled = { value }
    },
    (error: unknown) => {
      settled = { error }
    },
  )
  while (settled === undefined && !isDead()) await nextTurn()
  if (settled === undefined || isDead()) return undefined
  if ('error' in settled) throw settled.error
  return settled.value
}
