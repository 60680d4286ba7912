import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

const PREEMPTIONS_MAX = 3
/** What runs from then on has not come to its effects. */
const ANEW = new Set(['spine.delivery.retried', 'spine.delivery.restarted', 'spine.delivery.redriven'])

interface Run {
  preemptions: number
  /** Effects that the process that owns the lane has started, and whose outcome is not on the log. */
  readonly effects: Set<string>
}

/**
 * I14: a run makes room three times at most, never while it is in an effect that its process has started, and never when it
 * is critical itself; it makes room for something that is on the log.
 */
export function checkPreemptions({ records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const runs = new Map<string, Run>()
  const prioritized = new Set<string>()
  for (const { sequence, type, cause, agent, request, data, priority } of records) {
    if (type === 'spine.request.prioritized') prioritized.add(request)
    if (type === 'spine.lane.claimed') {
      for (const { effects } of runs.values()) effects.clear()
      continue
    }
    if (agent === undefined || !(type.startsWith('spine.step.') || type.startsWith('spine.delivery.'))) continue
    const id = `${cause}/${agent}`
    const run = runs.get(id) ?? { preemptions: 0, effects: new Set() }
    runs.set(id, run)
    const {
      command = '',
      by = 0,
      plain,
    } = data as {
      readonly command?: string
      readonly by?: number
      readonly plain?: boolean
    }
    if (type === 'spine.step.started' && plain !== true) run.effects.add(command)
    else if (type === 'spine.step.recorded') run.effects.delete(command)
    else if (ANEW.has(type)) run.effects.clear()
    else if (type === 'spine.delivery.preempted') {
      run.preemptions++
      const say = (what: string) => findings.push({ invariant: 'I14', what: `${id} made room at ${sequence}: ${what}` })
      if (run.preemptions > PREEMPTIONS_MAX) say(`for the ${run.preemptions}th time`)
      if (run.effects.size > 0) say(`in ${[...run.effects].join(' and ')}`)
      if (priority === 'critical' && !prioritized.has(request)) say('it is critical')
      if (by < 1 || by >= sequence) say(`for ${by}, which is not there yet`)
    }
    if (type === 'spine.delivery.redriven') run.preemptions = 0
  }
  return findings
}
