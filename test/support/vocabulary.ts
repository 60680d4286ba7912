/** The events and small things that scenario tests talk about. */
import { event } from 'event-spine'
import { z } from 'zod'

export const Inquiry = event('inquiry.received', z.object({ text: z.string() }))
export const Requirements = event(
  'requirements.completed',
  z.object({ service: z.string(), day: z.string().optional() }),
)
export const Booked = event('appointment.booked', z.object({ service: z.string() }))
export const Numbered = event('number.drawn', z.object({ n: z.number() }))

export const Question = z.object({ question: z.string() })
export const Answer = z.object({ answer: z.string() })

/** Retries that a test can wait for. */
export const quickly = (attempts: number) => ({ attempts, backoff: '1ms..4ms' }) as const

export function deferred<Value = void>() {
  let resolve: (value: Value) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<Value>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
