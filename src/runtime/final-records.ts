import type { Handoff } from '../agent/context.ts'
import { callsToFinish } from '../coordination/gather.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { NewRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { headerNow } from './execution.ts'
import { fact } from './record-draft.ts'
import type { Run } from './run.ts'
import { eventRecord, type Intentions } from './run-context.ts'
import { validateSoon } from './validate.ts'

/** What a run ends with: a reply, a handoff, or neither. */
interface Conclusion {
  readonly handoff?: { readonly target: string; readonly input: Json }
  readonly reply?: Json
}

/**
 * The commit that ends a run well: what it emitted, its session patches, then its completion with reply or handoff. At once
 * unless the reply has a schema that takes its time.
 */
export function finalRecords(
  run: Run,
  intentions: Intentions,
  value: unknown,
  open: readonly string[],
): readonly NewRecord[] | Promise<readonly NewRecord[]> {
  const found = conclusion(run, intentions, value)
  if (found instanceof Promise) return found.then((conclusion) => recordsOf(run, intentions, conclusion, open))
  return recordsOf(run, intentions, found, open)
}

function recordsOf(
  run: Run,
  { events, patches }: Intentions,
  conclusion: Conclusion,
  asked: readonly string[],
): readonly NewRecord[] {
  const open = dropped(run, asked)
  const header = headerNow(run)
  const records: NewRecord[] = []
  for (const { type, data, options } of events) records.push(eventRecord(run.header, type, data, options, header.time))
  for (const patch of patches) records.push(fact('spine.session.patched', header, { patch }))
  const data: SystemData<'spine.delivery.completed'> = open.length === 0 ? conclusion : { ...conclusion, dropped: open }
  records.push(fact('spine.delivery.completed', header, data))
  return records
}

/** What is open, save calls that outlive the run. */
function dropped({ host, row }: Run, open: readonly string[]): readonly string[] {
  const journal = open.length === 0 ? undefined : host.state.runs.get(row)
  if (journal?.gathers === undefined) return open
  const finishing = callsToFinish(journal)
  return open.filter((id) => !finishing.has(id))
}

const NOTHING: Conclusion = Object.freeze({})

function conclusion(run: Run, { handoffs }: Intentions, value: unknown): Conclusion | Promise<Conclusion> {
  const chosen = handoffs.get(value as Handoff)
  if (handoffs.size > 0 && (chosen === undefined || handoffs.size > 1)) {
    const made = [...handoffs.values()].map(({ target }) => target).join("', '")
    throw new SpineError(
      'SPINE_HANDOFF_NOT_RETURNED',
      `${run.agent.name} made a handoff to '${made}' but returned something else.`,
      {
        value: made,
        fix: 'Write: return ctx.handoff(target, input). A run hands off once, at its end.',
      },
    )
  }
  if (chosen !== undefined) {
    run.host.requireRegistered(chosen.target)
    return { handoff: { target: chosen.target, input: chosen.input.value } }
  }
  const { output } = run.agent.options
  if (output === undefined) return NOTHING
  const reply = validateSoon(output, value, `reply of '${run.agent.name}'`)
  return reply instanceof Promise ? reply.then((encoded) => ({ reply: encoded.value })) : { reply: reply.value }
}
