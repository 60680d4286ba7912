import { describe, expect, it } from 'vitest'
import { type Declared, findAfterCircle } from './after-circles.ts'

const reacts = (name: string, rest: Partial<Declared>): Declared => ({
  name,
  kind: 'reacts',
  on: [],
  emits: [],
  ...rest,
})
const named = (agents: readonly Declared[]) => findAfterCircle(agents)?.map(({ agent, type }) => `${agent} ${type}`)

describe('a circle of after', () => {
  const ann = reacts('ann', { on: ['a'], after: ['q'], emits: ['p'] })

  it('is found between two that come after each other', () => {
    const ben = reacts('ben', { on: ['b'], after: ['p'], emits: ['q'] })
    expect(named([ann, ben])).toEqual(['ann q', 'ben p'])
  })

  it('is found around others that only react', () => {
    const ben = reacts('ben', { on: ['x'], emits: ['q'] })
    const cas = reacts('cas', { on: ['p'], emits: ['x'] })
    expect(named([ben, cas, ann])).toEqual(['ann q', 'ben x', 'cas p'])
  })

  it('is found in an agent that comes after what only it emits', () => {
    expect(named([reacts('ann', { on: ['a'], after: ['p'], emits: ['p'] })])).toEqual(['ann p'])
  })

  it('is found through a join that needs all of its types', () => {
    const joint = reacts('joint', { on: ['p', 'z'], emits: ['q'], join: { types: ['p', 'z'], per: 'session' } })
    expect(named([ann, joint])).toEqual(['ann q', 'joint p'])
  })

  it.each<[string, Declared[]]>([
    ['a type that nobody emits comes from outside', []],
    [
      'one of two that emit it can start',
      [reacts('ben', { on: ['p'], emits: ['q'] }), reacts('cas', { on: ['o'], emits: ['q'] })],
    ],
    ['it reacts to something else, too', [reacts('ben', { on: ['p', 'o'], emits: ['q'] })]],
    ['it reacts to everything', [reacts('ben', { on: ['*'], emits: ['q'] })]],
    ['it is called', [{ name: 'ben', kind: 'directed', on: [], emits: ['q'] }]],
    [
      'a join that goes on without',
      [reacts('ben', { on: ['p', 'z'], emits: ['q'], join: { types: ['p', 'z'], per: 'session', withinMs: 5 } })],
    ],
    [
      'two that react to each other, and are begun from outside',
      [reacts('ben', { on: ['r'], emits: ['q', 's'] }), reacts('cas', { on: ['s'], emits: ['r'] })],
    ],
  ])('is none where %s', (_, others) => {
    expect(named([ann, ...others])).toBeUndefined()
  })
})
