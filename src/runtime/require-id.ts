import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'

/** In the language since ES2024, in Node since 20. */
type WellFormed = string & { isWellFormed(): boolean }

/** A session, key or other id that a user gives: storable as it is. @throws SPINE_OPTION_INVALID */
export function requireId(value: unknown, name: string): void {
  // Half a surrogate pair would be another text after it was stored.
  const isText =
    typeof value === 'string' && value !== '' && !value.includes('\0') && (value as WellFormed).isWellFormed()
  if (isText && value.length <= limits.idCharactersMax) return
  throw new SpineError('SPINE_OPTION_INVALID', `${name} is ${JSON.stringify(value)}.`, {
    value,
    limit: limits.idCharactersMax,
    fix: `Use a text of 1 to ${limits.idCharactersMax} characters, none of them U+0000.`,
  })
}
