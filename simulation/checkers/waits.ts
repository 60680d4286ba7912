import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'
import { startedOver } from './started-over.ts'

interface Wait {
  readonly opened: number
  readonly due: number
  end: 'matched' | 'expired' | undefined
}

/**
 * I17: a wait ends once, by its event or by its time, and never by its time before that has come; no answer that was on
 * the log before the wait expired is lost. What is delayed does not begin before it is due.
 */
export function checkWaits({ records, history }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const waits = new Map<string, Wait>()
  for (const record of records) {
    const { type, cause, agent, sequence, time } = record
    if (!type.startsWith('spine.wait.')) continue
    const name = `${cause}/${agent} ${(record.data as { command: string }).command}`
    if (!name.includes('@wait')) continue
    if (type === 'spine.wait.opened') {
      const { due = Number.POSITIVE_INFINITY } = record.data as { due?: number }
      waits.set(name, { opened: sequence, due, end: undefined })
      continue
    }
    const wait = waits.get(name)
    const end = type === 'spine.wait.matched' ? 'matched' : 'expired'
    if (wait === undefined)
      findings.push({ invariant: 'I17', what: `${name} ended at ${sequence} and was never opened` })
    else if (end === 'expired' && time < wait.due)
      findings.push({ invariant: 'I17', what: `${name} expired ${wait.due - time} ms early` })
    if (wait !== undefined) wait.end ??= end
  }
  return [...findings, ...checkAnswers(records, history.waits), ...checkDelays(records, history.entries)]
}

/** What a handler was told it waited for is an answer to its own question, the first, and the same each time. */
function checkAnswers(records: readonly LogRecord[], waits: Evidence['history']['waits']): readonly Finding[] {
  const findings: Finding[] = []
  const told = new Map<string, number | undefined>()
  const anew = startedOver(records)
  for (const { source, name, asked, answer } of waits) {
    const wait = `${source} ${name}`
    if (told.has(wait) && !anew.has(source) && told.get(wait) !== answer)
      findings.push({ invariant: 'I12', what: `wait ${wait} was given ${told.get(wait)}, then ${answer}` })
    told.set(wait, answer)
    if (anew.has(source)) continue
    const given = records.find(({ type, cause }) => type === 'question.answered' && cause === asked)
    const first = given?.sequence
    const expired = records.find(
      ({ type, cause, data }) =>
        type === 'spine.wait.expired' &&
        cause === source &&
        (data as { command: string }).command === commandOf(records, source, asked),
    )
    // Whoever wrote the end had folded all that its claim of the lane came after.
    const claimed = expired === undefined ? 0 : claimBefore(records, expired.sequence)
    if (given !== undefined && given.sequence < claimed)
      findings.push({
        invariant: 'I17',
        what: `wait ${wait} expired at ${expired?.sequence}, after its answer ${first}`,
      })
    if (answer !== undefined && answer !== first)
      findings.push({ invariant: 'I17', what: `wait ${wait} was given ${answer}, the answer to ${asked} is ${first}` })
  }
  return findings
}

function claimBefore(records: readonly LogRecord[], sequence: number): number {
  const claim = records.findLast((record) => record.sequence < sequence && record.type === 'spine.lane.claimed')
  return claim?.sequence ?? 0
}

/** The wait of a run for the answer to one question. */
function commandOf(records: readonly LogRecord[], source: number, asked: number): string | undefined {
  const opened = records.find(
    ({ type, cause, data }) =>
      type === 'spine.wait.opened' && cause === source && (data as { cause?: number }).cause === asked,
  )
  return (opened?.data as { command?: string } | undefined)?.command
}

function checkDelays(records: readonly LogRecord[], entries: Evidence['history']['entries']): readonly Finding[] {
  return entries.flatMap(({ agent, source, at }) => {
    const { due } = records[source - 1] as LogRecord
    return due === undefined || at >= due
      ? []
      : [{ invariant: 'I17', what: `${source}/${agent} was entered ${due - at} ms before it was due` }]
  })
}
