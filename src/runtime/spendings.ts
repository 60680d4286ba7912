/** What requests have spent: of those at work from memory, of others from the log. */
import { addSpending, Budgets, ROOT, SPENDING_TYPES, spentOf } from '../coordination/budgets.ts'
import type { SpineState } from '../coordination/state.ts'
import type { Engine } from '../engine/engine.ts'
import type { Amounts } from '../event/amounts.ts'
import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'

interface SpendingsHost {
  readonly engine: Engine
  readonly state: SpineState
  readonly isClosed: boolean
  isRecent(request: string): boolean
}

export class Spendings {
  readonly #host: SpendingsHost
  /** Requests that have had a budget since this process has owned the log. */
  readonly #spenders = new Set<string>()
  /** They were too many to be remembered. */
  #hasForgotten = false

  constructor(host: SpendingsHost) {
    this.#host = host
  }

  /** Called for every record while any request has a budget. */
  remember({ request }: LogRecord): void {
    if (this.#host.state.budgets.of(request) === undefined || this.#spenders.has(request)) return
    if (this.#spenders.size >= limits.recordCacheRecords) {
      this.#spenders.clear()
      this.#hasForgotten = true
    }
    this.#spenders.add(request)
  }

  async of(request: string): Promise<Amounts> {
    const { state } = this.#host
    const budget = state.budgets.of(request)
    if (budget !== undefined && state.requests.find(request) !== 0) return spentOf(budget)
    // A process that is dead, or has closed, reads nothing any more.
    if (this.#host.isClosed || !this.#mayHaveSpent(request)) return {}
    const sum = new Budgets().open(request)
    for await (const record of this.#read(request, SPENDING_TYPES)) addSpending(sum, record)
    return spentOf(sum)
  }

  /** What its budget was and is, for a request that is woken; `undefined` for one without a limit. */
  async budgetOf(request: string): Promise<{ readonly amounts: Amounts; readonly spent: Amounts } | undefined> {
    const root = this.#host.state.budgets.of(request)?.pools.get(ROOT)
    if (root !== undefined) {
      const amounts = Object.fromEntries(root.limits)
      return root.limits.size === 0 ? undefined : { amounts, spent: Object.fromEntries(root.spent) }
    }
    if (this.#host.state.requests.find(request) !== 0 || !this.#mayHaveSpent(request)) return undefined
    const sums = new Map<string, number>()
    let isGiven = false
    for await (const { type, data } of this.#read(request, ['spine.budget.given', 'spine.budget.raised'])) {
      const { amounts, spent } = data as unknown as { readonly amounts: Amounts; readonly spent?: Amounts }
      // Only the first one gives; later ones say it again.
      if (type === 'spine.budget.given' && (isGiven || spent !== undefined)) continue
      isGiven ||= type === 'spine.budget.given'
      for (const [unit, amount] of Object.entries(amounts))
        if (type === 'spine.budget.given' || sums.has(unit)) sums.set(unit, (sums.get(unit) ?? 0) + amount)
    }
    return sums.size === 0 ? undefined : { amounts: Object.fromEntries(sums), spent: await this.of(request) }
  }

  #mayHaveSpent(request: string): boolean {
    return !this.#host.isRecent(request) || this.#hasForgotten || this.#spenders.has(request)
  }

  async *#read(request: string, types: readonly string[]): AsyncIterableIterator<LogRecord> {
    for (let after = 0; ; ) {
      const page = await this.#host.engine.read({ request, types, after, limit: limits.readRecordsMax })
      yield* page
      if (page.length < limits.readRecordsMax) return
      after = page.at(-1)?.sequence ?? after
    }
  }
}
