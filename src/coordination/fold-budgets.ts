/** What budgets do to deliveries: who inherits a pool, who stands still for want of money, and who goes on. */
import type { SystemData } from '../event/catalogue.ts'
import type { LogRecord } from '../event/record.ts'
import { inheritPool, raise, settle } from './budgets.ts'
import { forgetFailures, makeReady } from './deliveries.ts'
import { type Row, STATUS } from './delivery-table.ts'
import { oweFromPool } from './owings.ts'
import type { SpineState } from './state.ts'

/** `why` of a `spine.delivery.paused` that a raise ends. */
export const BUDGET = 'budget'

/** What an event opened spends from the pool of whoever emitted it. */
export function inheritPools(state: SpineState, record: LogRecord): void {
  const { deliveries, budgets, agentIndex, agents } = state
  const emitter = agentIndex.get(record.agent ?? '')
  const row = emitter === undefined ? 0 : deliveries.find(record.cause, emitter)
  if (row !== 0 && state.owings.size > 0) oweFromPool(state, record, row)
  if (row === 0 || !budgets.spenders.has(row) || !deliveries.hasSource(record.sequence)) return
  for (let agent = 0; agent < agents.length; agent++) {
    const opened = deliveries.find(record.sequence, agent)
    if (opened !== 0) inheritPool(budgets, row, opened, false)
  }
}

/** The step that was refused is tried again by whoever wakes it. */
export function foldBudgetPause(state: SpineState, row: Row, record: LogRecord): void {
  const { upTo, failed } = record.data as unknown as SystemData<'spine.delivery.paused'>
  const run = state.runs.get(row)
  const refused = failed === undefined ? 0 : (run?.commands.get(failed)?.ended ?? 0)
  if (run !== undefined) {
    forgetFailures(run, { ...(upTo === undefined ? {} : { upTo }), ...(failed === undefined ? {} : { failed }) })
  }
  // Raised after the refusal, and before the run had come to rest.
  const raised = state.budgets.of(record.request)?.raised ?? 0
  if (raised > refused) makeReady(state, row)
  else state.budgets.paused.add(row)
}

export function foldRaised(state: SpineState, record: LogRecord): void {
  const { budgets, deliveries, requests } = state
  const slot = requests.find(record.request)
  const rows = [...budgets.paused].filter(
    (row) => deliveries.request[row] === slot && deliveries.status[row] === STATUS.paused,
  )
  // In the order of their sources: row numbers are nobody's business.
  rows.sort((left, right) => (deliveries.source[left] as number) - (deliveries.source[right] as number))
  raise(budgets, record, rows)
  for (const row of rows) {
    budgets.paused.delete(row)
    makeReady(state, row)
  }
}

export function foldReturned({ budgets }: SpineState, record: LogRecord): void {
  const { reserved } = record.data as unknown as SystemData<'spine.budget.returned'>
  const budget = budgets.of(record.request)
  if (budget !== undefined) settle(budget, reserved, {}, budgets)
}
