/**
 * How urgent work is: the classes, from the most urgent down, and their places in that order.
 *
 * Job: names and numbers. Not its job: what a class does to the order of work (`coordination/urge.ts`).
 */

export const PRIORITIES = ['critical', 'high', 'normal', 'low', 'background'] as const

/** What work is given by `publish`, `start`, `call` or its agent, and what follows from it inherits. Default `'normal'`. */
export type Priority = (typeof PRIORITIES)[number]

/** The place of a class: 0 is `'critical'`, 4 is `'background'`. Less is more urgent. */
export type Urgency = number

export const NORMAL: Urgency = PRIORITIES.indexOf('normal')

/** What the header of a record says; it says nothing of `'normal'`. */
export function urgencyOf(priority: Priority | undefined): Urgency {
  return priority === undefined ? NORMAL : PRIORITIES.indexOf(priority)
}

export function priorityOf(urgency: Urgency): Priority {
  return PRIORITIES[urgency] as Priority
}

/** For the header of a record: `undefined` for `'normal'`. */
export function headerPriority(urgency: Urgency): Priority | undefined {
  return urgency === NORMAL ? undefined : priorityOf(urgency)
}

export function isPriority(value: unknown): value is Priority {
  return PRIORITIES.includes(value as Priority)
}
