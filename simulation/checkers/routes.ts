import type { Evidence } from '../history.ts'
import { BANDS } from '../office.ts'
import type { Finding } from './index.ts'

interface Decided {
  readonly command: string
  readonly value: number
  readonly target: string
  readonly rejected: readonly { readonly rule: number; readonly target: string; readonly why: string }[]
}

/** The rules of the clerk, as `office.ts` has them. */
const RULES = [
  { target: 'expert', holds: (value: number) => value >= BANDS.expert },
  { target: 'senior', holds: (value: number) => value >= BANDS.senior },
  { target: 'expert', holds: () => true },
] as const

/** I13: the target of a route follows from its value and from who was passed over; it is decided once. */
export function checkRoutes({ records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const decided = new Set<string>()
  for (const { type, cause, agent, sequence, data } of records) {
    // In another generation the run takes its way anew.
    if (type === 'spine.delivery.preempted' && (data as { generation?: number }).generation !== undefined)
      for (const name of decided) if (name.startsWith(`${cause}/${agent} `)) decided.delete(name)
    if (type !== 'spine.route.decided') continue
    const { command, value, target, rejected } = data as unknown as Decided
    const name = `${cause}/${agent} ${command}`
    if (decided.has(name)) findings.push({ invariant: 'I13', what: `${name} was decided again at ${sequence}` })
    decided.add(name)
    const passedOver = new Set(rejected.map(({ rule }) => rule))
    const wanted = RULES.find(({ holds }, rule) => holds(value) && !passedOver.has(rule))
    if (wanted?.target !== target)
      findings.push({ invariant: 'I13', what: `${name} sent ${value} to ${target} instead of ${wanted?.target}` })
    for (const rule of passedOver)
      if (rule === RULES.length - 1) findings.push({ invariant: 'I13', what: `${name} passed over its else` })
  }
  return findings
}
