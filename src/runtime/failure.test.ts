import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ERROR_TABLE, type ErrorCode, Permanent, RetryAfter, SpineError } from '../kernel/errors.ts'
import { encodeJson } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { errorOf, failureOf } from './failure.ts'

/** To the log and back: through JSON, as the journal does. */
const roundTrip = (error: unknown): Error => errorOf(JSON.parse(encodeJson(failureOf(error), 'failure', 100_000).json))
const coded = (error: Error, code: unknown) => Object.assign(error, { code })

describe('what a handler catches is the same after the log', () => {
  it.each(Object.keys(ERROR_TABLE) as ErrorCode[])('%s', (code) => {
    const before = new SpineError(code, 'It went wrong.', { fix: 'Try this.' })
    const after = roundTrip(before)
    expect(after).toBeInstanceOf(SpineError)
    expect(SpineError.is(after, code)).toBe(true)
    expect([after.message, after.stack, after.name]).toEqual([before.message, before.stack, 'SpineError'])
  })

  it('a Permanent', () => {
    const after = roundTrip(new Permanent('no such account'))
    expect(after).toBeInstanceOf(Permanent)
    expect(after).toMatchObject({ name: 'Permanent', message: 'no such account' })
  })

  it('a RetryAfter, with what it asked for', () => {
    const after = roundTrip(new RetryAfter('30s', 'busy'))
    expect(after).toBeInstanceOf(RetryAfter)
    expect(after).toMatchObject({ name: 'RetryAfter', message: 'busy', delay: 30_000 })
  })

  it('an error with a code of its own, and its name', () => {
    class PaymentError extends Error {
      override name = 'PaymentError'
    }
    const before = coded(new PaymentError('declined'), 'E_DECLINED')
    const after = roundTrip(before)
    expect(after).toBeInstanceOf(Error)
    expect(after).toMatchObject({ name: 'PaymentError', message: 'declined', code: 'E_DECLINED', stack: before.stack })
  })

  it('the code of a Permanent and of a RetryAfter too', () => {
    expect(roundTrip(coded(new Permanent('closed'), 'E_CLOSED'))).toMatchObject({ name: 'Permanent', code: 'E_CLOSED' })
    expect(roundTrip(coded(new RetryAfter(5, 'busy'), 'E_BUSY'))).toMatchObject({ name: 'RetryAfter', code: 'E_BUSY' })
  })

  it('an error without a code gets none', () => {
    expect('code' in roundTrip(new TypeError('x'))).toBe(false)
    expect(roundTrip(coded(new Error('x'), 42))).not.toHaveProperty('code')
    expect(roundTrip(new TypeError('x')).name).toBe('TypeError')
  })

  it('another round changes nothing more', () => {
    const errors = fc.constantFrom<unknown>(
      new Permanent('a'),
      new RetryAfter(7),
      new SpineError('SPINE_TIMEOUT', 'b'),
      coded(new RangeError('c'), 'E_C'),
      'text',
      5,
    )
    fc.assert(
      fc.property(errors, (error) => {
        const once = failureOf(roundTrip(error))
        expect(failureOf(errorOf(once))).toEqual(once)
      }),
    )
  })
})

describe('failureOf', () => {
  it('gives a code to what has none', () => {
    expect(failureOf(new Error('broken'))).toMatchObject({
      code: 'SPINE_HANDLER_FAILED',
      name: 'Error',
      message: 'broken',
    })
    expect(failureOf(coded(new Error('broken'), 42)).code).toBe('SPINE_HANDLER_FAILED')
  })

  it.each([
    ['text', 'thrown: text'],
    [undefined, 'thrown: undefined'],
    [null, 'thrown: null'],
    [42n, 'thrown: 42'],
    [Symbol('s'), 'thrown: Symbol(s)'],
  ])('takes a thrown %s', (thrown, message) => {
    expect(failureOf(thrown)).toEqual({ code: 'SPINE_HANDLER_FAILED', name: 'Error', message })
  })

  it('never throws itself, whatever was thrown', () => {
    const hostile = [
      Object.create(null),
      { toString: null },
      { toString: () => fail() },
      Object.assign(new Error('x'), { stack: 5 }),
      coded(new Error('x'), {}),
    ]
    for (const thrown of hostile)
      expect(failureOf(thrown)).toMatchObject({ code: 'SPINE_HANDLER_FAILED', message: expect.any(String) })
    function fail(): never {
      throw new Error('no text')
    }
  })

  it('marks what no retry can help', () => {
    const permanent = (error: unknown) => failureOf(error).permanent === true
    expect(permanent(new Permanent('x'))).toBe(true)
    expect(permanent(new SpineError('SPINE_SCHEMA_INVALID', 'x'))).toBe(true)
    expect(permanent(new SpineError('SPINE_EMIT_UNDECLARED', 'x'))).toBe(true)
    expect(permanent(new SpineError('SPINE_TIMEOUT', 'x'))).toBe(false)
    expect(permanent(new SpineError('SPINE_STEP_TIMEOUT', 'x'))).toBe(false)
    expect(permanent(new Error('x'))).toBe(false)
    expect(permanent(coded(new Error('x'), 'SPINE_SCHEMA_INVALID'))).toBe(false)
  })

  it('reads what a RetryAfter asks for; a wrong duration does not hide the error', () => {
    expect(failureOf(new RetryAfter(1_500)).retryAfterMs).toBe(1_500)
    expect(failureOf(new RetryAfter('2m')).retryAfterMs).toBe(120_000)
    for (const wrong of ['soon', -1, Number.NaN]) {
      const failure = failureOf(new RetryAfter(wrong, 'busy'))
      expect(failure.message).toBe('busy')
      expect(failure).not.toHaveProperty('retryAfterMs')
    }
  })

  it('P9 keeps texts short', () => {
    const long = 'x'.repeat(limits.errorCharactersMax * 3)
    const failure = failureOf(Object.assign(coded(new Error(long), long), { name: long, stack: long }))
    for (const text of [failure.message, failure.stack, failure.name, failure.code])
      expect(text).toHaveLength(limits.errorCharactersMax + 1)
    expect(failureOf(long).message).toHaveLength(limits.errorCharactersMax + 1)
  })
})
