/**
 * Options that exist: a misspelt one is refused, because one that is ignored is found out in production.
 *
 * The compiler tells of it first; this is for JavaScript, and for what passed it as `any`.
 */
import { SpineError } from './errors.ts'
import { nearest } from './nearest.ts'
import { shown } from './shown.ts'

export type OptionNames = ReadonlySet<string>

/** Declares the names of an options type, next to it. One that is missing or too many does not compile. */
export function optionNames<Options>(names: { readonly [Name in keyof Options]-?: true }): OptionNames {
  return new Set(Object.keys(names))
}

/** `what` names whose options they are. @throws SPINE_OPTION_INVALID */
export function requireKnownOptions(given: object, names: OptionNames, what: string): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw noOptions(given, names, what)
  for (const name in given) if (!names.has(name) && Object.hasOwn(given, name)) throw unknownOption(name, names, what)
}

function noOptions(given: unknown, names: OptionNames, what: string): SpineError {
  return new SpineError('SPINE_OPTION_INVALID', `${what} was given ${shown(given)} where its options belong.`, {
    value: given,
    limit: [...names],
    fix: `Pass an object: { ${[...names][0]}: … }.`,
  })
}

function unknownOption(name: string, names: OptionNames, what: string): SpineError {
  const meant = nearest(name, names)
  const hint = meant === undefined ? '' : `: did you mean '${meant}'?`
  return new SpineError('SPINE_OPTION_INVALID', `${what} has no option '${name}'${hint === '' ? '.' : hint}`, {
    value: name,
    limit: [...names],
    fix: `There are ${[...names].map((known) => `'${known}'`).join(', ')}.`,
  })
}
