import { CATALOGUE } from '../../src/event/catalogue.ts'
import { ERROR_TABLE } from '../../src/kernel/errors.ts'
import { LIMIT_TABLE } from '../../src/kernel/limits.ts'

/** Fields of a record's header, in words. `reference.test.ts` holds the names against `src/event/record.ts`. */
export const HEADER_FIELDS: readonly (readonly [name: string, type: string, meaning: string])[] = [
  ['sequence', 'number', 'place in the one order: dense, from 1, never reused'],
  ['time', 'number', 'ms since 1970 (UTC) by the clock of the process that wrote it; never used for order'],
  ['type', 'text', "a user's event type, or one of the types below"],
  ['version', 'number?', "version of a user's event schema; 1 when absent"],
  ['session', 'text', 'the conversation or case it belongs to'],
  ['request', 'text', 'the id of the causal tree it belongs to'],
  ['key', 'text', 'what it is ordered by; the session unless the publisher said otherwise'],
  ['cause', 'number', 'the record that led to it; 0 for the root of a request'],
  ['hops', 'number', 'distance from the root of the request'],
  ['agent', 'text?', 'with `cause`: the delivery that it tells of, or the run that it came from'],
  ['deadline', 'number?', 'ms since 1970 (UTC): nothing that follows from it starts later'],
  ['due', 'number?', 'ms since 1970 (UTC): when what listens to a delayed event may start'],
  ['priority', 'text?', 'class of the work that follows from it; `normal` when absent'],
  ['data', 'json', 'what the record says; `null` for a record without data'],
  ['dataHash', 'text?', 'SHA-256 over a salt and the data, so that the rest still verifies when data was redacted'],
]

/** Path from the root → text of the page. */
export const REFERENCE_PAGES: Readonly<Record<string, string>> = {
  'docs/reference/errors.md': page(
    'Errors',
    'src/kernel/errors.ts',
    [
      'Every error that Event Spine raises is a `SpineError` with one of these codes. A code keeps its meaning for ever;',
      'messages may change. *Retryable* means that the same call may succeed later without a change by the caller.',
    ],
    table(
      ['Code', 'HTTP', 'Retryable', 'Meaning'],
      Object.entries(ERROR_TABLE).map(([code, { status, retryable, meaning }]) => [
        `\`${code}\``,
        `${status}`,
        retryable ? 'yes' : 'no',
        meaning,
      ]),
    ),
  ),
  'docs/reference/limits.md': page(
    'Limits',
    'src/kernel/limits.ts',
    [
      'Everything that could grow has a bound. What passes one is refused with a code, or recorded as failed: never a hang.',
    ],
    table(
      ['Limit', 'Value', 'Unit', 'What it bounds, and why'],
      Object.entries(LIMIT_TABLE).map(([name, { value, unit, reason }]) => [
        `\`${name}\``,
        grouped(value),
        unit,
        reason,
      ]),
    ),
  ),
  'docs/reference/records.md': page(
    'Records',
    'src/event/catalogue.ts',
    [
      "Everything on the log is a record: a header, and data beside it. A user's events are records of the types that the",
      'user declared; all other types begin with `spine.` and are listed here. A `?` marks what may be absent.',
    ],
    '## The header',
    '',
    table(
      ['Field', 'Type', 'Means'],
      HEADER_FIELDS.map(([name, type, meaning]) => [`\`${name}\``, type, meaning]),
    ),
    '',
    '## What the system writes',
    '',
    table(
      ['Type', 'Means', 'Data'],
      Object.entries(CATALOGUE).map(([type, { meaning, fields }]) => [`\`${type}\``, meaning, fieldList(fields)]),
    ),
  ),
}

function page(title: string, source: string, introduction: readonly string[], ...body: readonly string[]): string {
  const origin = `Generated from \`${source}\` by \`npm run docs:update\`; a test compares the two.`
  return `${[`# ${title}`, '', ...introduction, '', origin, '', ...body].join('\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function fieldList(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([name, type]) => `\`${name}\` ${type}`)
    .join(', ')
}

/** 262144 → 262,144, whatever the machine's language. */
function grouped(value: number): string {
  return `${value}`.replace(/\B(?=(?:\d{3})+$)/g, ',')
}
