/** Where chance comes in: jitter and ids. Everything random takes one of these, so that one seed repeats a run. */
export interface Random {
  /** A uniformly distributed unsigned 32-bit integer. */
  uint32(): number
}

/** A number in [0, 1) with 32 bits of chance. */
export function fraction(random: Random): number {
  return random.uint32() / 2 ** 32
}

/**
 * A repeatable generator for any text seed: `ctx.random()` is one of these, seeded with (delivery, generation).
 * Mixing: MurmurHash3's finalizer over a Weyl sequence (the splitmix construction, Steele et al., 2014).
 */
export function seededRandom(seed: string): Random {
  let state = hashText(seed)
  return {
    uint32() {
      state = (state + 0x9e3779b9) | 0
      return mix(state)
    },
  }
}

function mix(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function hashText(text: string): number {
  let h = 0x811c9dc5
  for (let index = 0; index < text.length; index++) h = Math.imul(h ^ text.charCodeAt(index), 0x01000193)
  return mix(h)
}
