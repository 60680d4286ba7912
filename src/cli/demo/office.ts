/**
 * The customer-service office: the events and agents of the demo, on the public API only.
 *
 * Job: show the shape of such a program. No agent calls another's code; all that they share is the log.
 * Not its job: the model, the services (both are passed in), or when a customer speaks (`play-dialogues.ts`).
 *
 *   turn.received ─► inquiry ─ route ─┬─ sure ─────────────────────────────────────► planner
 *                                     └─ not so sure ─► human ─ asks, waits ─ handoff ─► planner
 *
 *   planner ─┬─ gather ─► service.X, service.Y …   the leading reads of the turn, in parallel
 *            └─ handoff ─► service.X ─ handoff ─► service.Y   the rest, in order
 *                             └─► effect.confirmed ─► document ─► document.written
 *
 *   turn.corrected ─► inquiry …   the same way; it overtakes what still works on the turn that it corrects
 */
import { z } from 'zod'
import { type AnyAgent, agent, event, Permanent } from '../../index.ts'
import { Results, ServiceCall, takingBack } from './dialogue.ts'
import { type Model, writeConfirmation } from './model.ts'
import type { ServiceClient } from './service-client.ts'

const Place = z.object({ dialogue: z.string(), turn: z.number() })

export const TurnReceived = event('turn.received', Place.extend({ text: z.string() }))
/** The customer has changed their mind: what the turn before ordered is not wanted any more. */
export const TurnCorrected = event('turn.corrected', Place.extend({ text: z.string() }))
export const EffectConfirmed = event(
  'effect.confirmed',
  Place.extend({ ...ServiceCall.omit({ effect: true, takesBack: true }).shape, results: Results }),
)
/** A person shall look at what was read; the answer is published with this event as its cause (`help-desk.ts`). */
export const HelpWanted = event('help.wanted', Place.extend({ confidence: z.number(), calls: z.array(ServiceCall) }))
export const HelpGiven = event('help.given', Place.extend({ calls: z.array(ServiceCall) }))
export const DocumentWritten = event('document.written', Place.extend({ text: z.string() }))

/** What is to be done for a turn. A service's agent does its own calls first, then hands on the others. */
const Errand = Place.extend({ calls: z.array(ServiceCall) })
const Doubt = Errand.extend({ confidence: z.number() })
const Answers = z.object({ answers: z.array(Results) })
/** What the inquiry agent keeps in the session: the turn that was last read, and what it was about. */
const Conversation = z.object({ turn: z.number(), intent: z.string() })

/** What was read with less confidence is shown to a person first. */
export const CONFIDENCE_MIN = 0.6
const HELP_WITHIN = '1h'

export interface OfficeOptions {
  /** Names of the services; each gets an agent. */
  readonly services: readonly string[]
  readonly model: Model
  readonly client: ServiceClient
  /** Conversations that are under way at once. */
  readonly concurrency: number
}

export function createOffice({ services, model, client, concurrency }: OfficeOptions): readonly AnyAgent[] {
  const patient = { concurrency, retry: { attempts: 8, backoff: '50ms..2s' } } as const
  // No booking starts on a turn that has been corrected; one that has started is finished.
  const shared = { ...patient, freshness: { newer: [TurnCorrected], then: 'cancel' } } as const
  const directedTo = (service: string) =>
    agent(`service.${service}`, { ...shared, input: Errand, output: Answers, emits: [EffectConfirmed] })
  const desks = new Map(services.map((service) => [service, directedTo(service)]))
  const deskOf = ({ service }: ServiceCall) => {
    const desk = desks.get(service)
    if (desk === undefined) throw new Permanent(`the office has no agent for the service '${service}'`)
    return desk
  }

  const Planner = agent('planner', { ...shared, input: Doubt, output: Answers })
  const Human = agent('human', { ...shared, input: Doubt, output: Answers, emits: [HelpWanted] })

  const turns = { on: [TurnReceived, TurnCorrected], session: Conversation } as const
  const inquiry = agent('inquiry', { ...shared, ...turns }, async (evt, ctx) => {
    const { dialogue, turn } = evt.data
    const { intent, calls, confidence } = await ctx.step('read', ({ signal }) => model.read(dialogue, turn, signal))
    ctx.session.set({ turn, intent })
    if (calls.length === 0) return
    const next = await ctx.route(confidence, [{ atLeast: CONFIDENCE_MIN, to: Planner }, { else: Human }])
    return ctx.handoff(next, { dialogue, turn, calls: [...calls], confidence })
  })

  const human = Human.handle(async (evt, ctx) => {
    const asked = await ctx.publish(HelpWanted, evt.data)
    const answer = await ctx.waitFor(HelpGiven, { cause: asked, within: HELP_WITHIN })
    if (answer === undefined) throw new Permanent(`nobody answered within ${HELP_WITHIN}`)
    return ctx.handoff(Planner, { ...answer.data, confidence: 1 })
  })

  const planner = Planner.handle(async (evt, ctx) => {
    const { dialogue, turn, calls } = evt.data
    const reads = leading(calls, (call) => !call.effect)
    const replies = await ctx.gather(reads.map((read) => ctx.call(deskOf(read), { dialogue, turn, calls: [read] })))
    const rest = calls.slice(reads.length)
    if (rest[0] === undefined) return { answers: replies.flatMap(({ answers }) => answers) }
    return ctx.handoff(deskOf(rest[0]), { dialogue, turn, calls: rest })
  })

  const serviceAgents = [...desks].map(([service, desk]) =>
    desk.handle(async (evt, ctx) => {
      const { dialogue, turn, calls } = evt.data
      const own = leading(calls, (call) => call.service === service)
      const answers: Results[] = []
      for (const [index, call] of own.entries()) {
        const { effect, takesBack, ...wish } = call
        const ordered = { dialogue, turn: takesBack ?? turn, ...wish }
        const isNothing =
          takesBack !== undefined &&
          !(await ctx.step(`look ${index + 1}`, ({ signal }) => client.isDone(ordered, signal)))
        // The correction came in time: there is nothing to take back.
        if (isNothing) continue
        const order = takesBack === undefined ? wish : takingBack(wish)
        const results = await ctx.step(
          `${order.method} ${index + 1}`,
          // Without the key, a service could not tell the second try of an effect from a second wish.
          ({ idempotencyKey, signal }) =>
            client.call({ dialogue, turn, ...order, effect, ...(effect ? { idempotencyKey } : {}) }, signal),
          { effect },
        )
        answers.push(results)
        if (effect) ctx.emit(EffectConfirmed, { dialogue, turn, ...order, results })
      }
      const rest = calls.slice(own.length)
      return rest[0] === undefined ? { answers } : ctx.handoff(deskOf(rest[0]), { dialogue, turn, calls: rest })
    }),
  )

  const document = agent(
    'document',
    { ...patient, on: EffectConfirmed, emits: [DocumentWritten] },
    async (evt, ctx) => {
      const { dialogue, turn, method, parameters } = evt.data
      const text = await ctx.step('write', () => writeConfirmation(method, parameters))
      ctx.emit(DocumentWritten, { dialogue, turn, text })
    },
  )

  return [inquiry, human, planner, ...serviceAgents, document]
}

function leading<Item>(items: readonly Item[], matches: (item: Item) => boolean): readonly Item[] {
  const end = items.findIndex((item) => !matches(item))
  return end === -1 ? items : items.slice(0, end)
}
