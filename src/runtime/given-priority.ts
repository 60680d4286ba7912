import { isPriority, PRIORITIES, type Priority } from '../event/priority.ts'
import { SpineError } from '../kernel/errors.ts'

/** As it was given; checked. @throws SPINE_OPTION_INVALID */
export function givenPriority(priority: unknown, what: string): Priority | undefined {
  if (priority === undefined || isPriority(priority)) return priority
  throw new SpineError('SPINE_OPTION_INVALID', `${what}: there is no priority ${JSON.stringify(priority)}.`, {
    value: priority,
    limit: PRIORITIES,
    fix: `Use one of ${PRIORITIES.map((name) => `'${name}'`).join(', ')}.`,
  })
}

/** What the header of a record says of it: nothing of `'normal'`. */
export function writtenPriority(priority: Priority | undefined): Priority | undefined {
  return priority === 'normal' ? undefined : priority
}
