import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SpineError } from '../kernel/errors.ts'
import { type Encoded, encodeJson } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { shown } from '../kernel/shown.ts'

/** Runs a schema over a value and encodes what it returns. `what` starts the error: `inquiry.received: data.text: …`. */
export async function validate(schema: StandardSchemaV1, value: unknown, what: string): Promise<Encoded> {
  return accept(await check(schema, value, what), what)
}

/** At once where the schema allows it. */
export function validateSoon(schema: StandardSchemaV1, value: unknown, what: string): Encoded | Promise<Encoded> {
  const result = check(schema, value, what)
  return result instanceof Promise ? result.then((settled) => accept(settled, what)) : accept(result, what)
}

/** For calls that cannot wait. @throws SPINE_SCHEMA_ASYNC when the schema returns a promise. */
export function validateNow(schema: StandardSchemaV1, value: unknown, what: string): Encoded {
  const result = check(schema, value, what)
  if (!(result instanceof Promise)) return accept(result, what)
  result.catch(() => {})
  throw new SpineError('SPINE_SCHEMA_ASYNC', `${what}: the schema validates asynchronously.`, {
    fix: 'Inside a handler a schema must be synchronous; do the asynchronous check in a step.',
  })
}

/** A schema that throws has refused the value as well. */
function check(schema: StandardSchemaV1, value: unknown, what: string) {
  try {
    return schema['~standard'].validate(value)
  } catch (cause) {
    throw new SpineError('SPINE_SCHEMA_INVALID', `${what}: the schema threw ${String(cause)}.`, {
      value: shown(value),
      cause,
      fix: 'Correct the data, or let the schema refuse it with an issue.',
    })
  }
}

function accept(result: StandardSchemaV1.Result<unknown>, what: string): Encoded {
  if (result.issues === undefined) return encodeJson(result.value, `${what}: data`, limits.payloadBytesMax)
  throw schemaError(result.issues, what)
}

export function schemaError(issues: readonly StandardSchemaV1.Issue[], what: string): SpineError {
  const lines = issues
    .slice(0, 3)
    .map((issue) => `data${pathText(issue)}: ${issue.message.replace(/^Invalid input: /, '')}`)
  const more = issues.length > 3 ? ` (and ${issues.length - 3} more)` : ''
  return new SpineError('SPINE_SCHEMA_INVALID', `${what}: ${lines.join('; ')}${more}.`, {
    value: issues.length,
    fix: 'Correct the data, or the schema if the data is right.',
  })
}

function pathText(issue: StandardSchemaV1.Issue): string {
  return (issue.path ?? [])
    .map((part) => (typeof part === 'object' ? part.key : part))
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
}
