import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import { schemaError, validate, validateNow } from './validate.ts'

const Inquiry = z.object({ text: z.string(), items: z.array(z.object({ price: z.number() })).optional() })
const asynchronous = z.string().refine(async () => true)

const refusal = async (act: () => unknown): Promise<SpineError> => {
  try {
    await act()
  } catch (error) {
    if (SpineError.is(error)) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe.each([
  ['validate', (schema: StandardSchemaV1, value: unknown) => validate(schema, value, 'inquiry.received')],
  ['validateNow', (schema: StandardSchemaV1, value: unknown) => validateNow(schema, value, 'inquiry.received')],
])('%s', (_, check) => {
  it("gives the schema's output with its JSON, frozen", async () => {
    const schema = z
      .object({ text: z.string().trim().default('none') })
      .transform(({ text }) => ({ text, length: text.length }))
    const { json, value } = await check(schema, { text: ' a haircut ', extra: 1 })
    expect([value, json]).toEqual([{ text: 'a haircut', length: 9 }, '{"text":"a haircut","length":9}'])
    expect(Object.isFrozen(value)).toBe(true)
    expect((await check(schema, {})).value).toEqual({ text: 'none', length: 4 })
  })

  it('says where and what, and how to go on', async () => {
    const error = await refusal(() => check(Inquiry, { text: 7 }))
    expect([error.code, error.message]).toEqual([
      'SPINE_SCHEMA_INVALID',
      'inquiry.received: data.text: expected string, received number. Correct the data, or the schema if the data is right.',
    ])
  })

  it('names at most three places', async () => {
    const error = await refusal(() => check(Inquiry, { items: [{}, { price: 'x' }, { price: 1 }, {}] }))
    expect(error.message).toMatch(
      /^inquiry\.received: data\.text: .*; data\.items\[0\]\.price: .*; data\.items\[1\]\.price: .* \(and 1 more\)\. Correct/,
    )
  })

  it('names the whole value when that is what is wrong', async () => {
    expect((await refusal(() => check(Inquiry, null))).message).toMatch(
      /^inquiry\.received: data: expected object, received null\. /,
    )
  })

  it.each([
    ['SPINE_PAYLOAD_NOT_JSON', new Date(0)],
    ['SPINE_PAYLOAD_NOT_JSON', { n: Number.NaN }],
    ['SPINE_PAYLOAD_NOT_JSON', JSON.parse('{"__proto__": {}}')],
    ['SPINE_PAYLOAD_NOT_JSON', undefined],
    ['SPINE_PAYLOAD_TOO_LARGE', 'x'.repeat(limits.payloadBytesMax)],
    ['SPINE_PAYLOAD_TOO_DEEP', Array.from({ length: 70 }).reduce<unknown>((inner) => [inner], 1)],
  ])('%s for what a schema lets through but a log cannot hold', async (code, value) => {
    const error = await refusal(() => check(z.unknown(), value))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(/^inquiry\.received: data/)
  })
})

it('validate waits for an asynchronous schema', async () => {
  expect((await validate(asynchronous, 'a', 'x')).value).toBe('a')
})

it('SPINE_SCHEMA_ASYNC: validateNow cannot, and leaves no unhandled rejection', async () => {
  const error = await refusal(() => validateNow(asynchronous, 'a', 'inquiry.received'))
  expect([error.code, error.message]).toEqual([
    'SPINE_SCHEMA_ASYNC',
    'inquiry.received: the schema validates asynchronously. Inside a handler a schema must be synchronous; do the asynchronous check in a step.',
  ])
  const failing = {
    '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('late')) },
  } as StandardSchemaV1
  expect((await refusal(() => validateNow(failing, 'a', 'x'))).code).toBe('SPINE_SCHEMA_ASYNC')
  await new Promise((resolve) => setImmediate(resolve))
})

it('schemaError reads paths of keys, indexes, symbols and of the long form', () => {
  const issue = { message: 'Invalid input: expected string', path: ['a', 0, { key: 'b' }, { key: 1 }, Symbol('s')] }
  expect(schemaError([issue], 'x').message).toMatch(/^x: data\.a\[0\]\.b\[1\]\.Symbol\(s\): expected string\. /)
})
