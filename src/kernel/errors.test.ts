import { describe, expect, it } from 'vitest'
import { ERROR_TABLE, type ErrorCode, Permanent, RetryAfter, SpineError } from './errors.ts'

const codes = Object.keys(ERROR_TABLE) as ErrorCode[]

describe('ERROR_TABLE', () => {
  it.each(codes)('%s has a name in our style, an HTTP error status and one sentence', (code) => {
    expect(code).toMatch(/^SPINE_[A-Z]+(_[A-Z]+)*$/)
    expect(ERROR_TABLE[code].status).toBeGreaterThanOrEqual(400)
    expect(ERROR_TABLE[code].status).toBeLessThan(600)
    expect(ERROR_TABLE[code].meaning).toMatch(/^[A-Z].*\.$/)
  })
})

describe('SpineError', () => {
  it('says what was wrong and what to do about it, and keeps the cause (E2)', () => {
    const cause = new Error('disk')
    const details = { value: 9, limit: 8, fix: 'Send less.', cause, agent: 'inquiry', outcome: 'unknown' } as const
    const error = new SpineError('SPINE_PAYLOAD_TOO_LARGE', 'data is 9 bytes.', details)
    expect(error.message).toBe('data is 9 bytes. Send less.')
    expect(error).toMatchObject({ ...details, name: 'SpineError', status: 413, retryable: false })
  })

  it('is refused, unless whoever throws it does not know', () => {
    const error = new SpineError('SPINE_CLOSED', 'closed')
    expect(error.outcome).toBe('refused')
    expect(error.fix).toBeUndefined()
    expect('cause' in error).toBe(false)
  })

  it('is recognised by shape, so also from another thread or copy of the package', () => {
    const foreign = { name: 'SpineError', code: 'SPINE_CLOSED', message: 'closed' }
    expect(SpineError.is(foreign)).toBe(true)
    expect(SpineError.is(foreign, 'SPINE_CLOSED')).toBe(true)
    expect(SpineError.is(foreign, 'SPINE_TIMEOUT')).toBe(false)
  })

  it.each([
    null,
    'SPINE_CLOSED',
    new Error('SPINE_CLOSED'),
    { name: 'SpineError', code: 'SPINE_NO_SUCH_CODE' },
    { name: 'SpineError', code: 'toString' },
    { name: 'SpineError' },
  ])('is not %j', (value) => {
    expect(SpineError.is(value)).toBe(false)
  })
})

describe('what handlers throw', () => {
  it('is an error with a name, and keeps its cause', () => {
    const cause = new Error('429')
    expect(new Permanent('no such customer', { cause })).toMatchObject({ name: 'Permanent', cause })
    expect(new RetryAfter('30s')).toMatchObject({ name: 'RetryAfter', delay: '30s', message: 'retry later' })
  })
})
