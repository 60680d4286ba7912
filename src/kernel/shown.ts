/** A value in a message, short. Never throws, whatever it is given: JSON knows neither NaN nor a bigint nor a cycle. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > CHARACTERS_MAX ? `${value.slice(0, CHARACTERS_MAX)}…` : value)
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  if (typeof value === 'function') return 'a function'
  return typeof value === 'symbol' ? 'a symbol' : `${value as number}`
}

const CHARACTERS_MAX = 100

/** The way out when something that is imported is `undefined` where it is used; else `fix`. */
export function fixOfImport(value: unknown, fix: string): string {
  return value === undefined ? `${fix} ${CIRCULAR}` : fix
}

const CIRCULAR =
  'What is undefined here is most likely imported in a circle (a circular import): declare it in a module of its own that imports none of those which use it.'
