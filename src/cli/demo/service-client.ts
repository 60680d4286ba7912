/** How an agent reaches the services: over HTTP, as it would reach real ones. */
import { Permanent } from '../../index.ts'
import type { Results, ServiceCall } from './dialogue.ts'

export interface ServiceRequest extends ServiceCall {
  readonly dialogue: string
  readonly turn: number
  /** Of an effect: the same for every try. */
  readonly idempotencyKey?: string
}

export class ServiceClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  call(request: ServiceRequest, signal: AbortSignal): Promise<Results> {
    return this.#post('/call', request, signal)
  }

  /** Whether what was ordered in that turn was done. */
  async isDone(order: Omit<ServiceRequest, 'effect'>, signal: AbortSignal): Promise<boolean> {
    const [isDone] = await this.#post('/is-done', { ...order, effect: true }, signal)
    return isDone === true
  }

  async #post(path: string, request: ServiceRequest, signal: AbortSignal): Promise<Results> {
    const response = await fetch(`${this.#url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal,
    })
    const answer = (await response.json()) as { results?: Results; error?: string }
    if (response.ok && answer.results !== undefined) return answer.results
    const why = `${request.service} answered ${response.status}: ${answer.error ?? 'no reason given'}`
    // A refusal of the request itself will be the same the next time; everything else may pass.
    throw response.status >= 400 && response.status < 500 ? new Permanent(why) : new Error(why)
  }
}
