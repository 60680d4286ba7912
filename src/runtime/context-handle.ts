/** The `ctx` that a handler holds: the functions of a `RunContext`, made when they are asked for. */
import type { AnyAgent } from '../agent/agent.ts'
import type { Context, WaitForOptions } from '../agent/context.ts'
import type { GatherOptions } from '../agent/gather.ts'
import type { AnyEventType, SpineEvent } from '../agent/event-type.ts'
import type { Priority } from '../event/priority.ts'
import { createUuid } from '../kernel/ids.ts'
import { fraction } from '../kernel/random.ts'
import type { Scope } from './branches.ts'
import { requireId } from './require-id.ts'
import type { RunContext } from './run-context.ts'

/**
 * Its functions are made when they are asked for, because most runs use two or three of them, and are bound, because `({ text }, { step, emit }) => …` is how many people write a handler.
 */
export class ContextHandle implements Context {
  readonly #context: RunContext
  readonly #scope: Scope | undefined

  /** `scope`: of a branch of a gather. */
  constructor(context: RunContext, scope?: Scope) {
    this.#context = context
    this.#scope = scope
    Object.freeze(this)
  }

  get step(): Context['step'] {
    const context = this.#context
    return (name, run, options) => this.#ask(() => context.step(name, run, options)) as Promise<never>
  }

  get emit(): Context['emit'] {
    const context = this.#context
    return (type, data, options) => context.emit(type as AnyEventType, data, options)
  }

  get publish(): Context['publish'] {
    const context = this.#context
    return (type, data, options) => this.#ask(() => context.publish(type as AnyEventType, data, options))
  }

  get call(): Context['call'] {
    const context = this.#context
    return (target, input, options) =>
      this.#ask(() => context.call(target as AnyAgent, input, options)) as Promise<never>
  }

  get handoff(): Context['handoff'] {
    const context = this.#context
    return (target, input) => context.handoff(target as AnyAgent, input)
  }

  get route(): Context['route'] {
    const context = this.#context
    return (value, rules) => this.#ask(() => context.route(value, rules)) as Promise<never>
  }

  get sleep(): Context['sleep'] {
    const context = this.#context
    return (duration) => this.#ask(() => context.sleep(duration))
  }

  get waitFor(): Context['waitFor'] {
    const context = this.#context
    return (type, options) =>
      this.#ask(() => context.waitFor(type as AnyEventType, options as WaitForOptions)) as Promise<never>
  }

  get gather(): Context['gather'] {
    const context = this.#context
    return (branches: unknown, options?: GatherOptions) =>
      this.#ask(() => context.gather(branches, options)) as Promise<never>
  }

  get session(): Context['session'] {
    return this.#context.session()
  }

  get request(): SpineEvent {
    return this.#context.attempt.request()
  }

  get deadline(): Date | undefined {
    const { deadline } = this.#context.attempt.header
    return deadline === undefined ? undefined : new Date(deadline)
  }

  get priority(): Priority {
    return this.#context.attempt.header.priority ?? 'normal'
  }

  get hops(): number {
    return this.#context.attempt.header.hops
  }

  get signal(): AbortSignal {
    const stop = this.#context.attempt.signal()
    return this.#scope === undefined ? stop : this.#scope.lateness.signal(stop)
  }

  get attempt(): number {
    return this.#context.attempt.failedBefore + 1
  }

  get now(): Context['now'] {
    const { attempt } = this.#context
    return () => new Date(attempt.now())
  }

  get random(): Context['random'] {
    const context = this.#context
    return () => fraction(context.chance())
  }

  get uuid(): Context['uuid'] {
    const context = this.#context
    return () => createUuid(context.attempt.now(), context.chance())
  }

  get budget(): Context['budget'] {
    const context = this.#context
    return { remaining: () => this.#ask(() => context.remaining()) }
  }

  get spend(): Context['spend'] {
    const context = this.#context
    return (amounts) => context.spend(amounts)
  }

  get patched(): Context['patched'] {
    const { attempt } = this.#context
    return (id) => {
      requireId(id, 'patched: id')
      return attempt.patched(id)
    }
  }

  /** The promise that the handler gets: known by the command that it stands for. */
  #ask<Value>(ask: () => Promise<Value>): Promise<Value> {
    return this.#context.attempt.commands.branches.track(this.#scope, ask)
  }
}
