import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { freezeJson, type Json } from './json.ts'
import { includes, mergePatch } from './merge-patch.ts'

/** Appendix A of RFC 7396: original, patch, result. */
const RFC: readonly (readonly [Json, Json, Json])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

const json: fc.Arbitrary<Json> = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Json>(null, true, 0, 1, 'x'),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'toString'), tie('json'), { maxKeys: 3 }) as fc.Arbitrary<Json>,
    fc.array(tie('json'), { maxLength: 2 }),
  ),
})).json

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const keysOf = (value: Json) => (isObject(value) ? Object.keys(value) : [])

/** The pseudo code of RFC 7396 §2, as a question about each key of the result. */
function naive(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const base = isObject(target) ? target : {}
  const entries: [string, Json][] = []
  for (const key of new Set([...keysOf(base), ...keysOf(patch)])) {
    if (!Object.hasOwn(patch, key)) entries.push([key, base[key] as Json])
    else if (patch[key] !== null)
      entries.push([key, naive(Object.hasOwn(base, key) ? (base[key] as Json) : null, patch[key] as Json)])
  }
  return Object.fromEntries(entries)
}

describe('mergePatch', () => {
  it.each(RFC)('RFC 7396: %j with %j is %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result)
  })

  it('is the merge of the RFC for any two values', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => void expect(mergePatch(target, patch)).toEqual(naive(target, patch))),
    )
  })

  it('changes neither argument, and gives a frozen object', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const before = JSON.stringify([target, patch])
        const merged = mergePatch(freezeJson(target), freezeJson(patch))
        expect(JSON.stringify([target, patch])).toBe(before)
        expect(Object.isFrozen(merged)).toBe(true)
      }),
    )
  })

  it('twice is once', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const once = mergePatch(target, patch)
        expect(mergePatch(once, patch)).toEqual(once)
      }),
    )
  })

  it('shares what it did not change', () => {
    const kept = { deep: { value: 1 } }
    const merged = mergePatch({ kept, changed: 1 }, { changed: 2 }) as { kept: Json }
    expect(merged.kept).toBe(kept)
  })
})

describe('includes', () => {
  it('finds a part of an object field by field, but arrays whole', () => {
    const whole = { a: 1, b: { c: [1, { d: 2, e: 3 }], f: null } }
    const parts: Json[] = [{}, { a: 1 }, { b: {} }, { b: { f: null } }, { b: { c: [1, { d: 2 }] } }]
    expect(parts.filter((part) => !includes(whole, part))).toEqual([])
    const strangers: Json[] = [
      { a: 2 },
      { a: '1' },
      { b: { c: [1] } },
      { b: { c: [{ d: 2 }, 1] } },
      { x: null },
      [],
      null,
      'a',
    ]
    expect(strangers.filter((part) => includes(whole, part))).toEqual([])
    expect(includes(undefined, {})).toBe(false)
  })

  it('every value includes itself, and an object every selection of its fields', () => {
    fc.assert(
      fc.property(json, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), (value, keep) => {
        expect(includes(value, value)).toBe(true)
        if (isObject(value)) {
          const part = Object.fromEntries(Object.entries(value).filter((_, index) => keep[index]))
          expect(includes(value, part)).toBe(true)
        }
      }),
    )
  })
})
