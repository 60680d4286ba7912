/**
 * A record's place in the one global order: a safe integer from 1, dense, never reused. 0 means "before everything".
 */
export type Sequence = number

export const BEFORE_EVERYTHING: Sequence = 0
