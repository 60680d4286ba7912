/**
 * The types that users meet, compiled as users compile them: against `dist/`, by the package's name, with strict
 * settings and without `skipLibCheck`, with the oldest supported TypeScript and the newest.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url))
const COMPILERS = ['typescript', 'typescript-5.4'] as const

/** File → what the compiler points at, and what it says there. */
const MISTAKES: Readonly<Record<string, string>> = {
  'wrong-payload.ts': "text: Type 'number' is not assignable to type 'string'.",
  'undeclared-emit.ts': "Booked: 'appointment.booked' is not declared: add it to this agent's option 'emits'",
  'call-of-a-reaction.ts':
    "scheduling: agent 'scheduling' reacts to events: only an agent with 'input' and 'output' can be called, handed to or started",
  'on-and-input.ts':
    "input: an agent reacts ('on') or does directed work ('input' and 'output'), never both: remove one",
  'date-in-a-schema.ts':
    "z: the schema's output must be JSON, but data.visit.day is a Date: use a string (ISO date) instead",
  'join-of-one.ts': ': join takes two event types or more',
  'join-of-names.ts': ': join takes event types: what event() returned',
  'join-without-a-list.ts': 'Inquiry: join takes a list of event types: join([A, B], { per })',
  'after-and-input.ts': "after: directed work starts when it is asked for: 'after' is for agents that react ('on')",
  'wait-for-a-name.ts': ': waitFor takes an event type: what event() returned',
  'answer-not-checked.ts': "answer: 'answer' is possibly 'undefined'.",
  'freshness-of-names.ts': ": Type 'string' is not assignable to type 'AnyEventType'.",
  'freshness-unknown-then.ts': `then: Type '"stop"' is not assignable to type '"cancel" | "hold" | "restart"'.`,
  'freshness-without-then.ts':
    "freshness: Property 'then' is missing in type '{ newer: EventType<\"inquiry.received\", { text: string; }, { text: string; }>[]; }' but required in type 'FreshnessOptions'.",
  'preempt-as-a-word.ts': "preempt: Type 'string' is not assignable to type 'PreemptOptions'.",
  'preempt-unknown-at.ts': `at: Type '"effect"' is not assignable to type '"never" | "signal" | "step" | undefined'.`,
  'priority-unknown.ts': `priority: Type '"urgent"' is not assignable to type '"background" | "critical" | "high" | "low" | "normal"'.`,
  'priority-of-a-publish.ts': `priority: Type '"urgent"' is not assignable to type '"background" | "critical" | "high" | "low" | "normal" | undefined'.`,
  'rate-per-in-words.ts': `per: Type '"1 minute"' is not assignable to type 'Duration'.`,
  'breaker-misspelt.ts':
    "failure: Object literal may only specify known properties, but 'failure' does not exist in type 'Breaker'. Did you mean to write 'failures'?",
  'cost-without-estimate.ts':
    "usd: Object literal may only specify known properties, and 'usd' does not exist in type 'StepCost<number>'.",
  'cost-as-a-number.ts': "cost: Type 'number' is not assignable to type 'StepCost<number>'.",
  'cost-actual-as-amounts.ts':
    "usd: Object literal may only specify known properties, and 'usd' does not exist in type '(result: number) => Amounts'.",
  'budget-as-a-number.ts': "budget: Type 'number' is not assignable to type 'Amounts'.",
  'budget-of-a-call.ts': "budget: Type 'number' is not assignable to type 'Amounts'.",
  'budget-of-a-start.ts': "usd: Type 'string' is not assignable to type 'number'.",
  'misspelt-option.ts': "concurency: an agent has no option 'concurency'",
}

function compile(compiler: string, project: string): Promise<string> {
  const tsc = join(dirname(createRequire(import.meta.url).resolve(`${compiler}/package.json`)), 'bin', 'tsc')
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, '-p', project, '--pretty', 'false'], { cwd: FIXTURES }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    )
  })
}

/** `mistakes/a.ts(6,32): error TS2322: …` as the word at that place and what is said, without the type that was given. */
function explain(line: string): readonly [file: string, said: string] {
  const [, file, row, column, message] = /^mistakes\/(.+?)\((\d+),(\d+)\): error TS\d+: (.*)$/.exec(line) ?? []
  if (file === undefined || message === undefined) return [line, '']
  const text = readFileSync(join(FIXTURES, 'mistakes', file), 'utf8').split('\n')[Number(row) - 1] ?? ''
  const word = /^\w*/.exec(text.slice(Number(column) - 1))?.[0] ?? ''
  const explanation = /^(?:Argument of type|Type) '.*' is not assignable to (?:parameter of )?type '"([^"]*)"'\.$/.exec(
    message,
  )?.[1]
  return [file, `${word}: ${explanation ?? sorted(message)}`]
}

/** The compilers differ in the order of the words of a choice. */
function sorted(message: string): string {
  return message.replace(/"\w+"(?: \| "\w+")+/g, (choice) => choice.split(' | ').sort().join(' | '))
}

describe.concurrent.each(COMPILERS)('%s', (compiler) => {
  it('accepts what is right, and refuses what is marked as wrong', async () => {
    expect(await compile(compiler, 'tsconfig.json')).toBe('')
  })

  it('explains each of the commonest mistakes in one line that names the option or field', async () => {
    const lines = (await compile(compiler, 'mistakes')).trimEnd().split('\n')
    expect(Object.fromEntries(lines.map(explain))).toEqual(MISTAKES)
    expect(lines).toHaveLength(Object.keys(MISTAKES).length)
  })
})

it('knows every mistake that has a file', () => {
  const files = readdirSync(join(FIXTURES, 'mistakes')).filter((name) => name.endsWith('.ts'))
  expect(files.sort()).toEqual(Object.keys(MISTAKES).sort())
})
