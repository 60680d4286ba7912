import { SpineError } from '../kernel/errors.ts'

/** @throws SPINE_OPTION_INVALID */
export function requireWholeNumber(value: number, max: number, what: string): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return
  throw new SpineError('SPINE_OPTION_INVALID', `${what} is ${value}.`, {
    value,
    limit: max,
    fix: `Use a whole number from 1 to ${max}.`,
  })
}
