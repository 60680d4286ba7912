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
 * A repeatable generator for any text seed: `ctx.random()` and `ctx.uuid()` are seeded with (delivery, generation, call).
 *
 * The state is 128 bits wide, because every call makes a generator of its own and takes an id from it: with 32 bits,
 * two of 77,000 ids would be more likely equal than not. The step is sfc32 (Doty-Humphrey, PractRand, public domain).
 */
export function seededRandom(seed: string): Random {
  let [a, b, c, d] = hashText(seed)
  return {
    uint32() {
      const sum = (a + b + d) | 0
      d = (d + 1) | 0
      a = b ^ (b >>> 9)
      b = (c + (c << 3)) | 0
      c = (((c << 21) | (c >>> 11)) + sum) | 0
      return sum >>> 0
    },
  }
}

/** Four FNV-1a hashes with odd factors of their own, each finished with the one before it mixed in. */
function hashText(text: string): [number, number, number, number] {
  let [a, b, c, d] = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35]
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x5bd1e995)
    c = Math.imul(c ^ unit, 0x27d4eb2f)
    d = Math.imul(d ^ unit, 0x165667b1)
  }
  a = mix(a)
  b = mix(b ^ a)
  c = mix(c ^ b)
  d = mix(d ^ c)
  return [a ^ d, b, c, d]
}

/** MurmurHash3's finalizer: every bit of the input reaches every bit of the result. */
function mix(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
