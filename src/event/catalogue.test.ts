import { describe, expect, it } from 'vitest'
import type { Json } from '../kernel/json.ts'
import { CATALOGUE, flawInSystemData, isCatalogued, type SystemType } from './catalogue.ts'

const types = Object.keys(CATALOGUE) as SystemType[]

const SAMPLES: Record<string, Json> = {
  text: 'x',
  number: 1,
  flag: true,
  json: { any: [null] },
  texts: ['x', 'y'],
  numbers: [1, 2],
  failure: { code: 'SPINE_TIMEOUT', name: 'SpineError', message: 'too slow' },
  handoff: { target: 'scheduling', input: null },
  amounts: { usd: 0.25, tokens: 12 },
}

const fieldsOf = (type: SystemType) => Object.entries(CATALOGUE[type].fields as Record<string, string>)
const kindOf = (spec: string) => spec.replace(/\?$/, '')
const required = (type: SystemType) => fieldsOf(type).filter(([, spec]) => !spec.endsWith('?'))

function sample(fields: readonly (readonly [string, string])[]): Record<string, Json> {
  return Object.fromEntries(fields.map(([name, spec]) => [name, SAMPLES[kindOf(spec)] as Json]))
}

describe.each(types)('%s', (type) => {
  it('is a past-tense fact in our name space with one sentence of meaning', () => {
    expect(type).toMatch(/^spine\.[a-z]+\.[a-z]+$/)
    expect(CATALOGUE[type].meaning).toMatch(/^[A-Z].*\.$/)
  })

  it('accepts its data, with and without what is optional', () => {
    expect(flawInSystemData(type, sample(fieldsOf(type)))).toBeUndefined()
    expect(flawInSystemData(type, sample(required(type)))).toBeUndefined()
  })

  it('accepts fields that a newer version added', () => {
    expect(flawInSystemData(type, { ...sample(fieldsOf(type)), addedLater: 1 })).toBeUndefined()
  })

  it('names the field that is missing', () => {
    for (const [name] of required(type)) {
      const { [name]: _, ...rest } = sample(fieldsOf(type))
      expect(flawInSystemData(type, rest)).toContain(`'${name}'`)
    }
  })

  it('names the field that is of the wrong kind', () => {
    for (const [name, spec] of fieldsOf(type).filter(([, spec]) => kindOf(spec) !== 'json')) {
      // A list with null in it is none of the kinds.
      expect(flawInSystemData(type, { ...sample(fieldsOf(type)), [name]: [null] }), spec).toContain(`'${name}'`)
    }
  })
})

describe('the catalogue', () => {
  it('knows its own types and nothing that objects inherit', () => {
    expect(types.every(isCatalogued)).toBe(true)
    expect(['toString', 'inquiry.received', 'spine.unknown.happened'].some(isCatalogued)).toBe(false)
  })

  it('takes data that is no object for data without fields', () => {
    expect(flawInSystemData('spine.timer.fired', null)).toContain("'command'")
    expect(flawInSystemData('spine.timer.fired', ['command'])).toContain("'command'")
    expect(flawInSystemData('spine.delivery.redriven', null)).toBeUndefined()
  })
})
