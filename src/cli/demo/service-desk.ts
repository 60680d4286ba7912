/**
 * What the services do with a call, whatever carries it to them.
 *
 * Job: behave as real services do. Reads answer; effects are done once per idempotency key and leave a line each.
 * Not its job: the wire (`services-process.ts`), or knowing what the conversation expects: whatever is ordered is done,
 * also when it is wrong. Finding that out is the check's job.
 *
 * S1  The same key again gets the first answer and changes nothing.
 * S2  The same key for something else is refused, and stands in the book as wrong.
 * S3  Nobody is answered before the line of his attempt is durable.
 */
import type { Json } from '../../index.ts'
import { canonicalJson } from '../../kernel/json.ts'
import type { Dialogue, Effect } from './dialogue.ts'
import type { Attempt, Ledger } from './ledger.ts'
import type { ServiceRequest } from './service-client.ts'

export type ServiceAnswer = { readonly results: readonly Json[] } | { readonly refused: string }

export class ServiceDesk {
  readonly #ledger: Pick<Ledger, 'append'>
  readonly #annotated: ReadonlyMap<string, readonly Json[]>
  /** Idempotency key → what it stands for. */
  readonly #done = new Map<string, string>()
  /** What was done, with the turn that ordered it. */
  readonly #orders = new Set<string>()

  /** `attempts` are those of an earlier life, so that its keys are still honoured. */
  constructor(dialogues: readonly Dialogue[], ledger: Pick<Ledger, 'append'>, attempts: readonly Attempt[]) {
    this.#ledger = ledger
    this.#annotated = annotatedResults(dialogues)
    for (const attempt of attempts) {
      if (attempt.outcome === 'done' && attempt.idempotencyKey !== undefined) {
        this.#done.set(attempt.idempotencyKey, meaningOf(attempt))
        this.#orders.add(orderOf(attempt))
      }
    }
  }

  async answer({ effect, ...order }: ServiceRequest): Promise<ServiceAnswer> {
    const results = this.#annotated.get(meaningOf(order))
    if (!effect) return results === undefined ? { refused: 'nothing is known of this question' } : { results }
    const outcome = this.#carryOut(order)
    await this.#ledger.append({ ...order, outcome })
    if (outcome === 'wrong') return { refused: `the key '${order.idempotencyKey}' was used for something else` }
    return { results: results ?? [order.parameters] }
  }

  /** Whether something was ordered in that turn, and done. */
  isDone(order: Omit<ServiceRequest, 'effect'>): boolean {
    return this.#orders.has(orderOf(order))
  }

  /** Decides at once, before any wait: two tries that arrive together must not both be the first. */
  #carryOut(order: Omit<ServiceRequest, 'effect'>): Attempt['outcome'] {
    const { idempotencyKey } = order
    if (idempotencyKey === undefined) return 'done'
    const first = this.#done.get(idempotencyKey)
    if (first !== undefined) return first === meaningOf(order) ? 'repeated' : 'wrong'
    this.#done.set(idempotencyKey, meaningOf(order))
    this.#orders.add(orderOf(order))
    return 'done'
  }
}

function annotatedResults(dialogues: readonly Dialogue[]): ReadonlyMap<string, readonly Json[]> {
  const results = new Map<string, readonly Json[]>()
  for (const { id, turns } of dialogues) {
    for (const call of turns.flatMap((turn) => turn.calls ?? [])) {
      results.set(meaningOf({ dialogue: id, ...call }), call.results)
    }
  }
  return results
}

function orderOf(order: Effect & { readonly dialogue: string; readonly turn?: number }): string {
  return `${order.turn} ${meaningOf(order)}`
}

function meaningOf({ dialogue, service, method, parameters }: Effect & { readonly dialogue: string }): string {
  return canonicalJson({ dialogue, service, method, parameters })
}
