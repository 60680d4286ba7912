import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

interface Pool {
  readonly limit: number
  spent: number
  readonly parent: Pool | undefined
  /** Of a call: whose it is, and who owes its reply. */
  readonly caller: string
  holder: string
}

const ENDS =
  /^spine\.delivery\.(completed|skipped|taken|superseded|cancelled|expired|dead|discarded|restarted|preempted)$/

/**
 * I20: what a call takes along is never more than every pool above it had left: its limit, without what was spent and reserved
 * there, and without what other calls had taken along and not spent. A call counts as open only as long as that is certain,
 * so nothing is found that is not there.
 */
export function checkSubBudgets({ records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const roots = new Map<string, Pool>()
  const pools = new Map<string, Pool>()
  const carved = new Map<string, Set<Pool>>()
  const reserved = new Map<number, { readonly pool: Pool; readonly usd: number }>()
  const raised = new Set<string>()
  const ofEvents = new Map<number, Pool>()

  for (const record of records) {
    const { sequence, type, request, cause, agent } = record
    const { amounts, cost, budget, target, handoff } = record.data as Spending
    const delivery = `${cause}/${agent}`
    const pool = pools.get(delivery) ?? ofEvents.get(cause) ?? roots.get(request)
    if (type === 'spine.budget.given' && amounts !== undefined && !roots.has(request))
      roots.set(request, { limit: amounts.usd, spent: 0, parent: undefined, caller: '', holder: '' })
    // Whose limits grew with it, only the fold knows.
    if (type === 'spine.budget.raised') raised.add(request)
    if (type.startsWith('spine.request.')) carved.delete(request)
    if (pool === undefined || raised.has(request)) continue

    if (!type.startsWith('spine.')) ofEvents.set(sequence, pool)
    if (type === 'spine.call.requested') {
      let called = pool
      if (budget !== undefined) {
        const open = carved.get(request) ?? new Set()
        for (let above: Pool | undefined = pool; above !== undefined; above = above.parent) {
          const left = above.limit - above.spent - heldOf(above, open, pool)
          if (budget.usd > left + 1e-9)
            findings.push({
              invariant: 'I20',
              what: `${request} at ${sequence}: the call of '${target}' takes ${budget.usd} along where ${left} was left`,
            })
        }
        called = { limit: budget.usd, spent: 0, parent: pool, caller: delivery, holder: `${sequence}/${target}` }
        carved.set(request, open.add(called))
      }
      pools.set(`${sequence}/${target}`, called)
    } else if (handoff !== undefined) pools.set(`${sequence}/${handoff.target}`, pool)

    if (cost !== undefined) {
      charge(pool, cost.usd)
      reserved.set(sequence, { pool, usd: cost.usd })
    }
    settle(record, reserved)
    if (ENDS.test(type)) leave(delivery, `${sequence}/${handoff?.target}`, handoff !== undefined, carved.get(request))
  }
  return findings
}

interface Spending {
  readonly amounts?: { readonly usd: number }
  readonly cost?: { readonly usd: number }
  readonly spent?: { readonly usd?: number }
  readonly budget?: { readonly usd: number }
  readonly reserved?: number
  readonly target?: string
  readonly handoff?: { readonly target: string }
}

/** What open calls have of a pool, but for those on the way down to `from`, which spend from what they hold. */
function heldOf(above: Pool, open: ReadonlySet<Pool>, from: Pool): number {
  let held = 0
  for (const pool of open)
    if (pool.parent === above && !isAbove(pool, from)) held += Math.max(0, pool.limit - pool.spent)
  return held
}

function isAbove(pool: Pool, below: Pool): boolean {
  for (let one: Pool | undefined = below; one !== undefined; one = one.parent) if (one === pool) return true
  return false
}

function charge(pool: Pool, usd: number): void {
  for (let one: Pool | undefined = pool; one !== undefined; one = one.parent) one.spent += usd
}

function settle({ type, data }: LogRecord, starts: Map<number, { readonly pool: Pool; readonly usd: number }>): void {
  const { reserved, spent } = data as Spending
  const start = reserved === undefined ? undefined : starts.get(reserved)
  if (start === undefined) return
  starts.delete(reserved as number)
  charge(start.pool, type === 'spine.budget.returned' ? -start.usd : (spent?.usd ?? start.usd) - start.usd)
}

/** A handoff passes what was taken along to its target; any other end of the caller or of whom it called returns it. */
function leave(delivery: string, heir: string, isHandoff: boolean, open: Set<Pool> | undefined): void {
  for (const pool of open ?? []) {
    if (pool.caller === delivery) open?.delete(pool)
    else if (pool.holder !== delivery) continue
    else if (isHandoff) pool.holder = heir
    else open?.delete(pool)
  }
}
