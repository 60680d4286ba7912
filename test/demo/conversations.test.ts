/** The conversations that come with the project: complete, consistent, and varied enough to be worth playing. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

interface Call {
  readonly service: string
  readonly method: string
  readonly parameters: { readonly [name: string]: string }
  readonly effect: boolean
  readonly results: readonly unknown[]
}
interface Turn {
  readonly user: string
  readonly system: string
  readonly state: { readonly [service: string]: { readonly intent: string } }
  readonly calls?: readonly Call[]
  readonly corrects?: boolean
}
interface Dialogue {
  readonly id: string
  readonly services: readonly string[]
  readonly turns: readonly Turn[]
  readonly priority?: string
  readonly effects: readonly Omit<Call, 'effect' | 'results'>[]
}

const lines = readFileSync(new URL('../../demo/conversations.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
const dialogues = lines.map((line) => JSON.parse(line) as Dialogue)
const callsOf = ({ calls = [] }: Turn) => calls
const effectsOf = (turn: Turn) => callsOf(turn).filter(({ effect }) => effect)
const readsOf = (turn: Turn) => callsOf(turn).filter(({ effect }) => !effect)
const servicesOf = (calls: readonly Call[]) => new Set(calls.map(({ service }) => service))
const turns = dialogues.flatMap((dialogue) => dialogue.turns)

describe('demo/conversations.jsonl', () => {
  it.each(dialogues.map((dialogue) => [dialogue.id, dialogue] as const))(
    '%s is complete and consistent',
    (_id, dialogue) => {
      expect(dialogue.turns.length).toBeGreaterThanOrEqual(4)
      expect(dialogue.turns.length).toBeLessThanOrEqual(10)
      const effects = dialogue.turns
        .filter((_, index) => dialogue.turns[index + 1]?.corrects !== true)
        .flatMap(effectsOf)
        .map(({ service, method, parameters }) => ({ service, method, parameters }))
      expect(dialogue.effects).toEqual(effects)
      const used = servicesOf(dialogue.turns.flatMap(callsOf))
      expect(dialogue.services).toEqual(expect.arrayContaining([...used]))
      for (const turn of dialogue.turns) {
        expect(turn.user).not.toBe('')
        expect(turn.system).not.toBe('')
        expect(Object.keys(turn.state).length).toBeGreaterThan(0)
        for (const call of callsOf(turn)) expect(call.results.length).toBeGreaterThan(0)
      }
    },
  )

  it('are at least 24, each with an id of its own', () => {
    expect(dialogues.length).toBeGreaterThanOrEqual(24)
    expect(new Set(dialogues.map(({ id }) => id)).size).toBe(dialogues.length)
  })

  it('cover what an office has to cope with', () => {
    const has = (what: string, found: boolean) => expect(found, what).toBe(true)
    has(
      'no effects',
      dialogues.some(({ effects }) => effects.length === 0),
    )
    has(
      'three services',
      dialogues.some(({ effects }) => new Set(effects.map(({ service }) => service)).size >= 3),
    )
    has(
      'three reads in a turn',
      turns.some((turn) => readsOf(turn).length >= 3),
    )
    has(
      'a read, then an effect',
      turns.some((turn) => callsOf(turn)[0]?.effect === false && effectsOf(turn).length > 0),
    )
    has(
      'an effect, then a read',
      turns.some((turn) => callsOf(turn)[0]?.effect === true && readsOf(turn).length > 0),
    )
    has(
      'effects of two services in a turn',
      turns.some((turn) => servicesOf(effectsOf(turn)).size >= 2),
    )
    has('three changes of mind', turns.filter(({ corrects }) => corrects).length >= 3)
    has(
      'a change of mind that only cancels',
      turns.some((turn) => turn.corrects === true && callsOf(turn).length === 0),
    )
    has(
      'somebody in a hurry',
      dialogues.some(({ priority }) => priority === 'critical'),
    )
    has(
      'two effects of one service in a turn',
      turns.some((turn) => effectsOf(turn).length > servicesOf(effectsOf(turn)).size),
    )
  })

  it('repeat an effect later with other parameters, and once with the very same', () => {
    const methods = (dialogue: Dialogue) => dialogue.effects.map(({ service, method }) => `${service}.${method}`)
    const texts = (dialogue: Dialogue) => dialogue.effects.map((effect) => JSON.stringify(effect))
    const repeats = (all: readonly string[]) => new Set(all).size < all.length
    expect(dialogues.some((one) => repeats(methods(one)) && !repeats(texts(one)))).toBe(true)
    // Two equal presents are two effects: what tells them apart is the step, not the content.
    expect(dialogues.some((one) => repeats(texts(one)))).toBe(true)
  })
})
