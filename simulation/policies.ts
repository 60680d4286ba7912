import type { Chance } from './chance.ts'

/** How the office of a seed is set up. */
export interface Policies {
  readonly onFailure: 'skip' | 'block' | 'park'
  readonly expertOrder: 'session' | 'none'
  readonly concurrency: number
  readonly preempt: { readonly at: 'signal' | 'step' | 'never'; readonly then: 'resume' | 'restart' }
  readonly freshness: 'hold' | 'cancel' | 'restart'
  /** Agents that exclude each other. */
  readonly exclusive: readonly string[]
  /** Of the pool that all share. */
  readonly slots: number
}

export function randomPolicies(chance: Chance): Policies {
  return {
    onFailure: chance.pick(['skip', 'block', 'park']),
    expertOrder: chance.pick(['session', 'none']),
    concurrency: chance.pick([1, 2, 16]),
    preempt: {
      at: chance.pick(['signal', 'signal', 'step', 'never']),
      then: chance.pick(['resume', 'resume', 'restart']),
    },
    slots: chance.pick([1, 3, 64]),
    freshness: chance.pick(['hold', 'cancel', 'restart']),
    exclusive: chance.pick([
      [],
      ['filing', 'greeter', 'advising', 'billing'],
      ['expert', 'senior', 'advising', 'filing'],
    ]),
  }
}
