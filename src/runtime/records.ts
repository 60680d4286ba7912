/**
 * Records by sequence and roots by request: those that open work waits for and the last few from memory, others from the
 * engine. A dispatch in the steady state reads nothing from the disk, and what nobody waits for is soon let go: a record
 * that is kept for long costs the collector more than it cost to make.
 */
import type { Engine } from '../engine/engine.ts'
import { isSystemType, type LogRecord } from '../event/record.ts'
import type { Sequence } from '../event/sequence.ts'
import { assert } from '../kernel/assert.ts'
import { BoundedMap } from '../kernel/bounded-map.ts'
import { SpineError } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import { recordBytes } from './record-bytes.ts'

export class Records {
  readonly #engine: Engine
  readonly #recent: (LogRecord | undefined)[] = new Array(limits.recordCacheRecords)
  /** What opened deliveries that are still open here. */
  readonly #waitedFor = new Map<Sequence, LogRecord>()
  #waitingBytes = 0
  readonly #roots = new BoundedMap<string, LogRecord>(limits.recordCacheRecords)

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Called for every record, in order. */
  remember(record: LogRecord): void {
    if (recordBytes(record.data) > limits.recordCacheBytesEach) return
    this.#recent[record.sequence % limits.recordCacheRecords] = record
    if (record.hops === 0 && (!isSystemType(record.type) || record.type === 'spine.call.requested'))
      this.#rememberRoot(record)
  }

  /** A delivery that runs here was opened by it. Beyond the bound it is read from the log when its turn comes. */
  keep(record: LogRecord): void {
    const bytes = recordBytes(record.data)
    if (this.#waitedFor.size >= limits.waitingRecordsMax || this.#waitingBytes + bytes > limits.waitingRecordsBytesMax)
      return
    this.#waitingBytes += bytes
    this.#waitedFor.set(record.sequence, record)
  }

  /** Nothing waits for it any more. */
  letGo(sequence: Sequence): void {
    const record = this.#waitedFor.get(sequence)
    if (record === undefined) return
    this.#waitingBytes -= recordBytes(record.data)
    this.#waitedFor.delete(sequence)
  }

  recent(sequence: Sequence): LogRecord | undefined {
    const waited = this.#waitedFor.get(sequence)
    if (waited !== undefined) return waited
    const record = this.#recent[sequence % limits.recordCacheRecords]
    return record?.sequence === sequence ? record : undefined
  }

  recentRoot(request: string): LogRecord | undefined {
    return this.#roots.get(request)
  }

  async get(sequence: Sequence): Promise<LogRecord> {
    const record = this.recent(sequence) ?? (await this.#engine.read({ after: sequence - 1, limit: 1 }))[0]
    assert(record?.sequence === sequence, `record ${sequence} is not on the log`)
    return record
  }

  /** `undefined` for what the log does not retain any more. */
  async find(sequence: Sequence): Promise<LogRecord | undefined> {
    const known = this.recent(sequence)
    if (known !== undefined) return known
    try {
      const [record] = await this.#engine.read({ after: sequence - 1, limit: 1 })
      return record?.sequence === sequence ? record : undefined
    } catch (error) {
      if (SpineError.is(error, 'SPINE_TRIMMED')) return undefined
      throw error
    }
  }

  /** The first record of a request: the original event, or the work that was started from outside. */
  async root(request: string): Promise<LogRecord | undefined> {
    const known = this.#roots.get(request)
    if (known !== undefined) return known
    const [root] = await this.#engine.read({ request, limit: 1 })
    if (root !== undefined && recordBytes(root.data) <= limits.recordCacheBytesEach) this.#rememberRoot(root)
    return root
  }

  #rememberRoot(record: LogRecord): void {
    if (!this.#roots.has(record.request)) this.#roots.set(record.request, record)
  }
}
