import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SpineError } from './errors.ts'
import { canonicalJson, encodeJson, freezeJson, type Json, utf8Bytes } from './json.ts'
import { limits } from './limits.ts'

const ROOMY = 1_000_000

/** What JSON can say, without the keys that J3 refuses. */
const json = fc.jsonValue().filter((value) => !/"(__proto__|constructor|prototype)":/.test(JSON.stringify(value)))

function refusal(value: unknown, bytesMax = ROOMY): SpineError {
  try {
    encodeJson(value, 'data', bytesMax)
  } catch (error) {
    if (SpineError.is(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}

function nested(levels: number): unknown {
  return levels === 0 ? 1 : [nested(levels - 1)]
}

describe('encodeJson', () => {
  it('gives the value that reading the text back gives (J1)', () => {
    fc.assert(
      fc.property(json, (value) => {
        const encoded = encodeJson(value, 'data', ROOMY)
        expect(encoded.value).toStrictEqual(JSON.parse(encoded.json))
      }),
    )
  })

  it('either refuses a value or changes nothing in it that JSON would change (J1, J2)', () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withMap: true, withBigInt: true, withSparseArray: true }), (value) => {
        try {
          const encoded = encodeJson(value, 'data', ROOMY)
          expect(encoded.value).toStrictEqual(JSON.parse(encoded.json))
        } catch (error) {
          expect(SpineError.is(error)).toBe(true)
        }
      }),
    )
  })

  it('drops properties without a value, as JSON does, and writes -0 as 0', () => {
    expect(encodeJson({ a: undefined, b: -0 }, 'data', ROOMY)).toStrictEqual({ json: '{"b":0}', value: { b: 0 } })
  })

  it('freezes all the way down and leaves the original alone (J3)', () => {
    const original = { list: [{ a: 1 }] }
    const value = encodeJson(original, 'data', ROOMY).value as typeof original
    expect([value, value.list, value.list[0]].every((part) => Object.isFrozen(part))).toBe(true)
    expect(Object.isFrozen(original)).toBe(false)
  })

  class Booking {
    day = 'friday'
  }
  const refused: readonly (readonly [string, unknown, string])[] = [
    ['NaN', { a: [1, Number.NaN] }, 'data.a[1]: NaN'],
    ['Infinity', Number.POSITIVE_INFINITY, 'data: Infinity'],
    ['a bigint', { a: 1n }, 'data.a: bigint'],
    ['a function', { a: () => 1 }, 'data.a: function'],
    ['a symbol', Symbol('x'), 'data: symbol'],
    ['undefined', undefined, 'data: undefined'],
    ['undefined in a list', [undefined], 'data[0]: undefined'],
    ['a hole', new Array(2), 'data[0]: undefined'],
    ['a Date', { when: new Date(0) }, 'data.when: a Date'],
    ['a Map', new Map(), 'data: a Map'],
    ['bytes', new Uint8Array(2), 'data: a Uint8Array'],
    ['an instance of a class', new Booking(), 'data: a Booking'],
    ['a boxed text', Object('x'), 'data: a String'],
    ['an own __proto__', JSON.parse('{"a":{"__proto__":1}}'), 'data.a: the key "__proto__"'],
    ['an own constructor', { constructor: 1 }, 'data: the key "constructor"'],
  ]
  it.each(refused)('refuses %s with its path and a way out (J2)', (_, value, text) => {
    const error = refusal(value)
    expect(error.code).toBe('SPINE_PAYLOAD_NOT_JSON')
    expect(error.message).toContain(text)
    expect(error.fix).toBeTruthy()
  })

  it('takes plain objects without a prototype', () => {
    expect(encodeJson(Object.assign(Object.create(null), { a: 1 }), 'data', ROOMY).json).toBe('{"a":1}')
  })

  it('takes the deepest value that is allowed and refuses the next one', () => {
    expect(encodeJson(nested(limits.payloadDepthMax), 'data', ROOMY).json).toHaveLength(2 * limits.payloadDepthMax + 1)
    expect(refusal(nested(limits.payloadDepthMax + 1)).code).toBe('SPINE_PAYLOAD_TOO_DEEP')
  })

  it('refuses a value that contains itself', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(refusal(cycle).code).toBe('SPINE_PAYLOAD_TOO_DEEP')
  })

  it('refuses at once what is small in memory and endless in JSON', () => {
    let value: unknown = 1
    for (let level = 0; level < 60; level++) value = [value, value]
    expect(refusal(value, limits.payloadBytesMax).code).toBe('SPINE_PAYLOAD_TOO_LARGE')
  })

  it('measures the limit in bytes, not in characters', () => {
    // Two quotes and three bytes for each sign.
    expect(encodeJson('€€', 'data', 8).json).toBe('"€€"')
    const error = refusal('€€', 7)
    expect(error.code).toBe('SPINE_PAYLOAD_TOO_LARGE')
    expect(error).toMatchObject({ value: 8, limit: 7 })
  })
})

describe('utf8Bytes', () => {
  it('counts what an encoder would write, half surrogate pairs included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 0xd800, max: 0xdfff }), (text, half) => {
        const broken = text + String.fromCharCode(half) + text
        expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length)
        expect(utf8Bytes(broken)).toBe(new TextEncoder().encode(broken).length)
      }),
    )
  })
})

describe('canonicalJson', () => {
  function withKeysReversed(value: Json): Json {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item: Json) => withKeysReversed(item))
    const entries = Object.entries(value).map(([key, item]) => [key, withKeysReversed(item)] as const)
    return Object.fromEntries(entries.reverse())
  }

  it('does not depend on the order of keys and means the same value', () => {
    fc.assert(
      fc.property(json, (value) => {
        const plain = encodeJson(value, 'data', ROOMY).value
        expect(canonicalJson(withKeysReversed(plain))).toBe(canonicalJson(plain))
        expect(JSON.parse(canonicalJson(plain))).toStrictEqual(plain)
      }),
    )
  })

  it('tells different values apart', () => {
    fc.assert(
      fc.property(json, json, (left, right) => {
        const [a, b] = [encodeJson(left, 'data', ROOMY).value, encodeJson(right, 'data', ROOMY).value]
        expect(canonicalJson(a) === canonicalJson(b)).toBe(canonicalJson([a]) === canonicalJson([b]))
      }),
    )
    expect(canonicalJson({ a: '1' })).not.toBe(canonicalJson({ a: 1 }))
    expect(canonicalJson({ a: [] })).not.toBe(canonicalJson({ a: {} }))
  })
})

describe('freezeJson', () => {
  it('freezes a parsed value all the way down', () => {
    const value = freezeJson(JSON.parse('{"a":[{"b":1}]}') as { a: [{ b: number }] })
    expect([value, value.a, value.a[0]].every((part) => Object.isFrozen(part))).toBe(true)
  })
})
