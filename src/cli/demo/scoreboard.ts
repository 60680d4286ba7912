/** What the supervisor has been told so far. It outlives the working processes, so it counts each turn once. */
import type { PlayedTurn } from './play-dialogues.ts'

export class Scoreboard {
  /** How many turns there are to settle. */
  readonly turns: number
  readonly failures: string[] = []
  readonly latenciesMs: number[] = []
  readonly urgentLatenciesMs: number[] = []
  /** From each kill until a turn settled again. */
  readonly recoveriesMs: number[] = []
  kills = 0
  /** Turns that this run saw settle; the others had settled before. */
  played = 0
  readonly #settled = new Set<string>()
  #killedAt: number | undefined
  #startedAt: number | undefined
  #lastSettledAt: number | undefined

  constructor(turns: number) {
    this.turns = turns
  }

  get settledTurns(): number {
    return this.#settled.size
  }

  /** From the first working process being ready to the last turn, kills and restarts included. */
  get playedMs(): number {
    if (this.#startedAt === undefined || this.#lastSettledAt === undefined) return 0
    return this.#lastSettledAt - this.#startedAt
  }

  ready(): void {
    this.#startedAt ??= performance.now()
  }

  /**
   * A turn that is told of again after a restart changes nothing.
   *
   * @returns ms since the kill, when this is the first turn after one
   */
  settled({ dialogue, turn, latencyMs, isUrgent, failure }: PlayedTurn): number | undefined {
    const name = `${dialogue}/${turn}`
    if (this.#settled.has(name)) return undefined
    this.#settled.add(name)
    this.#lastSettledAt = performance.now()
    this.played++
    if (latencyMs !== undefined) (isUrgent ? this.urgentLatenciesMs : this.latenciesMs).push(latencyMs)
    if (failure !== undefined) this.failures.push(`${dialogue}, turn ${turn + 1}: ${failure}`)
    if (this.#killedAt === undefined) return undefined
    const recoveryMs = this.#lastSettledAt - this.#killedAt
    this.#killedAt = undefined
    this.recoveriesMs.push(recoveryMs)
    return recoveryMs
  }

  /** So many turns of the dialogue have settled before, in whatever process. */
  resumed(dialogue: string, turns: number): void {
    for (let turn = 0; turn < turns; turn++) this.#settled.add(`${dialogue}/${turn}`)
  }

  /** Called when the killed process has ended and all that it had said has been heard. */
  killed(at: number): void {
    this.kills++
    this.#killedAt = at
  }
}
