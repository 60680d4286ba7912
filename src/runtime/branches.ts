/**
 * Which promise of a handler stands for which command, and on behalf of which branch it asks.
 *
 * Job: the identity of promises, and the scopes of branches that are functions. Not its job: what a gather makes of them
 * (`gather.ts`). One for each entering of a handler: a promise of another run, or of a handler that was replaced, is
 * foreign here.
 */
import { LazySignal } from './lazy-signal.ts'

/** Whether a branch came too late and was cancelled: what it asks for from then on has no effect. */
export class Lateness {
  readonly #parent: Lateness | undefined
  readonly #own = new LazySignal()
  #isLate = false

  constructor(parent: Lateness | undefined) {
    this.#parent = parent
  }

  get isLate(): boolean {
    return this.#isLate || this.#parent?.isLate === true
  }

  abort(reason: unknown): void {
    this.#isLate = true
    this.#own.abort(reason)
  }

  /** Fires when `stop` does, or when this branch, or one around it, is late. */
  signal(stop: AbortSignal): AbortSignal {
    return AbortSignal.any([this.#parent?.signal(stop) ?? stop, this.#own.signal])
  }
}

/** Where the commands of one branch are: their names begin with `prefix`. */
export interface Scope {
  readonly prefix: string
  readonly lateness: Lateness
}

export class Branches {
  readonly #ids = new WeakMap<object, string>()
  /** Promises of this `ctx` that were refused before anything was asked for. */
  readonly #refused = new WeakSet<object>()
  readonly #scopes = new Map<string, Scope>()
  /** Branches that are single commands, and late. */
  readonly #late = new Set<string>()
  /** The handler that they belong to has been replaced. */
  isAbandoned = false
  #scope: Scope | undefined
  #asked: string | undefined

  /** Who asks at this moment. */
  get scope(): Scope | undefined {
    return this.#scope
  }

  /** Calls `ask`; the promise that it returns stands for the command which it asked for. */
  track<Value>(scope: Scope | undefined, ask: () => Promise<Value>): Promise<Value> {
    const outer = this.#scope
    this.#scope = scope
    this.#asked = undefined
    try {
      const promise = ask()
      // Nobody may await it: a loser of a race, a forgotten call. It must not become an unhandled rejection.
      promise.catch(() => {})
      if (this.#asked !== undefined) this.#ids.set(promise, this.#asked)
      else this.#refused.add(promise)
      return promise
    } finally {
      this.#scope = outer
    }
  }

  /** A command has been asked for. */
  asked(id: string): void {
    this.#asked = id
    if (this.#scope !== undefined) this.#scopes.set(id, this.#scope)
  }

  idOf(promise: object): string | undefined {
    return this.#ids.get(promise)
  }

  /** It is from this `ctx`, and stands for no command: what was asked for made no sense. */
  isRefused(given: unknown): boolean {
    return typeof given === 'object' && given !== null && this.#refused.has(given)
  }

  scopeOf(id: string): Scope | undefined {
    return this.#scopes.get(id)
  }

  late(id: string): void {
    this.#late.add(id)
  }

  /** `scope`: whoever asked is late, and is told nothing more. `branch`: nobody waits for the command itself. */
  latenessOf(id: string): 'scope' | 'branch' | undefined {
    if (this.#scopes.get(id)?.lateness.isLate === true) return 'scope'
    return this.#late.has(id) ? 'branch' : undefined
  }
}

const SCOPES = /^(?:@gather#\d+\/[^/]*\/)+/

/** What the handler called the command: without the branches that it stands in, and without its occurrence. */
export function ownName(id: string): string {
  const name = id.slice(0, id.lastIndexOf('#'))
  return name.startsWith('@') ? name.replace(SCOPES, '') : name
}
