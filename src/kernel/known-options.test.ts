import { describe, expect, expectTypeOf, it } from 'vitest'
import { optionNames, requireKnownOptions } from './known-options.ts'

interface Options {
  readonly session?: string
  readonly within: number
}
const NAMES = optionNames<Options>({ session: true, within: true })

it('takes every name of the type and no other, so that an option which is added cannot be forgotten', () => {
  expectTypeOf<Parameters<typeof optionNames<Options>>[0]>().toEqualTypeOf<{
    readonly session: true
    readonly within: true
  }>()
  expect([...NAMES]).toEqual(['session', 'within'])
})

describe('requireKnownOptions', () => {
  it('accepts what is there, whatever its value, and what is left out', () => {
    for (const given of [{}, { within: 1 }, { session: undefined, within: 1 }, Object.create(null)])
      expect(() => requireKnownOptions(given, NAMES, 'wait')).not.toThrow()
  })

  it('refuses what is not there, with the names that are', () => {
    expect(() => requireKnownOptions({ sesion: 'a' }, NAMES, 'wait')).toThrow(
      expect.objectContaining({
        code: 'SPINE_OPTION_INVALID',
        value: 'sesion',
        limit: ['session', 'within'],
        message: "wait has no option 'sesion': did you mean 'session'? There are 'session', 'within'.",
      }),
    )
    expect(() => requireKnownOptions({ other: 'a' }, NAMES, 'wait')).toThrow("wait has no option 'other'. There are")
  })

  it.each([[null], [undefined], ['a text'], [5], [['a']], [() => 1], [10n], [Symbol('s')]])(
    'refuses what are no options: %s',
    (given) => {
      expect(() => requireKnownOptions(given as never, NAMES, 'wait')).toThrow(
        /^wait was given .* where its options belong/,
      )
    },
  )

  it('does not blame the caller for what someone put on every object', () => {
    const given = Object.create({ inherited: 1 }) as object
    expect(() => requireKnownOptions(given, NAMES, 'wait')).not.toThrow()
  })
})
