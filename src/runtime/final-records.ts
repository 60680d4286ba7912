import type { Handoff } from '../agent/context.ts'
import type { SystemData } from '../event/catalogue.ts'
import type { NewRecord } from '../event/record.ts'
import { SpineError } from '../kernel/errors.ts'
import type { Json } from '../kernel/json.ts'
import { fact } from './record-draft.ts'
import type { Run } from './run.ts'
import { eventRecord, type Intentions } from './run-context.ts'
import { validate } from './validate.ts'

/** The commit that ends a run well: what it emitted, its session patches, then its completion with reply or handoff. */
export async function finalRecords(
  run: Run,
  intentions: Intentions,
  value: unknown,
  open: readonly string[],
): Promise<readonly NewRecord[]> {
  const { handoff, reply } = await conclusion(run, intentions, value)
  const time = run.host.clock.now()
  const header = { ...run.header, time }
  const records: NewRecord[] = []
  for (const { type, data, options } of intentions.events)
    records.push(eventRecord(run.header, type, data, options, time))
  for (const patch of intentions.patches) records.push(fact('spine.session.patched', header, { patch }))
  const data: SystemData<'spine.delivery.completed'> = {
    ...(reply === undefined ? {} : { reply }),
    ...(handoff === undefined ? {} : { handoff }),
    ...(open.length === 0 ? {} : { dropped: open }),
  }
  records.push(fact('spine.delivery.completed', header, data))
  return records
}

async function conclusion(
  run: Run,
  { handoffs }: Intentions,
  value: unknown,
): Promise<{ handoff?: { target: string; input: Json }; reply?: Json }> {
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
  return output === undefined ? {} : { reply: (await validate(output, value, `reply of '${run.agent.name}'`)).value }
}
