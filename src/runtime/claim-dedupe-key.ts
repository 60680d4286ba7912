/**
 * `dedupe`: the second piece of work about the same thing is skipped.
 *
 * Job: ask the agent's function for the key once, before the handler is entered, and let the log say who was first.
 * Not its job: keeping keys; the engine does, for the life of the log (engine/engine.ts G8).
 *
 * M1  The key is claimed by a commit of its own that names the delivery, so it is held before anything of it happens, and a
 *     crash after that commit finds it in the journal: nobody is a duplicate of himself.
 * M2  Whoever was first stays first, whatever became of it: dead, cancelled or expired work is repeated by a redrive, not by
 *     sending it again.
 */
import type { Sequence } from '../event/sequence.ts'
import { SpineError } from '../kernel/errors.ts'
import { headerNow } from './execution.ts'
import { DEDUPED } from './journal.ts'
import { fact } from './record-draft.ts'
import { requireId } from './require-id.ts'
import type { Run } from './run.ts'
import { workEvent } from './work-event.ts'

/** The source of the delivery that came first; `undefined` when it is this one, `'over'` when the run has ended meanwhile. */
export async function claimDedupeKey(run: Run): Promise<Sequence | undefined | 'over'> {
  const { host, agent } = run
  if (host.state.runs.get(run.row)?.commands.has(DEDUPED) === true) return undefined
  const name = await keyOf(run)
  const record = fact('spine.step.recorded', headerNow(run), { command: DEDUPED, value: name, ...run.stand() })
  const key = { scope: `dedupe/${agent.name}`, name, print: 'dedupe' }
  const outcome = await run.append([record], 'all', key)
  if (outcome === undefined || run.isOver) return 'over'
  if (outcome.status !== 'duplicate') return undefined
  const first = await sourceOfClaim(run, outcome.first)
  // It claimed the key in an earlier generation, whose journal was dropped.
  return first === run.source ? undefined : first
}

/** Keys outlive their records: of a claim that was trimmed only its own place is known. */
async function sourceOfClaim({ host }: Run, claim: Sequence): Promise<Sequence> {
  try {
    return (await host.records.get(claim)).cause
  } catch (error) {
    if (SpineError.is(error, 'SPINE_TRIMMED')) return claim
    throw error
  }
}

async function keyOf({ agent, host, row, source }: Run): Promise<string> {
  const ask = agent.options.dedupe as (evt: unknown) => unknown
  const key = ask(await workEvent(host, row, source))
  if (typeof key === 'string') {
    requireId(key, `dedupe of ${agent.name}`)
    return key
  }
  throw new SpineError('SPINE_OPTION_INVALID', `dedupe of ${agent.name} returned no text.`, {
    value: key,
    fix: 'Return what names the work, at once: dedupe: (evt) => evt.data.orderId.',
  })
}
