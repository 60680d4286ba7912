import type { LogRecord } from '../event/record.ts'
import { limits } from '../kernel/limits.ts'

/** How requests were ended by someone or by time, for those that began while this process has owned the log: a shortcut. */
export class RequestEnds {
  readonly #ends = new Map<string, 'cancelled' | 'expired'>()

  remember({ type, request }: LogRecord): void {
    if (type !== 'spine.request.cancelled' && type !== 'spine.request.expired') return
    // A root is forgotten after as many others; its end need not be kept longer.
    if (this.#ends.size >= limits.recordCacheRecords) this.#ends.clear()
    this.#ends.set(request, type === 'spine.request.cancelled' ? 'cancelled' : 'expired')
  }

  of(request: string): 'cancelled' | 'expired' | undefined {
    return this.#ends.get(request)
  }
}
