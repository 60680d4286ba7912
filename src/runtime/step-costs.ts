/**
 * What steps and calls cost their request: refused before they start, reserved with their start, measured with their outcome.
 *
 * Job: the records of it. Not its job: the arithmetic (`coordination/budgets.ts`), when a step runs (`perform-commands.ts`).
 */
import { STEP_COST } from '../agent/context.ts'
import { remainingOf, runningLow, type Shortage, shortageOf } from '../coordination/budgets.ts'
import { type Amounts, givenAmounts } from '../event/amounts.ts'
import type { Failure } from '../event/catalogue.ts'
import type { NewRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { requireKnownOptions } from '../kernel/known-options.ts'
import { limits } from '../kernel/limits.ts'
import { chargeName } from './charges-on-the-way.ts'
import type { StepCommand } from './command.ts'
import { failureOf } from './failure.ts'
import { fact, placeAt } from './record-draft.ts'
import type { Run } from './run.ts'

/** What a step is expected to cost, and how to tell what it did cost. */
export interface StepCost {
  readonly estimate: Amounts
  readonly actual: ((result: never) => unknown) | undefined
}

/** What its outcome says of its cost. */
interface Measured {
  readonly reserved?: Sequence
  readonly spent?: Amounts
  readonly unmeasured?: Failure
}

/** @throws SPINE_BUDGET_INVALID */
export function stepCost(cost: unknown, what: string): StepCost {
  if (typeof cost === 'object' && cost !== null) requireKnownOptions(cost, STEP_COST, `${what}: cost`)
  const { estimate, actual } = (cost ?? {}) as { readonly estimate?: unknown; readonly actual?: unknown }
  if (actual !== undefined && typeof actual !== 'function') {
    throw new SpineError('SPINE_BUDGET_INVALID', `${what}: 'actual' of its cost is no function.`, {
      value: actual,
      fix: 'Write actual: (result) => ({ usd: result.price }).',
    })
  }
  return { estimate: givenAmounts(estimate, `${what}: the estimate of its cost`), actual: actual as StepCost['actual'] }
}

/**
 * Asks for an amount. Returns the error when some pool cannot carry it; else counts it from here on, and adds what people
 * should be told to `records`. `held`: for a call that takes it along, which spends nothing yet.
 */
export function ask(
  run: Run,
  command: string,
  amounts: Amounts,
  records: NewRecord[],
  held = false,
): SpineError | undefined {
  const { host, row, source, agent } = run
  const { request } = run.header
  const { budgets } = host.state
  const budget = budgets.of(request)
  const pool = budgets.poolOf(row)
  const onTheWay = host.chargesOnTheWay.of(request, budget)
  const known = budget?.pools.get(0)?.spent
  const fresh = Object.keys(amounts).filter((unit) => known?.has(unit) !== true)
  if (known !== undefined && fresh.length > 0 && known.size + fresh.length > limits.budgetUnitsMax)
    return tooManyUnits(request)
  const shortage = shortageOf(budget, pool, amounts, onTheWay)
  if (shortage !== undefined) {
    records.push(fact('spine.budget.exhausted', headerNow(run), { ...shortage, command }))
    return exhausted(run, command, shortage)
  }
  if (!held) {
    const soon = Object.fromEntries(
      Object.entries(amounts).map(([unit, amount]) => [unit, amount + onTheWay(pool, unit)]),
    )
    tellLow(run, soon, records)
  }
  host.chargesOnTheWay.asked({ request, pool, amounts, name: chargeName(source, agent.name, command) })
  return undefined
}

/** It is not on its way any more: in the log, or refused by it. */
export function asked(run: Run, command: string): void {
  run.host.chargesOnTheWay.arrived(run.header.request, chargeName(run.source, run.agent.name, command))
}

/** Adds a record for each unit that runs low with this charge. */
export function tellLow(run: Run, charged: Amounts, records: NewRecord[]): void {
  const { budgets } = run.host.state
  const { request } = run.header
  const low = runningLow(budgets.of(request), budgets.poolOf(run.row), charged, limits.budgetLowPercent / 100)
  for (const { pool, unit, limit, spent } of low) {
    if (!run.host.lowBudgetsTold.tell(request, pool, unit, limit)) continue
    records.push(fact('spine.budget.low', headerNow(run), { unit, limit, spent, ...(pool === 0 ? {} : { pool }) }))
  }
}

function headerNow({ header, host }: Run) {
  return placeAt(header, host.clock.now())
}

/** What the run may still spend, for its handler. */
export function remaining(run: Run): Json {
  const { budgets } = run.host.state
  const { request } = run.header
  const budget = budgets.of(request)
  return remainingOf(budget, budgets.poolOf(run.row), run.host.chargesOnTheWay.of(request, budget)) as Json
}

/** `reserved`: the start of its last try. Who fails, or is not measured, has cost what was estimated. */
export function measured(
  run: Run,
  id: string,
  { cost }: StepCommand,
  reserved: Sequence,
  outcome: { readonly value?: Json } | { readonly error: Failure },
): Measured {
  if (cost?.actual === undefined || 'error' in outcome) return { reserved }
  const what = `step '${id}' of ${run.agent.name}: the actual cost`
  try {
    const amounts = cost.actual(outcome.value as never)
    const isNothing = typeof amounts === 'object' && amounts !== null && Object.keys(amounts).length === 0
    return { reserved, spent: isNothing ? {} : givenAmounts(amounts, what) }
  } catch (error) {
    const unmeasured = failureOf(error)
    run.host.logger.warn(`${what} is not known, so its estimate is charged: ${unmeasured.message}`)
    return { reserved, unmeasured }
  }
}

function exhausted(run: Run, command: string, { unit, limit, spent, wanted }: Shortage): SpineError {
  return new SpineError(
    'SPINE_BUDGET_EXHAUSTED',
    `'${command}' of ${run.agent.name} wants ${wanted} ${unit}, and ${spent} of ${limit} is spent or reserved.`,
    {
      value: { unit, limit, spent, wanted },
      limit,
      fix: 'Catch it and do without, or raise the budget with requests.raiseBudget.',
    },
  )
}

function tooManyUnits(request: string): SpineError {
  return new SpineError('SPINE_BUDGET_INVALID', `The request '${request}' spends too many units.`, {
    limit: limits.budgetUnitsMax,
    fix: 'Name few units, and let them be the same in all steps.',
  })
}
