/** The stand-in for the language model: it looks up what the turn's annotation says a perfect model would have read. */
import type { Json } from '../../index.ts'
import { fraction, seededRandom } from '../../kernel/random.ts'
import { type Dialogue, effectsOf, type ServiceCall } from './dialogue.ts'
import { type Latency, latencyMs, pauseFor } from './latency.ts'

export interface Reading {
  /** What the customer wants, such as `Dentist.BookVisit`; `none` when it is small talk. */
  readonly intent: string
  /** What has to be asked of the services, in order. */
  readonly calls: readonly ServiceCall[]
  /** From 0 to 1: how sure the model is that it has read the turn right. */
  readonly confidence: number
}

export class Model {
  readonly #dialogues: ReadonlyMap<string, Dialogue>
  readonly #latency: Latency

  constructor(dialogues: ReadonlyMap<string, Dialogue>, latency: Latency) {
    this.#dialogues = dialogues
    this.#latency = latency
  }

  async read(dialogue: string, turn: number, signal: AbortSignal): Promise<Reading> {
    await pauseFor(latencyMs(this.#latency, `${dialogue}/${turn}`), signal)
    const annotated = this.#dialogues.get(dialogue)?.turns[turn]
    if (annotated === undefined) throw new Error(`no annotation for turn ${turn} of '${dialogue}'`)
    const active = Object.entries(annotated.state).find(([, { intent }]) => intent !== 'NONE')
    return {
      intent: active === undefined ? 'none' : `${active[0]}.${active[1].intent}`,
      calls: [
        ...(annotated.corrects === true ? this.#ordersOf(dialogue, turn - 1) : []),
        ...(annotated.calls ?? []).map(({ results: _ofTheService, ...call }) => call),
      ],
      confidence: confidenceIn(`${dialogue}/${turn}`),
    }
  }

  /** What is to be taken back when that turn is corrected. */
  #ordersOf(dialogue: string, turn: number): readonly ServiceCall[] {
    const corrected = this.#dialogues.get(dialogue)?.turns[turn]
    return corrected === undefined
      ? []
      : effectsOf(corrected).map((order) => ({ ...order, effect: true, takesBack: turn }))
  }
}

/** Modelled, as the annotations have none: mostly near 1, below 0.6 in one turn of twelve, the same in every run. */
function confidenceIn(turn: string): number {
  return Math.round(100 * (1 - 0.8 * fraction(seededRandom(`confidence in ${turn}`)) ** 8)) / 100
}

/** What the document agent would have a model write. */
export function writeConfirmation(method: string, parameters: { readonly [name: string]: Json }): string {
  const details = Object.entries(parameters).map(([name, value]) => `${name.replaceAll('_', ' ')} ${String(value)}`)
  return `Confirmed: ${method} (${details.join(', ')})`
}
