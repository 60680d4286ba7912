import type { LogRecord } from 'event-spine'
import type { Evidence } from '../history.ts'
import type { Finding } from './index.ts'

const ENDS = new Set([
  'spine.delivery.completed',
  'spine.delivery.dead',
  'spine.delivery.cancelled',
  'spine.delivery.expired',
  'spine.delivery.skipped',
  'spine.delivery.taken',
  'spine.delivery.superseded',
])

interface Life {
  readonly key: string
  readonly source: number
  readonly agent: string
  state: 'open' | 'ended' | 'dead'
  completed: number
  generation: number
  /** Committed step outcomes of the current generation, by command. */
  readonly outcomes: Map<string, 'ok' | 'failed'>
  /** Commands that change the world: their outcomes outlive a generation. */
  readonly effects: Set<string>
}

/** I7, I15, I16, I17, I19: every delivery has one life, its steps one outcome each, its timers one firing. */
export function checkDeliveries({ records }: Evidence): readonly Finding[] {
  const findings: Finding[] = []
  const lives = new Map<string, Life>()
  const timers = new Map<string, { readonly due: number; fired: boolean }>()
  for (const record of records) {
    const { type, cause, agent = '' } = record
    const id = `${cause}/${agent}`
    if (type === 'spine.delivery.paused') {
      const { error } = record.data as { error?: { message: string } }
      findings.push({ invariant: 'I19', what: `${id} paused: ${error?.message}` })
    }
    if (type === 'spine.timer.set' || type === 'spine.gather.opened') {
      const { command, due } = record.data as { command: string; due?: number }
      // A gather without `within` has no timer.
      if (due !== undefined) timers.set(`${id} ${command}`, { due, fired: false })
    }
    // Delays are judged where handlers are entered (waits.ts).
    const isDelay = (record.data as { command?: string } | null)?.command === '@delay'
    if (type === 'spine.timer.fired' && !isDelay) {
      const name = `${id} ${(record.data as { command: string }).command}`
      const timer = timers.get(name)
      // A late fact about what has ended changes nothing, and is no firing.
      const isLate = (lives.get(id)?.state ?? 'open') !== 'open'
      if (isLate) continue
      if (timer === undefined) findings.push({ invariant: 'I17', what: `${name} fired and was never set` })
      else if (timer.fired) findings.push({ invariant: 'I17', what: `${name} fired twice` })
      else if (record.time < timer.due)
        findings.push({ invariant: 'I17', what: `${name} fired ${timer.due - record.time} ms early` })
      if (timer !== undefined) timer.fired = true
    }
    if (!type.startsWith('spine.delivery.') && !type.startsWith('spine.step.')) continue
    const life = lives.get(id) ?? {
      key: record.key,
      source: cause,
      agent,
      state: 'open' as const,
      completed: 0,
      generation: 0,
      outcomes: new Map(),
      effects: new Set(),
    }
    lives.set(id, life)
    findings.push(...live(life, id, record))
  }
  return findings
}

function live(life: Life, id: string, record: LogRecord): readonly Finding[] {
  const { type, sequence } = record
  if (type === 'spine.step.recorded') {
    const { command, error, generation } = record.data as { command: string; error?: unknown; generation?: number }
    // Of a step that outlived the generation it was asked in: nobody is given it.
    if (generation !== undefined && generation !== life.generation) return []
    const before = life.outcomes.get(command)
    life.outcomes.set(command, error === undefined ? 'ok' : 'failed')
    // A failure may be tried again by the next attempt; what succeeded is never executed again.
    return before === 'ok' ? [{ invariant: 'I9', what: `${id} ${command} was recorded again at ${sequence}` }] : []
  }
  const isPlain = (record.data as { plain?: boolean } | null)?.plain === true
  if (type === 'spine.step.started' && !isPlain) life.effects.add((record.data as { command: string }).command)
  const { generation } = record.data as { generation?: number }
  const isAnew = type === 'spine.delivery.preempted' || type === 'spine.delivery.restarted'
  if (isAnew && generation !== undefined) life.generation = generation
  if (isAnew && generation !== undefined)
    for (const command of life.outcomes.keys()) if (!life.effects.has(command)) life.outcomes.delete(command)
  if (type === 'spine.delivery.redriven') {
    const was = life.state
    life.state = 'open'
    return was === 'open' && life.completed === 0
      ? []
      : life.completed > 0
        ? [{ invariant: 'I16', what: `${id} was redriven at ${sequence} after it was completed` }]
        : []
  }
  if (!ENDS.has(type)) return []
  if (type === 'spine.delivery.completed') life.completed++
  const found: Finding[] = []
  if (life.completed > 1)
    found.push({ invariant: 'I15', what: `${id} was completed ${life.completed} times, last at ${sequence}` })
  if (life.state === 'ended' && type === 'spine.delivery.completed')
    found.push({ invariant: 'I15', what: `${id} was completed at ${sequence} after its end` })
  life.state = type === 'spine.delivery.dead' ? 'dead' : 'ended'
  return found
}
