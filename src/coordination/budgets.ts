/**
 * What requests may spend and have spent. Used by `evolve.ts`; asked by whoever starts what costs.
 *
 * Job: the pools of a request, what is charged to them, what they can still carry. Not its job: writing anything, or what is
 * on its way to the log (`runtime/charges-on-the-way.ts`).
 *
 * States of a reservation: `outstanding` (made by `spine.step.started` with a cost; charged as estimated) → `settled` (by
 * the outcome of that start; charged as measured, or as estimated when nobody measured) or `returned` (the function was never
 * entered; charged nothing). One that a crash or a stop left behind stays outstanding, which is: charged in full.
 * States of a pool: `open` → `closed` when the call that it was carved for ends → forgotten with the last that uses it.
 *
 * G1  A charge counts in its pool and in all pools above. What is reserved counts as spent.
 * G2  An open pool holds of the one above what it was given and has not spent, unit by unit; closing returns the rest.
 * G3  A charge is refused when it would lift `spent` of any pool above its limit, or eat what another pool holds. Only the
 *     difference between a measured cost and its estimate, and what `ctx.spend` tells, come on top: they have happened.
 * G4  A unit without a limit is counted, and never refused.
 * G5  What follows from a delivery spends from its pool, also after that has closed: a budget is only narrowed.
 * G6  Nothing is kept of a request at rest, unless a dead letter of it could still be redriven. What it spent is read off the
 *     log then (`spentOnLog`), and said again by whoever wakes it (`spine.budget.given` with `spent`).
 */
import { type Amounts, exact } from '../event/amounts.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import type { Row } from './delivery-table.ts'

/** The pool of the request itself; others are named by the sequence of their call. */
export const ROOT: Sequence = 0

export interface Pool {
  /** `undefined` for the root. */
  readonly parent: Sequence | undefined
  readonly limits: Map<string, number>
  readonly spent: Map<string, number>
  isOpen: boolean
  /** A dead letter of it may be redriven, and is bounded by it then. */
  isPinned: boolean
  /** Units of which people have been told that they run low. */
  readonly told: Set<string>
}

export interface Reservation {
  readonly pool: Sequence
  readonly amounts: Amounts
}

export interface RequestBudget {
  readonly pools: Map<Sequence, Pool>
  /** By the sequence of the `spine.step.started`. */
  readonly reservations: Map<Sequence, Reservation>
  /** Sequence of the last raise; 0 for none. */
  raised: Sequence
}

/** Where a delivery spends, when that is not the pool of its request. */
export interface Spender {
  readonly pool: Sequence
  /** Its end is the end of the call that the pool was carved for. */
  readonly isHolder: boolean
}

/** A pool that cannot carry a charge. */
export interface Shortage {
  readonly unit: string
  readonly limit: number
  readonly spent: number
  readonly wanted: number
}

export class Budgets {
  readonly requests = new Map<string, RequestBudget>()
  readonly spenders = new Map<Row, Spender>()
  /** Runs that stand still until someone raises the budget. */
  readonly paused = new Set<Row>()

  get isUsed(): boolean {
    return this.requests.size > 0 || this.paused.size > 0
  }

  of(request: string): RequestBudget | undefined {
    return this.requests.get(request)
  }

  poolOf(row: Row): Sequence {
    return this.spenders.get(row)?.pool ?? ROOT
  }

  open(request: string): RequestBudget {
    let budget = this.requests.get(request)
    if (budget === undefined) {
      budget = { pools: new Map([[ROOT, newPool(undefined, {})]]), reservations: new Map(), raised: 0 }
      this.requests.set(request, budget)
    }
    return budget
  }

  forget(request: string): void {
    this.requests.delete(request)
  }
}

export function newPool(parent: Sequence | undefined, amounts: Amounts): Pool {
  return {
    parent,
    limits: new Map(Object.entries(amounts)),
    spent: new Map(),
    isOpen: true,
    isPinned: false,
    told: new Set(),
  }
}

/** For the first time, or again when a request at rest is woken: then what is known already stands. */
export function foldGiven(budgets: Budgets, record: LogRecord): void {
  if (budgets.of(record.request) !== undefined) return
  const { amounts, spent } = record.data as unknown as SystemData<'spine.budget.given'>
  const root = budgets.open(record.request).pools.get(ROOT) as Pool
  for (const [unit, limit] of Object.entries(amounts)) root.limits.set(unit, limit)
  for (const [unit, amount] of Object.entries(spent ?? {})) root.spent.set(unit, amount)
}

/** The root, and every pool on the way to a run that waits for it. Units without a limit stay without one. */
export function raise(budgets: Budgets, record: LogRecord, rows: readonly Row[]): void {
  const budget = budgets.of(record.request)
  if (budget === undefined) return
  budget.raised = record.sequence
  const pools = new Set([ROOT])
  for (const row of rows) for (const [id] of chainOf(budget, budgets.poolOf(row))) pools.add(id)
  const { amounts } = record.data as unknown as SystemData<'spine.budget.raised'>
  for (const id of pools) {
    const pool = budget.pools.get(id) as Pool
    for (const [unit, amount] of Object.entries(amounts)) {
      const limit = pool.limits.get(unit)
      if (limit === undefined) continue
      pool.limits.set(unit, exact(limit + amount))
      pool.told.delete(unit)
    }
  }
}

export function reserve(budgets: Budgets, row: Row, record: LogRecord, cost: Amounts): void {
  const budget = budgets.open(record.request)
  const pool = budgets.poolOf(row)
  charge(budget, pool, cost, 1)
  budget.reservations.set(record.sequence, { pool, amounts: cost })
}

/** An outcome that tells of a cost: that of a start, or one without. */
export function foldSpent(budgets: Budgets, row: Row, record: LogRecord): void {
  const { spent, reserved } = record.data as unknown as SystemData<'spine.step.recorded'>
  if (reserved !== undefined) {
    const budget = budgets.of(record.request)
    if (budget !== undefined) settle(budget, reserved, spent, budgets)
  } else if (spent !== undefined) charge(budgets.open(record.request), budgets.poolOf(row), spent, 1)
}

/** `spent`: nothing measured, when absent. */
export function settle(budget: RequestBudget, reserved: Sequence, spent: Amounts | undefined, budgets?: Budgets): void {
  const reservation = budget.reservations.get(reserved)
  if (reservation === undefined) return
  budget.reservations.delete(reserved)
  if (spent !== undefined) {
    charge(budget, reservation.pool, reservation.amounts, -1)
    charge(budget, reservation.pool, spent, 1)
  }
  forgetUnused(budget, reservation.pool, budgets)
}

function charge(budget: RequestBudget, from: Sequence, amounts: Amounts, sign: 1 | -1): void {
  for (const [, pool] of chainOf(budget, from))
    for (const [unit, amount] of Object.entries(amounts))
      pool.spent.set(unit, exact((pool.spent.get(unit) ?? 0) + sign * amount))
}

/** The pool and those above it, from below. */
function* chainOf(budget: RequestBudget, from: Sequence): IterableIterator<[Sequence, Pool]> {
  for (let id: Sequence | undefined = from; id !== undefined; ) {
    const pool: Pool | undefined = budget.pools.get(id)
    if (pool === undefined) return
    yield [id, pool]
    id = pool.parent
  }
}

/** What open pools below this one hold of it. */
function heldOf(budget: RequestBudget, id: Sequence, unit: string, onTheWay: OnTheWay): number {
  let held = 0
  for (const [below, pool] of budget.pools) {
    if (pool.parent !== id || !pool.isOpen) continue
    const limit = pool.limits.get(unit)
    if (limit !== undefined) held += Math.max(0, limit - (pool.spent.get(unit) ?? 0) - onTheWay(below, unit))
  }
  return held
}

/** What is on its way to the log already, by pool. */
export type OnTheWay = (pool: Sequence, unit: string) => number
const NOTHING: OnTheWay = () => 0

/** The first unit that some pool cannot carry; `undefined` when all can (G3). */
export function shortageOf(
  budget: RequestBudget | undefined,
  from: Sequence,
  wanted: Amounts,
  onTheWay: OnTheWay = NOTHING,
): Shortage | undefined {
  if (budget === undefined) return undefined
  for (const [unit, amount] of Object.entries(wanted)) {
    for (const { left, limit, spent } of leftOf(budget, from, unit, onTheWay))
      if (exact(left - amount) < 0) return { unit, limit, spent, wanted: amount }
  }
  return undefined
}

interface Left {
  readonly pool: Pool
  readonly left: number
  readonly limit: number
  readonly spent: number
}

function* leftOf(budget: RequestBudget, from: Sequence, unit: string, onTheWay: OnTheWay): IterableIterator<Left> {
  // What an open pool below has of the unit is held for it above.
  let isHeldFor = false
  for (const [id, pool] of chainOf(budget, from)) {
    const limit = pool.limits.get(unit)
    if (limit === undefined) continue
    const spent = exact((pool.spent.get(unit) ?? 0) + onTheWay(id, unit))
    const left = exact(limit - spent - (isHeldFor ? 0 : heldOf(budget, id, unit, onTheWay)))
    yield { pool, left, limit, spent }
    if (pool.isOpen) isHeldFor = true
  }
}

/** What a delivery may still spend of each unit that has a limit. */
export function remainingOf(budget: RequestBudget | undefined, from: Sequence, onTheWay: OnTheWay = NOTHING): Amounts {
  if (budget === undefined) return {}
  const units = new Set<string>()
  for (const [, pool] of chainOf(budget, from)) for (const unit of pool.limits.keys()) units.add(unit)
  const remaining = [...units].sort().map((unit) => {
    let least = Number.POSITIVE_INFINITY
    for (const { left } of leftOf(budget, from, unit, onTheWay)) least = Math.min(least, left)
    return [unit, Math.max(0, least)] as const
  })
  return Object.fromEntries(remaining)
}

/** Units that run low with this charge, and of which nobody has been told: by pool. */
export function* runningLow(
  budget: RequestBudget | undefined,
  from: Sequence,
  charged: Amounts,
  share: number,
): IterableIterator<{
  readonly pool: Sequence
  readonly unit: string
  readonly limit: number
  readonly spent: number
}> {
  if (budget === undefined) return
  for (const [id, pool] of chainOf(budget, from)) {
    for (const [unit, amount] of Object.entries(charged)) {
      const limit = pool.limits.get(unit)
      if (limit === undefined || pool.told.has(unit)) continue
      const spent = exact((pool.spent.get(unit) ?? 0) + amount)
      if (spent > 0 && spent >= limit * share) yield { pool: id, unit, limit, spent }
    }
  }
}

export function foldLow(budgets: Budgets, record: LogRecord): void {
  const { unit, pool = ROOT } = record.data as unknown as SystemData<'spine.budget.low'>
  budgets.of(record.request)?.pools.get(pool)?.told.add(unit)
}

/** A call takes a part of its caller's pool along. */
export function carve(budgets: Budgets, caller: Row, called: Row, record: LogRecord, amounts: Amounts): void {
  const parent = budgets.poolOf(caller)
  budgets.open(record.request).pools.set(record.sequence, newPool(parent, amounts))
  budgets.spenders.set(called, { pool: record.sequence, isHolder: true })
}

/** `heir` follows from `row`: it is called or handed to by it, or was opened by an event of it. */
export function inheritPool(budgets: Budgets, row: Row, heir: Row, takesOver: boolean): void {
  const spender = budgets.spenders.get(row)
  if (spender !== undefined) budgets.spenders.set(heir, { pool: spender.pool, isHolder: takesOver && spender.isHolder })
}

/** A delivery has died: its redrive spends from the same pool. */
export function pinPool(budgets: Budgets, row: Row, request: string): Sequence {
  const id = budgets.poolOf(row)
  const pool = budgets.of(request)?.pools.get(id)
  if (pool !== undefined && id !== ROOT) pool.isPinned = true
  return id
}

/** A delivery has ended. */
export function leavePool(budgets: Budgets, row: Row, request: string): void {
  budgets.paused.delete(row)
  const spender = budgets.spenders.get(row)
  if (spender === undefined) return
  budgets.spenders.delete(row)
  const budget = budgets.of(request)
  const pool = budget?.pools.get(spender.pool)
  if (budget === undefined || pool === undefined) return
  const hasHolder = [...budgets.spenders.values()].some((other) => other.pool === spender.pool && other.isHolder)
  if (spender.isHolder && !hasHolder) pool.isOpen = false
  forgetUnused(budget, spender.pool, budgets)
}

/** A closed pool from which nobody spends any more. `budgets`: to see who does; without, nothing is forgotten yet. */
function forgetUnused(budget: RequestBudget, id: Sequence, budgets: Budgets | undefined): void {
  if (budgets === undefined || id === ROOT) return
  const pool = budget.pools.get(id)
  if (pool === undefined || pool.isOpen || pool.isPinned) return
  for (const spender of budgets.spenders.values()) if (spender.pool === id) return
  for (const reservation of budget.reservations.values()) if (reservation.pool === id) return
  for (const below of budget.pools.values()) if (below.parent === id) return
  budget.pools.delete(id)
  if (pool.parent !== undefined) forgetUnused(budget, pool.parent, budgets)
}

/** Records of these types tell what a request has spent. */
export const SPENDING_TYPES = ['spine.step.started', 'spine.step.recorded', 'spine.budget.returned'] as const

/** What a request has spent in all, from every record of those types, in order. */
export function spentOnLog(records: Iterable<LogRecord>): Amounts {
  const budget = new Budgets().open('')
  for (const record of records) addSpending(budget, record)
  return spentOf(budget)
}

export function addSpending(budget: RequestBudget, { type, sequence, data }: LogRecord): void {
  const { cost, spent, reserved } = data as unknown as SystemData<'spine.step.recorded'> & { readonly cost?: Amounts }
  if (type === 'spine.step.started' && cost !== undefined) {
    charge(budget, ROOT, cost, 1)
    budget.reservations.set(sequence, { pool: ROOT, amounts: cost })
  } else if (type === 'spine.budget.returned' && reserved !== undefined) settle(budget, reserved, {})
  else if (reserved !== undefined) settle(budget, reserved, spent)
  else if (type === 'spine.step.recorded' && spent !== undefined) charge(budget, ROOT, spent, 1)
}

export function spentOf(budget: RequestBudget | undefined): Amounts {
  const spent = budget?.pools.get(ROOT)?.spent ?? new Map<string, number>()
  return Object.fromEntries([...spent].sort(([left], [right]) => (left < right ? -1 : 1)))
}
