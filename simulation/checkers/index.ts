/** One function per invariant. None of them uses code of the product: they read records, and what the outside saw. */
import type { Evidence } from '../history.ts'
import { checkAudience } from './audience.ts'
import { checkBudgets } from './budgets.ts'
import { checkBehind } from './behind.ts'
import { checkClients } from './clients.ts'
import { checkEffects } from './effects.ts'
import { checkDeliveries } from './deliveries.ts'
import { checkExclusives } from './exclusives.ts'
import { checkFencing } from './fencing.ts'
import { checkFreshness } from './freshness.ts'
import { checkGathers } from './gathers.ts'
import { checkJoins } from './joins.ts'
import { checkOrder } from './order.ts'
import { checkOutcome } from './outcome.ts'
import { checkOwners } from './owners.ts'
import { checkPreemptions } from './preemptions.ts'
import { checkProtection } from './protection.ts'
import { checkRoutes } from './routes.ts'
import { checkSubBudgets } from './sub-budgets.ts'
import { checkWaits } from './waits.ts'

/** A broken promise: which, and the smallest part of the evidence that shows it. */
export interface Finding {
  readonly invariant: string
  readonly what: string
}

export type Checker = (evidence: Evidence) => readonly Finding[]

export const CHECKERS: readonly Checker[] = [
  checkAudience,
  checkBudgets,
  checkBehind,
  checkClients,
  checkDeliveries,
  checkEffects,
  checkExclusives,
  checkFencing,
  checkFreshness,
  checkGathers,
  checkJoins,
  checkOrder,
  checkOwners,
  checkPreemptions,
  checkProtection,
  checkRoutes,
  checkSubBudgets,
  checkWaits,
  checkOutcome,
]
