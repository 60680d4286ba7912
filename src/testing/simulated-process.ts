import { releaseProcess } from '../runtime/hold-process.ts'
import type { Interception } from '../runtime/run-host.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { SpineError } from '../kernel/errors.ts'
import { openSpine, type Spine, type SpineOptions } from '../spine.ts'
import type { SimulatedEngine } from './simulated-log.ts'

export interface ProcessOptions extends SpineOptions {
  readonly engine: SimulatedEngine
}

/** Nothing between a run and the code of its user. */
const PLAIN: Interception = {
  replaysAlways: false,
  handlerOf: (agent) => agent.handler,
  stepOf: (_agent, _name, run) => run,
}

/** One spine with the possibility to die at any moment, as a process does. */
export class SimulatedProcess {
  readonly spine: Spine
  readonly runtime: Runtime
  readonly #engine: SimulatedEngine
  #isAlive = true

  private constructor(spine: Spine, runtime: Runtime, engine: SimulatedEngine) {
    this.spine = spine
    this.runtime = runtime
    this.#engine = engine
  }

  static async start(options: ProcessOptions, interception?: Partial<Interception>): Promise<SimulatedProcess> {
    const { spine, runtime } = await openSpine(options, { ...PLAIN, ...interception })
    // What is simulated is not why the process runs.
    releaseProcess(runtime)
    return new SimulatedProcess(spine, runtime, options.engine)
  }

  get isAlive(): boolean {
    return this.#isAlive && !this.runtime.isClosed
  }

  get isIdle(): boolean {
    return this.runtime.isIdle
  }

  /** Nothing that it had under way has an effect on the log any more; who waits for it is told `SPINE_CLOSED`, unknown. */
  kill(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#engine.kill()
    this.runtime.abandon(killed())
  }
}

export function killed(): SpineError {
  return new SpineError('SPINE_CLOSED', 'The process was killed.', {
    outcome: 'unknown',
    fix: 'Try again with the same idempotency key.',
  })
}
