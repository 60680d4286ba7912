/** Lines for people, one each. Nothing here decides anything. */
import { fileURLToPath } from 'node:url'
import type { FailureDecision } from '../coordination/decide.ts'
import type { Failure } from '../event/catalogue.ts'
import type { Run } from './run.ts'

export interface Logger {
  warn(message: string): void
}

/** One line each to stderr, so that stdout stays the user's own. */
export const stderrLogger: Logger = {
  warn: (message) => {
    process.stderr.write(`event-spine: ${message.replaceAll('\n', ' ')}\n`)
  },
}

/** A logger that throws must not end a run or the process. */
export function unthrowing(logger: Logger): Logger {
  return {
    warn(message) {
      try {
        logger.warn(message)
      } catch (error) {
        stderrLogger.warn(`${message} (and the logger threw: ${(error as Error).message})`)
      }
    },
  }
}

export function describeFailure(
  run: Run,
  failure: Failure,
  decision: FailureDecision | undefined,
  now: number,
): string {
  const what = `agent '${run.agent.name}' failed on record ${run.source} of session '${run.header.session}'`
  // What is longer is on the log; a mismatch has a diff below its first line.
  const [firstLine] = failure.message.split('\n')
  const why =
    failure.code === 'SPINE_HANDLER_FAILED' ? `${failure.name}: ${firstLine}` : `${failure.code}: ${firstLine}`
  return `${what}: ${why}${whereOf(failure)}; ${nextOf(run, decision, now)}`
}

function nextOf(run: Run, decision: FailureDecision | undefined, now: number): string {
  if (decision === undefined) return 'it pauses until this log is opened again with code that fits'
  if (decision.kind === 'retry')
    return `attempt ${decision.attempt + 1} of ${run.agent.retry.attempts} in ${Math.max(0, decision.due - now)} ms`
  return `dead after ${decision.attempts} ${decision.attempts === 1 ? 'attempt' : 'attempts'}: see spine.deadLetters`
}

/** Where this package lies, as stacks write it. */
const OWN_CODE = [new URL('..', import.meta.url).href, fileURLToPath(new URL('..', import.meta.url))]

/** The first line of the user's own code in the stack. */
function whereOf(failure: Failure): string {
  const line = failure.stack
    ?.split('\n')
    .find(
      (text) => /^\s+at /.test(text) && !/node:|node_modules/.test(text) && !OWN_CODE.some((own) => text.includes(own)),
    )
  return line === undefined ? '' : ` (${line.trim()})`
}
