import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

interface Account {
  limit: number
  spent: number
  readonly reserved: Map<number, number>
}

/**
 * I20: a step with a cost never starts beyond the limit of its request; each start is charged once, in full unless its outcome
 * told; nothing of cost is executed without a start.
 */
export function checkBudgets({ records, history }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const accounts = new Map<string, Account>()
  const starts = new Map<string, number>()
  for (const { sequence, type, request, cause, agent, data } of records) {
    if (!type.startsWith('spine.budget.') && !type.startsWith('spine.step.')) continue
    const { amounts, cost, reserved, spent, command } = data as {
      readonly amounts?: { readonly usd: number }
      readonly cost?: { readonly usd: number }
      readonly reserved?: number
      readonly spent?: { readonly usd?: number }
      readonly command?: string
    }
    const account = accounts.get(request) ?? { limit: Number.POSITIVE_INFINITY, spent: 0, reserved: new Map() }
    accounts.set(request, account)
    const say = (what: string) => findings.push({ invariant: 'I20', what: `${request} at ${sequence}: ${what}` })
    if (type === 'spine.budget.given' && account.limit === Number.POSITIVE_INFINITY && amounts !== undefined)
      account.limit = amounts.usd
    if (cost !== undefined) {
      account.spent += cost.usd
      account.reserved.set(sequence, cost.usd)
      const name = `${cause}/${agent}/${command}`
      starts.set(name, (starts.get(name) ?? 0) + 1)
      if (account.spent > account.limit + 1e-9)
        say(`'${command}' starts though ${account.spent} of ${account.limit} go`)
    }
    if (reserved !== undefined) {
      const estimate = account.reserved.get(reserved)
      if (estimate === undefined) say(`${reserved} is settled and reserves nothing`)
      else account.spent += type === 'spine.budget.returned' ? -estimate : (spent?.usd ?? estimate) - estimate
      account.reserved.delete(reserved)
    }
  }
  const executed = new Map<string, number>()
  for (const { agent, source, name } of history.tools) {
    if (!name.startsWith('paid ')) continue
    const id = `${source}/${agent}/${name}#0`
    executed.set(id, (executed.get(id) ?? 0) + 1)
  }
  for (const [id, times] of executed) {
    const paid = starts.get(id) ?? 0
    if (times > paid)
      findings.push({ invariant: 'I20', what: `${id} was executed ${times} times and paid ${paid} times` })
  }
  return findings
}
