import { decideRoute } from '../coordination/route.ts'
import type { NewRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { headerNow } from './execution.ts'
import { failureOf } from './failure.ts'
import { fact } from './record-draft.ts'
import type { RouteCommand } from './route-command.ts'
import type { Run } from './run.ts'

/** Decides, once. A predicate that throws is an outcome like the error of a step. */
export function routeRecord(run: Run, id: string, command: RouteCommand): NewRecord {
  const { value, given, rules, predicates } = command
  try {
    const { rule, target, rejected } = decideRoute({
      value: value.value,
      rules,
      matches: (at) => isMatch(run, predicates[at]?.(given)),
      unavailable: (name) => run.host.unavailability(name, run.header.priority),
    })
    const data = { command: id, value: value.value, rule, target, rejected: rejected as unknown as Json }
    return fact('spine.route.decided', headerNow(run), { ...data, ...run.stand() })
  } catch (error) {
    return fact('spine.step.recorded', headerNow(run), { command: id, error: failureOf(error), ...run.stand() })
  }
}

function isMatch(run: Run, said: unknown): boolean {
  if (typeof said === 'boolean') return said
  throw new SpineError('SPINE_OPTION_INVALID', `A predicate of ctx.route in ${run.agent.name} returned no boolean.`, {
    value: said,
    fix: 'Return true or false at once; await what the answer needs in a ctx.step before the route.',
  })
}
