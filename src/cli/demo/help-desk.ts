/**
 * The person whom the office asks: sees on the log what is wanted, thinks, and answers with `publish(…, { cause })`.
 *
 * Not its job: anything that an agent knows. A web page or a chat channel would do the same with two calls of the API.
 */
import type { LogRecord, Spine } from '../../index.ts'
import { HelpGiven, HelpWanted } from './office.ts'

export interface HelpDeskOptions {
  readonly spine: Spine
  /** How long the person thinks. */
  think(): Promise<void>
}

/** Rejects when the spine closes, or an answer fails. What was wanted before this process began is answered first. */
export function staffHelpDesk(options: HelpDeskOptions): Promise<never> {
  return new Promise((_, reject) => {
    staff(options, reject).catch(reject)
  })
}

async function staff({ spine, think }: HelpDeskOptions, onFailure: (error: unknown) => void): Promise<void> {
  const answered = new Set<number>()
  for await (const { cause } of spine.log.read({ types: [HelpGiven.type] })) answered.add(cause)
  const answer = async (wanted: LogRecord) => {
    if (!HelpWanted.is(wanted) || answered.has(wanted.sequence)) return
    await think()
    const { dialogue, turn, calls } = wanted.data
    // The key, because a process that dies after it has published would answer twice.
    const options = { cause: wanted.sequence, idempotencyKey: `answer to ${wanted.sequence}` }
    await spine.publish(HelpGiven, { dialogue, turn, calls }, options)
  }
  let head = 0
  for await (const wanted of spine.log.read({ types: [HelpWanted.type] })) {
    head = wanted.sequence
    answer(wanted).catch(onFailure)
  }
  for await (const record of spine.log.tail({ after: head })) answer(record).catch(onFailure)
}
