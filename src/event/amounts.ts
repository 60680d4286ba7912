/** Amounts of named units (`usd`, `tokens`): what a step costs, what a request may spend. */
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'

/** Unit → amount; finite and not negative. The units are whatever you name them. */
export interface Amounts {
  readonly [unit: string]: number
}

/** As they were given, with the units in order. `what` names their place. @throws SPINE_BUDGET_INVALID */
export function givenAmounts(amounts: unknown, what: string): Amounts {
  const given = typeof amounts === 'object' && amounts !== null && !Array.isArray(amounts) ? amounts : undefined
  if (given === undefined) throw invalid(`${what} is no object of amounts.`, amounts, 'Write { usd: 0.25 }.')
  const entries = Object.entries(given)
  if (entries.length === 0 || entries.length > limits.budgetUnitsMax) {
    throw invalid(
      `${what} names ${entries.length} units.`,
      entries.length,
      `Name 1 to ${limits.budgetUnitsMax}, as in { usd: 0.25, tokens: 2000 }.`,
    )
  }
  for (const [unit, amount] of entries) {
    if (unit === '' || unit.length > limits.nameCharactersMax)
      throw invalid(`${what} has a unit without a proper name.`, unit, 'A unit is a text of at most 128 characters.')
    if (typeof amount !== 'number' || !Number.isFinite(amount) || amount < 0)
      throw invalid(`${what}: '${unit}' is ${String(amount)}.`, amount, 'An amount is a finite number, 0 or more.')
  }
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1))) as Amounts
}

function invalid(message: string, value: unknown, fix: string): SpineError {
  return new SpineError('SPINE_BUDGET_INVALID', message, { value, limit: limits.budgetUnitsMax, fix })
}

/** Ten times 0.1 is 1: what binary fractions leave behind the fifteenth digit is nobody's money. */
export function exact(amount: number): number {
  return Number(amount.toPrecision(15))
}
