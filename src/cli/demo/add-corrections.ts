/**
 * Lets customers of any file change their mind: behind some turns that order something comes a correction, which orders the
 * same with one parameter changed, while the turn is still worked on.
 *
 * Not its job: when exactly the customer says so (`play-dialogues.ts`). The same file and share give the same corrections.
 */
import { fraction, seededRandom } from '../../kernel/random.ts'
import { type Dialogue, effectsOf, effectsThatStand, meaningOf, type Turn } from './dialogue.ts'

/** `share`: of the conversations that order something, from 0 to 1. Each is corrected once at most. */
export function addCorrections(dialogues: readonly Dialogue[], share: number): readonly Dialogue[] {
  return dialogues.map((dialogue) => {
    const isChosen = fraction(seededRandom(`whether ${dialogue.id} is corrected`)) < share
    return isChosen ? corrected(dialogue) : dialogue
  })
}

function corrected(dialogue: Dialogue): Dialogue {
  const { turns } = dialogue
  const place = turns.findIndex((turn, index) => isCorrectable(turn, turns[index + 1]))
  if (place === -1) return dialogue
  const withCorrection = [...turns.slice(0, place + 1), correctionOf(turns[place] as Turn), ...turns.slice(place + 1)]
  return { ...dialogue, turns: withCorrection, effects: [...effectsThatStand(withCorrection)] }
}

function isCorrectable(turn: Turn, next: Turn | undefined): boolean {
  const meanings = effectsOf(turn).map(meaningOf)
  if (meanings.length === 0 || new Set(meanings).size < meanings.length) return false
  return turn.corrects !== true && next?.corrects !== true
}

function correctionOf({ state, calls = [] }: Turn): Turn {
  const changed = { changed: 'as said at last' }
  return {
    user: 'No, wait: I would like that changed.',
    system: 'Changed.',
    state,
    corrects: true,
    calls: calls
      .filter(({ effect }) => effect)
      .map((call) => ({ ...call, parameters: { ...call.parameters, ...changed }, results: [changed] })),
  }
}
