/**
 * Charges that this process has asked for and not folded yet: with them a budget is exact here, however many steps are
 * asked for in one turn. Every charge counts in its pool and in all above, as it will in the fold.
 */
import type { OnTheWay, RequestBudget } from '../coordination/budgets.ts'
import type { Amounts } from '../event/amounts.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'

interface Charge {
  readonly request: string
  readonly pool: Sequence
  readonly amounts: Amounts
  /** A part that a call takes along is held of the pool that it comes from, and not spent. */
  readonly name: string
}

export class ChargesOnTheWay {
  readonly #byRequest = new Map<string, Map<string, Charge>>()

  get size(): number {
    return this.#byRequest.size
  }

  /** `name`: of the command, as `chargeName` makes it. */
  asked(charge: Charge): void {
    const charges = this.#byRequest.get(charge.request) ?? new Map<string, Charge>()
    this.#byRequest.set(charge.request, charges)
    charges.set(charge.name, charge)
  }

  /** It was refused, or has been folded. */
  arrived(request: string, name: string): void {
    const charges = this.#byRequest.get(request)
    if (charges?.delete(name) === true && charges.size === 0) this.#byRequest.delete(request)
  }

  /** In the same turn in which the fold counts it. */
  folded({ type, request, cause, agent, data }: LogRecord): void {
    if (type !== 'spine.step.started' && type !== 'spine.step.recorded' && type !== 'spine.call.requested') return
    const { command } = data as { readonly command?: string }
    if (command !== undefined) this.arrived(request, chargeName(cause, agent, command))
  }

  /** For the pools of one request. */
  of(request: string, budget: RequestBudget | undefined): OnTheWay {
    const charges = this.#byRequest.get(request)
    if (charges === undefined) return () => 0
    const sums = new Map<string, number>()
    for (const { pool, amounts } of charges.values()) {
      for (let id: Sequence | undefined = pool; id !== undefined; id = budget?.pools.get(id)?.parent)
        for (const [unit, amount] of Object.entries(amounts))
          sums.set(`${id} ${unit}`, (sums.get(`${id} ${unit}`) ?? 0) + amount)
    }
    return (pool, unit) => sums.get(`${pool} ${unit}`) ?? 0
  }
}

export function chargeName(source: Sequence, agent: string | undefined, command: string): string {
  return `${source}/${agent}/${command}`
}
