/**
 * Every record that the system itself writes, one line of meaning and one schema each. User events are the other kind.
 *
 * Job: name the facts, and give each the shape of its data, for the compiler and for what is read from a disk.
 * Not its job: what a fact does to the state (`coordination/evolve.ts`).
 *
 * C1  A type is never removed and a field never changes its meaning: old logs must fold the same way for ever.
 * C2  A new field is optional. A log with a type that is not in this list was written by a newer version.
 *
 * Where a line says "the run", the header names it by (`cause`, `agent`), as `event/record.ts` R3 has it.
 */
import type { Json } from '../kernel/json.ts'

/** Why something failed, as it stands on the log. */
export interface Failure {
  /** A `SpineError` code, the error's own `code`, or `SPINE_HANDLER_FAILED`. */
  readonly code: string
  readonly name: string
  readonly message: string
  readonly stack?: string
  /** Retrying cannot help. */
  readonly permanent?: boolean
  /** What a `RetryAfter` asked for. */
  readonly retryAfterMs?: number
  /** Of an exhausted budget: unit, limit, spent, wanted. */
  readonly value?: Json
}

interface FieldTypes {
  text: string
  number: number
  flag: boolean
  json: Json
  texts: readonly string[]
  numbers: readonly number[]
  failure: Failure
  handoff: { readonly target: string; readonly input: Json }
  amounts: { readonly [unit: string]: number }
}
type FieldType = keyof FieldTypes
type Fields = { readonly [name: string]: FieldType | `${FieldType}?` }

type RequiredNames<F extends Fields> = { [Name in keyof F]: F[Name] extends `${string}?` ? never : Name }[keyof F]
type OptionalNames<F extends Fields> = Exclude<keyof F, RequiredNames<F>>
type FieldValue<Spec> = Spec extends FieldType ? FieldTypes[Spec] : Spec extends `${infer Base extends FieldType}?` ? FieldTypes[Base] : never

export interface CatalogueEntry<F extends Fields = Fields> {
  readonly meaning: string
  readonly fields: F
}

function fact<const F extends Fields>(meaning: string, fields: F): CatalogueEntry<F> {
  return { meaning, fields }
}

/** On the first journal record of a run: where it stands in the log, and which version of the agent wrote it. */
const stand = { basis: 'number?', version: 'text?' } as const

/**
 * How far an attempt came: the last success that its handler was given (`upTo`, a sequence), and the command whose failure
 * it ended with (`failed`). What a new attempt keeps of the journal follows from them.
 */
const attempt = { upTo: 'number?', failed: 'text?' } as const

export const CATALOGUE = {
  'spine.agent.registered': fact('An agent exists from here on, with these subscriptions and options.', {
    name: 'text', version: 'text', kind: 'text', on: 'texts', emits: 'texts', order: 'text', options: 'json', onFailure: 'text?',
    join: 'json?', after: 'texts?', observes: 'flag?', priority: 'text?', freshness: 'json?', exclusive: 'text?', from: 'json?',
  }),
  'spine.agent.removed': fact('The agent is gone; its open deliveries end here.', { name: 'text' }),
  'spine.agent.renamed': fact('The agent goes on under another name, with its open deliveries.', { name: 'text', to: 'text' }),
  'spine.agent.paused': fact('The agent starts nothing new.', { name: 'text', why: 'text?' }),
  'spine.agent.resumed': fact('The agent starts work again.', { name: 'text' }),
  'spine.agent.admitted': fact('Matching events up to a sequence were opened for an agent that is behind.', { name: 'text', upTo: 'number', events: 'numbers', places: 'json?' }),
  'spine.agent.behind': fact('The agent has more waiting than memory should hold; from here on a cursor is kept.', { name: 'text', since: 'number' }),
  'spine.lane.claimed': fact('A process owns the lane from here on.', { lane: 'text', owner: 'text' }),
  'spine.lane.released': fact('The owner let go of the lane in good order.', { lane: 'text' }),
  'spine.runs.started': fact('These deliveries have entered their handlers; the suspended ones wait for the log again.', {
    events: 'numbers', agents: 'texts', suspendedEvents: 'numbers?', suspendedAgents: 'texts?', rates: 'texts?',
  }),
  'spine.step.started': fact('The run is about to change the world in this step, or to spend on it (`cost`, charged as estimated until its outcome tells).', {
    command: 'text', cost: 'amounts?', plain: 'flag?', ...stand,
  }),
  'spine.step.recorded': fact('A step or another journaled call of the run ended with a value or an error.', {
    command: 'text', value: 'json?', error: 'failure?', generation: 'number?', keep: 'flag?', spent: 'amounts?', reserved: 'number?', unmeasured: 'failure?', events: 'texts?', ...stand,
  }),
  'spine.call.requested': fact('Directed work for an agent, asked for by the run, or by a caller outside.', {
    target: 'text', input: 'json', command: 'text?', budget: 'amounts?', ...stand,
  }),
  'spine.timer.set': fact('The run sleeps until the due time.', { command: 'text', due: 'number', ...stand }),
  'spine.timer.fired': fact('The due time has come: of a sleep, of a gather, or of a delayed event.', { command: 'text' }),
  'spine.wait.opened': fact('The run waits for an event of this type.', { command: 'text', event: 'text', match: 'json?', due: 'number?', after: 'number?', cause: 'number?', others: 'numbers?', ...stand }),
  'spine.wait.matched': fact('The awaited event was found.', { command: 'text', event: 'number' }),
  'spine.wait.expired': fact('The awaited event did not come in time.', { command: 'text' }),
  'spine.gather.opened': fact('The run gathers these branches.', {
    command: 'text', branches: 'texts', until: 'json', due: 'number?', atLeast: 'number?', onLate: 'text?', keys: 'texts?', ...stand,
  }),
  'spine.route.decided': fact('The run chose where work goes, and why.', { command: 'text', value: 'json', rule: 'number', target: 'text', rejected: 'json', ...stand }),
  'spine.budget.given': fact('The request may spend so much; with `spent`, said again when its work goes on after a rest.', {
    amounts: 'amounts', spent: 'amounts?',
  }),
  'spine.budget.low': fact('Most of a unit of a budget is spent: of the request, or of a call (`pool`).', {
    unit: 'text', limit: 'number', spent: 'number', pool: 'number?',
  }),
  'spine.budget.exhausted': fact('A budget of the request cannot carry the next step.', {
    unit: 'text', limit: 'number', spent: 'number', wanted: 'number?', command: 'text?',
  }),
  'spine.budget.returned': fact('A step that had reserved (`reserved`, its start) was stopped before it was entered.', { reserved: 'number' }),
  'spine.budget.raised': fact('Someone raised the budget of the request.', { amounts: 'amounts', why: 'text?' }),
  'spine.breaker.opened': fact('Deliveries of the agent are held after repeated failures, save the one that probes it.', { name: 'text', until: 'number', probe: 'number?' }),
  'spine.breaker.closed': fact('The agent works again.', { name: 'text', why: 'text?' }),
  'spine.session.patched': fact('A merge patch (RFC 7396) on the state of the session.', { patch: 'json' }),
  'spine.request.cancelled': fact('Someone cancelled the request; its open deliveries end here.', { why: 'text' }),
  'spine.request.expired': fact('The deadline of the request passed; its open deliveries end here.', { deadline: 'number' }),
  'spine.request.prioritized': fact('Someone gave the request another class; it holds for what is open of it and what follows.', {
    priority: 'text', why: 'text?',
  }),
  'spine.delivery.completed': fact('The run ended well: with a reply, a handoff, or neither.', {
    reply: 'json?', handoff: 'handoff?', dropped: 'texts?',
  }),
  'spine.delivery.skipped': fact('The delivery ended unstarted, for a reason that is no failure.', { why: 'text', of: 'number?' }),
  'spine.delivery.taken': fact('A wait of the same agent took the event.', { by: 'number', command: 'text?' }),
  'spine.delivery.superseded': fact('Newer input of the session made the run pointless.', { by: 'number' }),
  'spine.delivery.cancelled': fact('Whoever asked for the work no longer wants it.', { why: 'text' }),
  'spine.delivery.expired': fact('The deadline of the work passed.', { deadline: 'number' }),
  'spine.delivery.dead': fact('The work failed for good and lies in the dead letters.', {
    attempts: 'number', error: 'failure', ...attempt,
  }),
  'spine.delivery.retried': fact('An attempt failed; the next one is due at this time.', {
    attempt: 'number', due: 'number', error: 'failure', ...attempt,
  }),
  'spine.delivery.preempted': fact('More urgent work took the slot of the run.', {
    by: 'number', generation: 'number?', ...stand,
  }),
  'spine.delivery.restarted': fact('The run starts over on a new basis.', { generation: 'number', why: 'text' }),
  'spine.delivery.paused': fact('The run stands still until someone acts.', { why: 'text', error: 'failure?', ...attempt }),
  'spine.delivery.redriven': fact('A dead letter was put back to work.', {}),
  'spine.delivery.discarded': fact('A dead letter was given up.', { why: 'text?' }),
} as const satisfies Record<string, CatalogueEntry>

export type SystemType = keyof typeof CATALOGUE

/** The data of a system record. */
export type SystemData<Type extends SystemType> = (typeof CATALOGUE)[Type] extends CatalogueEntry<infer F>
  ? { readonly [Name in RequiredNames<F>]: FieldValue<F[Name]> } & { readonly [Name in OptionalNames<F>]?: FieldValue<F[Name]> }
  : never

export function isCatalogued(type: string): type is SystemType {
  return Object.hasOwn(CATALOGUE, type)
}

/** The first field of the data that is missing or of the wrong kind, in words; `undefined` when all is well. */
export function flawInSystemData(type: SystemType, data: Json): string | undefined {
  const fields: Fields = CATALOGUE[type].fields
  const values = isObject(data) ? data : {}
  for (const [name, spec] of Object.entries(fields)) {
    const value = values[name]
    const optional = spec.endsWith('?')
    if (value === undefined && optional) continue
    if (value === undefined || !FIELD_TESTS[(optional ? spec.slice(0, -1) : spec) as FieldType](value)) {
      return `${type}: field '${name}' is not ${spec}`
    }
  }
  return undefined
}

const isText = (value: Json) => typeof value === 'string'
const isNumber = (value: Json) => typeof value === 'number'
const isListOf = (test: (value: Json) => boolean) => (value: Json) => Array.isArray(value) && value.every((item: Json) => test(item))

const FIELD_TESTS: Record<FieldType, (value: Json) => boolean> = {
  text: isText,
  number: isNumber,
  flag: (value) => typeof value === 'boolean',
  json: () => true,
  texts: isListOf(isText),
  numbers: isListOf(isNumber),
  failure: (value) => isObject(value) && isText(value['code'] ?? null) && isText(value['message'] ?? null),
  handoff: (value) => isObject(value) && isText(value['target'] ?? null) && value['input'] !== undefined,
  amounts: (value) => isObject(value) && Object.values(value).every(isNumber),
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
