import { z } from 'zod'

export const PAYLOAD_BYTES = 300
/**
 * What a record has besides its payload, as bare text: sequence, time, type, session, request, key, cause. An estimate on
 * the low side: in the SQLite file, hashes and indexes included, it is about 300.
 */
export const HEADER_BYTES = 150

/** What every event of a bench carries: who it belongs to, and some text. */
export const Payload = z.object({ index: z.number(), text: z.string() })

/** About `PAYLOAD_BYTES` as JSON. */
export function payload(index: number): z.infer<typeof Payload> {
  return { index, text: TEXT }
}

const TEXT = 'The customer asks for a haircut on Friday. '
  .repeat(10)
  .slice(0, PAYLOAD_BYTES - '{"index":123456,"text":""}'.length)

/** Of a commit with this many records, the first with a payload: an event and the end of the delivery that emitted it. */
export function commitBytes(records: number): number {
  return PAYLOAD_BYTES + records * HEADER_BYTES
}
