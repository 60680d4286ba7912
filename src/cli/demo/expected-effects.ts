/**
 * What the ledger has to hold for a conversation, given which orders had been begun when they were corrected.
 *
 * An order whose effect had started before the correction came is finished, and taken back: it stands in the ledger, then its
 * cancellation, then what the customer wants now. One that had not started must not be there at all. Nothing in between.
 */
import { type Dialogue, type Effect, effectsOf, meaningOf, takingBack } from './dialogue.ts'
import type { Attempt } from './ledger.ts'

export interface Expected {
  readonly effects: readonly Effect[]
  /** Orders that were done before they were corrected. */
  readonly takenBack: number
}

/** `carriedOut`: of this conversation. */
export function expectedEffects({ turns }: Pick<Dialogue, 'turns'>, carriedOut: readonly Attempt[]): Expected {
  const effects: Effect[] = []
  let takenBack = 0
  for (const [index, turn] of turns.entries()) {
    const ordered = effectsOf(turn)
    if (turns[index + 1]?.corrects !== true) {
      effects.push(...ordered)
      continue
    }
    const found = carriedOut.filter((attempt) => attempt.turn === index).map(meaningOf)
    const done = ordered.filter((effect) => {
      const place = found.indexOf(meaningOf(effect))
      return place !== -1 && found.splice(place, 1).length === 1
    })
    effects.push(...done, ...done.map(takingBack))
    takenBack += done.length
  }
  return { effects, takenBack }
}
