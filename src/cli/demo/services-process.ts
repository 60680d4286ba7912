/**
 * The outside world: a process of its own that survives the kills of the working process.
 *
 * Job: POST /call and /is-done over HTTP on the loopback, with a modelled latency on the way in and on the way out.
 * Not its job: what a call does (`service-desk.ts`).
 *
 * Messages to the parent: `listening` with the port, and `carried-out` for each effect whose line is durable and whose
 * answer is still on its way: the moment at which a crash of the caller is the most dangerous.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { childConfig, tellParent } from './child-process.ts'
import { readDialogues, ServiceCall } from './dialogue.ts'
import { type Latency, latencyMs, pauseFor } from './latency.ts'
import { Ledger } from './ledger.ts'
import { ServiceDesk } from './service-desk.ts'

export interface ServicesProcessConfig {
  readonly dialoguesPath: string
  readonly ledgerPath: string
  readonly latency: Latency
}

export type ServicesMessage = { readonly kind: 'listening'; readonly port: number } | { readonly kind: 'carried-out' }

const Request = ServiceCall.extend({
  dialogue: z.string(),
  turn: z.number(),
  idempotencyKey: z.string().min(1).max(1000).optional(),
})
const BODY_BYTES_MAX = 1024 * 1024

const config = childConfig<ServicesProcessConfig>()
const dialogues = await readDialogues(config.dialoguesPath)
const { ledger, attempts } = await Ledger.open(config.ledgerPath)
const desk = new ServiceDesk(dialogues, ledger, attempts)
let count = 0

const server = createServer((request, response) => {
  // A line that did not reach the disk cannot be vouched for: better no services than wrong ones.
  void handle(request, response).catch((error: unknown) => {
    process.stderr.write(`the services stop: ${String(error)}\n`)
    process.exit(1)
  })
})
server.listen(0, '127.0.0.1', () => {
  tellParent<ServicesMessage>({ kind: 'listening', port: (server.address() as AddressInfo).port })
})

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url } = request
  if (method !== 'POST' || (url !== '/call' && url !== '/is-done'))
    return reply(response, 404, { error: 'POST /call or /is-done' })
  const body = await readBody(request)
  const call = Request.safeParse(body)
  if (!call.success) return reply(response, 400, { error: z.prettifyError(call.error) })
  const halfMs = latencyMs(config.latency, String(count++)) / 2
  await pauseFor(halfMs)
  const { idempotencyKey, ...order } = call.data
  if (url === '/is-done') return reply(response, 200, { results: [desk.isDone(order)] })
  const answer = await desk.answer({ ...order, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) })
  if (call.data.effect) tellParent<ServicesMessage>({ kind: 'carried-out' })
  await pauseFor(halfMs)
  if ('refused' in answer) return reply(response, call.data.effect ? 409 : 404, { error: answer.refused })
  return reply(response, 200, answer)
}

/** `undefined` for what is too large, broken off, or no JSON. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = ''
  try {
    for await (const chunk of request.setEncoding('utf8')) {
      text += chunk as string
      if (text.length > BODY_BYTES_MAX) return undefined
    }
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
