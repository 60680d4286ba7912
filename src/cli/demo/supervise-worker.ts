/**
 * Keeps the working process at work: kills it when the plan says so, starts it again at once, listens to it.
 *
 * A kill that is due waits for the worst moment: a service has carried out an effect, and its answer has not arrived.
 * With several conversations in flight the others are at that moment just anywhere. With `moments` it kills by chance
 * instead, and also while the process is still starting.
 */
import type { ChildProcess } from 'node:child_process'
import { CommandError } from '../command-error.ts'
import { ended, startChildProcess } from './child-process.ts'
import type { Display } from './display.ts'
import type { KillMoment, KillMoments } from './kill-moments.ts'
import type { KillPlan } from './kill-plan.ts'
import type { Scoreboard } from './scoreboard.ts'
import type { Services } from './services.ts'
import type { WorkerProcessConfig, WorkerMessage } from './worker-process.ts'

export type Finished = Extract<WorkerMessage, { readonly kind: 'finished' }>

export interface SuperviseOptions {
  readonly config: WorkerProcessConfig
  readonly plan: KillPlan
  readonly moments: KillMoments | undefined
  readonly services: Services
  readonly scoreboard: Scoreboard
  readonly display: Display
  readonly signal: AbortSignal
}

/** A kill does not wait longer than this for the worst moment: there may be no effect left. */
const WORST_MOMENT_WITHIN_MS = 250

/** Resolves when a working process has played everything to its end. */
export async function superviseWorker(options: SuperviseOptions): Promise<Finished> {
  for (;;) {
    options.signal.throwIfAborted()
    const finished = await new WorkingLife(options).end()
    if (finished !== undefined) return finished
  }
}

/** One working process from its start to its end. */
class WorkingLife {
  readonly #options: SuperviseOptions
  readonly #child: ChildProcess
  readonly #moment: KillMoment | undefined
  readonly #startedAt = performance.now()
  #killedAt: number | undefined
  #killTimer: NodeJS.Timeout | undefined
  #finished: Finished | undefined
  #failure: string | undefined

  constructor(options: SuperviseOptions) {
    this.#options = options
    const { config, display } = options
    const script = new URL('./worker-process.js', import.meta.url)
    this.#child = startChildProcess(script, config, (line) => display.line(`  ${line}`))
    this.#child.on('message', (message: WorkerMessage) => this.#hear(message))
    this.#moment = options.moments?.take()
    this.#killIn('starting')
  }

  /** Resolves with `undefined` when it was killed as planned, rejects when it ended in any other way. */
  async end(): Promise<Finished | undefined> {
    const { services, scoreboard, signal } = this.#options
    const stop = () => this.#child.kill('SIGKILL')
    signal.addEventListener('abort', stop)
    try {
      const how = await Promise.race([ended(this.#child), services.failed])
      signal.throwIfAborted()
      if (this.#finished !== undefined) return this.#finished
      if (this.#killedAt === undefined) {
        throw new CommandError(this.#failure ?? `The working process ended by itself (${how}).`)
      }
      scoreboard.killed(this.#killedAt)
      return undefined
    } finally {
      signal.removeEventListener('abort', stop)
      services.onCarriedOut = undefined
      clearTimeout(this.#killTimer)
      stop()
    }
  }

  #hear(message: WorkerMessage): void {
    const { scoreboard, display, plan, moments } = this.#options
    switch (message.kind) {
      case 'ready':
        scoreboard.ready()
        moments?.started(performance.now() - this.#startedAt)
        this.#killIn('working')
        break
      case 'progressing':
        moments?.progressed()
        this.#killIn('progressing')
        break
      case 'resumed':
        scoreboard.resumed(message.dialogue, message.turns)
        break
      case 'settled':
        this.#tellRecovery(scoreboard.settled(message))
        display.progress(() => describeProgress(scoreboard))
        if (this.#killTimer === undefined && plan.takeDue(scoreboard.settledTurns)) this.#orderKill()
        break
      case 'shown':
        display.line(`  ${message.dialogue}, turn ${message.turn + 1}`)
        for (const line of message.lines) display.line(line)
        break
      case 'finished':
        this.#finished = message
        break
      case 'failed':
        this.#failure = message.message
    }
  }

  #killIn(phase: KillMoment['phase']): void {
    if (this.#moment?.phase === phase) this.#killTimer = setTimeout(() => this.#kill(), this.#moment.delayMs)
  }

  #orderKill(): void {
    this.#options.services.onCarriedOut = () => this.#kill()
    this.#killTimer = setTimeout(() => this.#kill(), WORST_MOMENT_WITHIN_MS)
  }

  #kill(): void {
    if (this.#killedAt !== undefined || this.#finished !== undefined) return
    this.#killedAt = performance.now()
    this.#child.kill('SIGKILL')
  }

  #tellRecovery(recoveryMs: number | undefined): void {
    if (recoveryMs === undefined) return
    const { scoreboard, display } = this.#options
    display.line(`  kill ${scoreboard.kills}: SIGKILL; the next turn settled ${Math.round(recoveryMs)} ms later`)
  }
}

function describeProgress({ settledTurns, turns, played, kills, playedMs }: Scoreboard): string {
  const share = Math.floor((100 * settledTurns) / turns)
  const perSecond = playedMs === 0 ? 0 : Math.round((1000 * played) / playedMs)
  const killed = kills === 0 ? '' : `, ${kills} ${kills === 1 ? 'kill' : 'kills'}`
  return `  ${settledTurns} of ${turns} turns settled (${share} %), ${perSecond} a second${killed}`
}
