/**
 * The verdict: whether the world ended up as the conversations say.
 *
 * Job: compare what the services' ledger holds with what was expected, dialogue by dialogue.
 * Not its job: trusting anyone. It counts by key and parameters, not by what a service said of an attempt, and it does
 * not look at the log at all.
 *
 * V1  `expected = done + missing`.
 * V2  Clean means: per dialogue the effects that were carried out, one per idempotency key in the order in which the
 *     keys first appear, equal the expected list with exactly its parameters (`expected-effects.ts`).
 */
import { canonicalJson } from '../../kernel/json.ts'
import type { Dialogue, Effect } from './dialogue.ts'
import { expectedEffects } from './expected-effects.ts'
import type { Attempt } from './ledger.ts'

export interface EffectCounts {
  readonly expected: number
  /** Expected, and carried out. */
  readonly done: number
  readonly missing: number
  /** Expected, but carried out more often: under another key, or without one. */
  readonly doubled: number
  /** Carried out but never expected, or a key used again for something else. */
  readonly wrong: number
  /** How many would have to be moved to give the expected order. */
  readonly outOfOrder: number
}

export interface LedgerCheck {
  readonly effects: EffectCounts
  /** The same key with the same parameters again: after a crash that is right, and no fault. */
  readonly repeatedAttempts: number
  /** Done, and taken back by a correction. */
  readonly takenBack: number
  /** Every fault in words, one line each. */
  readonly faults: readonly string[]
}

export function checkLedger(
  dialogues: readonly Pick<Dialogue, 'id' | 'turns'>[],
  attempts: readonly Attempt[],
): LedgerCheck {
  const { done, repeated, wrong } = sortOut(attempts)
  const faults = wrong.map((attempt) => fault(attempt.dialogue, 'wrong: its key was used for something else', attempt))
  const counts = { expected: 0, done: 0, missing: 0, doubled: 0, wrong: wrong.length, outOfOrder: 0 }
  const byDialogue = groupByDialogue(done)
  let takenBack = 0
  for (const dialogue of dialogues) {
    const { id } = dialogue
    const carriedOut = byDialogue.get(id) ?? []
    const expected = expectedEffects(dialogue, carriedOut)
    const { effects } = expected
    takenBack += expected.takenBack
    const found = compare(effects, carriedOut)
    byDialogue.delete(id)
    counts.expected += effects.length
    counts.done += found.matchedPlaces.length
    counts.missing += found.missing.length
    counts.doubled += found.doubled.length
    counts.wrong += found.wrong.length
    const displaced = countDisplaced(found.matchedPlaces)
    counts.outOfOrder += displaced
    faults.push(
      ...found.missing.map((effect) => fault(id, 'missing', effect)),
      ...found.doubled.map((effect) => fault(id, 'doubled', effect)),
      ...found.wrong.map((effect) => fault(id, 'wrong: nobody asked for it', effect)),
      ...(displaced === 0 ? [] : [`${id}: ${displaced} out of order`]),
    )
  }
  for (const [id, effects] of byDialogue) {
    counts.wrong += effects.length
    faults.push(...effects.map((effect) => fault(id, 'wrong: there is no such conversation', effect)))
  }
  return { effects: counts, repeatedAttempts: repeated.length, takenBack, faults }
}

/** What the attempts amount to, by the rule of idempotency keys: the first use of a key counts. */
function sortOut(attempts: readonly Attempt[]) {
  const done: Attempt[] = []
  const repeated: Attempt[] = []
  const wrong: Attempt[] = []
  const meanings = new Map<string, string>()
  for (const attempt of attempts) {
    const { idempotencyKey, dialogue } = attempt
    const meaning = `${dialogue} ${meaningOf(attempt)}`
    const first = idempotencyKey === undefined ? undefined : meanings.get(idempotencyKey)
    if (first === undefined) done.push(attempt)
    else if (first === meaning) repeated.push(attempt)
    else wrong.push(attempt)
    if (idempotencyKey !== undefined && first === undefined) meanings.set(idempotencyKey, meaning)
  }
  return { done, repeated, wrong }
}

/** Pairs each carried-out effect with the first expected one of that meaning that has no partner yet. */
function compare(expected: readonly Effect[], carriedOut: readonly Effect[]) {
  const open = new Map<string, number[]>()
  for (const [index, effect] of expected.entries()) {
    const places = open.get(meaningOf(effect)) ?? []
    open.set(meaningOf(effect), places)
    places.push(index)
  }
  const matchedPlaces: number[] = []
  const doubled: Effect[] = []
  const wrong: Effect[] = []
  for (const effect of carriedOut) {
    const places = open.get(meaningOf(effect))
    const place = places?.shift()
    if (place !== undefined) matchedPlaces.push(place)
    else if (places !== undefined) doubled.push(effect)
    else wrong.push(effect)
  }
  const missing = [...open.values()].flat().map((index) => expected[index] as Effect)
  return { matchedPlaces, doubled, wrong, missing }
}

/** All but the longest run of places that rises: the fewest that would have to move. */
function countDisplaced(places: readonly number[]): number {
  const lengths: number[] = []
  for (const [index, place] of places.entries()) {
    const before = places.slice(0, index).map((earlier, at) => (earlier < place ? (lengths[at] as number) : 0))
    lengths.push(1 + Math.max(0, ...before))
  }
  return places.length - Math.max(0, ...lengths)
}

/** Node 20 has no `Map.groupBy`. */
function groupByDialogue(attempts: readonly Attempt[]): Map<string, Attempt[]> {
  const groups = new Map<string, Attempt[]>()
  for (const attempt of attempts) {
    const group = groups.get(attempt.dialogue)
    if (group === undefined) groups.set(attempt.dialogue, [attempt])
    else group.push(attempt)
  }
  return groups
}

function meaningOf({ service, method, parameters }: Effect): string {
  return canonicalJson({ service, method, parameters })
}

function fault(dialogue: string, what: string, effect: Effect): string {
  return `${dialogue}: ${what}: ${effect.service}.${effect.method} ${canonicalJson(effect.parameters)}`
}
