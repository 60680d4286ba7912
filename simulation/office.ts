/**
 * The agents of a simulation: they do what the event tells them to, so that every feature meets every fault, and what has
 * to come out is known beforehand.
 */
import { agent, type AnyAgent, event, join, Permanent, quorum } from 'event-spine'
import { z } from 'zod'
import type { Chance } from './chance.ts'
import type { History, Visit } from './history.ts'
import type { Policies } from './policies.ts'

const BRANCHES = ['step', 'fails', 'call', 'sleep', 'scope', 'inner'] as const
const Gather = z.object({
  do: z.literal('gather'),
  name: z.string(),
  branches: z.array(z.enum(BRANCHES)),
  until: z.union([z.enum(['settled', 'first']), z.number()]),
  withinMs: z.number(),
  onLate: z.enum(['cancel', 'finish']),
})

const Op = z.discriminatedUnion('do', [
  z.object({ do: z.literal('step'), name: z.string() }),
  z.object({ do: z.literal('effect'), name: z.string() }),
  z.object({ do: z.literal('flaky'), name: z.string(), failures: z.number() }),
  z.object({ do: z.literal('caught'), name: z.string() }),
  z.object({ do: z.literal('sleep'), ms: z.number() }),
  z.object({ do: z.literal('both'), names: z.array(z.string()) }),
  z.object({ do: z.literal('pay'), names: z.array(z.string()) }),
  z.object({ do: z.literal('race'), names: z.array(z.string()) }),
  z.object({ do: z.literal('call'), sessions: z.array(z.string()), hands: z.boolean(), fails: z.boolean() }),
  z.object({ do: z.literal('set'), value: z.number() }),
  z.object({ do: z.literal('publish') }),
  z.object({ do: z.literal('patched'), id: z.string() }),
  Gather,
  z.object({ do: z.literal('wait'), name: z.string(), answerMs: z.number(), withinMs: z.number() }),
  z.object({ do: z.literal('route'), score: z.number() }),
  z.object({ do: z.literal('remind'), delayMs: z.number() }),
  z.object({ do: z.literal('poison') }),
  z.object({ do: z.literal('crash'), name: z.string(), times: z.number() }),
])
export type Op = z.infer<typeof Op>

export type GatherOp = z.infer<typeof Gather>

export const Ordered = event('order.placed', z.object({ id: z.number(), ops: z.array(Op) }))
export const Noted = event('note.taken', z.object({ id: z.number() }))
export const Finished = event('order.finished', z.object({ id: z.number(), results: z.array(z.string()) }))

export const Advised = event('advice.given', z.object({ id: z.number() }))
export const Asked = event('question.asked', z.object({ id: z.number(), answerMs: z.number() }))
export const Answered = event('question.answered', z.object({ id: z.number() }))

const Question = z.object({ sessions: z.array(z.string()), hands: z.boolean(), fails: z.boolean() })
const Answer = z.object({ depth: z.number() })

/** What of the world an agent's code touches. One for each process. */
export interface Surroundings {
  readonly process: number
  readonly history: History
  readonly now: () => number
  /** Resolves after some virtual time, or never when the process has died meanwhile. */
  readonly work: () => Promise<void>
  /** Ends the process at once. */
  readonly crash: () => void
  /** Tries of a flaky step or a crash so far, over all processes. */
  readonly tries: Map<string, number>
  /** Poison has no effect any more. */
  readonly isHealed: () => boolean
}

export function office(around: Surroundings, policies: Policies): readonly AnyAgent[] {
  const { history, process } = around
  const { onFailure, concurrency, preempt } = policies
  const retry = { attempts: 5, backoff: '10ms..200ms' } as const

  const tool = async (kind: 'step' | 'effect', who: string, source: number, name: string, idempotencyKey: string) => {
    history.tools.push({ kind, process, agent: who, source, name, idempotencyKey })
    await visit(who, source)
    return name
  }
  const visit = async (who: string, source: number) => {
    const visited: Visit = { process, agent: who, source, at: around.now() }
    history.visits.push(visited)
    await around.work()
    visited.left = around.now()
  }
  const exclusive = (name: string) => (policies.exclusive.includes(name) ? { exclusive: 'desk' } : {})
  const entered = (who: string, source: number, deadline: Date | undefined) => {
    history.entries.push({ process, agent: who, source, at: around.now(), deadline: deadline?.getTime() })
  }
  const nextTry = (key: string) => {
    const before = around.tries.get(key) ?? 0
    around.tries.set(key, before + 1)
    return before
  }

  const Expert = agent('expert', {
    input: Question,
    output: Answer,
    order: policies.expertOrder,
    concurrency,
    retry,
    preempt,
    ...exclusive('expert'),
  })
  const Senior = agent('senior', { input: Question, output: Answer, retry, ...exclusive('senior') })

  const expert = Expert.handle(async (evt, ctx) => {
    entered('expert', evt.sequence, ctx.deadline)
    const { sessions, hands, fails } = evt.data
    await ctx.step('think', ({ idempotencyKey }) => tool('step', 'expert', evt.sequence, 'think', idempotencyKey))
    const [next, ...rest] = sessions
    if (next !== undefined) {
      const { depth } = await ctx.call(Expert, { sessions: rest, hands, fails }, { session: next })
      return { depth: depth + 1 }
    }
    if (fails && !around.isHealed()) throw new Permanent('asked to fail')
    if (hands) return ctx.handoff(Senior, { sessions: [], hands: false, fails: false })
    return { depth: 0 }
  })

  const senior = Senior.handle(async (evt, ctx) => {
    entered('senior', evt.sequence, ctx.deadline)
    await ctx.step('weigh', ({ idempotencyKey }) => tool('step', 'senior', evt.sequence, 'weigh', idempotencyKey))
    return { depth: 0 }
  })

  const clerk = agent(
    'clerk',
    { on: Ordered, emits: [Finished, Noted, Asked], onFailure, concurrency, retry, preempt },
    async (evt, ctx) => {
      entered('clerk', evt.sequence, ctx.deadline)
      const results: string[] = []
      const run = (name: string) =>
        ctx.step(name, ({ idempotencyKey }) => tool('step', 'clerk', evt.sequence, name, idempotencyKey))
      for (const op of evt.data.ops) {
        switch (op.do) {
          case 'step':
            results.push(await run(op.name))
            break
          case 'effect':
            results.push(
              await ctx.step(
                op.name,
                ({ idempotencyKey }) => tool('effect', 'clerk', evt.sequence, op.name, idempotencyKey),
                { effect: true },
              ),
            )
            break
          case 'flaky':
            await ctx.step(op.name, async () => {
              await around.work()
              if (nextTry(`${evt.data.id}/${op.name}`) < op.failures) throw new Error('flaky')
            })
            results.push('flaky done')
            break
          case 'caught':
            // A failure that is caught before a success is replayed, and never tried again.
            try {
              await ctx.step(op.name, () => {
                nextTry(`${evt.data.id}/${op.name}`)
                throw new Error('always')
              })
            } catch {
              results.push('caught')
            }
            break
          case 'sleep':
            await ctx.sleep(op.ms)
            results.push('slept')
            break
          case 'both':
            results.push((await Promise.all(op.names.map(run))).join('+'))
            break
          case 'pay': {
            const pay = (name: string, index: number) =>
              ctx.step(
                name,
                ({ idempotencyKey }) =>
                  tool(index === 0 ? 'effect' : 'step', 'clerk', evt.sequence, name, idempotencyKey),
                {
                  effect: index === 0,
                  cost: { estimate: { usd: 1 }, actual: () => ({ usd: index / 2 }) },
                },
              )
            await Promise.allSettled(op.names.map(pay))
            results.push('paid')
            break
          }
          case 'race':
            await Promise.race([...op.names.map(run), ctx.sleep(15)])
            results.push('raced')
            break
          case 'call':
            try {
              await ctx.call(
                Expert,
                { sessions: op.sessions, hands: op.hands, fails: op.fails },
                { budget: { usd: 1 } },
              )
              results.push('called')
            } catch {
              results.push('called')
            }
            break
          case 'set':
            ctx.session.set({ [`order ${evt.data.id}`]: op.value, last: evt.data.id })
            results.push('set')
            break
          case 'publish':
            await ctx.publish(Noted, { id: evt.data.id })
            results.push('published')
            break
          case 'patched':
            results.push(ctx.patched(op.id) ? 'patched' : 'not patched')
            break
          case 'gather': {
            const branch = (
              kind: (typeof BRANCHES)[number],
              index: number,
            ): Promise<unknown> | ((scope: typeof ctx) => Promise<unknown>) => {
              const name = `${op.name} ${index}`
              if (kind === 'step') return run(name)
              if (kind === 'fails')
                return ctx.step(name, () => around.work().then(() => Promise.reject(new Error(name))))
              if (kind === 'call') return ctx.call(Expert, { sessions: [], hands: false, fails: false })
              if (kind === 'sleep') return ctx.sleep(30)
              if (kind === 'inner') {
                const expert = ctx.call(Expert, { sessions: [], hands: false, fails: false })
                return ctx.gather([ctx.sleep(5_000), expert], { until: 'first' })
              }
              return async (scope: typeof ctx) => {
                await scope.step('look', () => around.work())
                return (await scope.call(Senior, { sessions: [], hands: false, fails: false })).depth
              }
            }
            const branches = Object.fromEntries(op.branches.map((kind, index) => [`${index}`, branch(kind, index)]))
            const until = typeof op.until === 'number' ? quorum(op.until) : op.until
            const { values, missing, reached } = await ctx.gather(branches, {
              until,
              within: op.withinMs,
              onLate: op.onLate,
            })
            history.gathers.push({
              source: evt.sequence,
              op,
              values: Object.keys(values),
              missing: missing.map(({ branch: name, reason }) => ({ branch: String(name), reason })),
              reached,
            })
            results.push('gathered')
            break
          }
          case 'wait': {
            const asked = await ctx.publish(Asked, { id: evt.data.id, answerMs: op.answerMs })
            const answer = await ctx.waitFor(Answered, { cause: asked, within: op.withinMs })
            history.waits.push({ source: evt.sequence, name: op.name, asked: asked.sequence, answer: answer?.sequence })
            results.push('waited')
            break
          }
          case 'route': {
            const to = await ctx.route(op.score, [
              { atLeast: BANDS.expert, to: Expert },
              { atLeast: BANDS.senior, to: Senior },
              { else: Expert },
            ])
            await ctx.call(to, { sessions: [], hands: false, fails: false })
            results.push('routed')
            break
          }
          case 'remind':
            await ctx.publish(Noted, { id: evt.data.id }, { delay: op.delayMs })
            results.push('reminded')
            break
          case 'poison':
            await ctx.step('swallow', () => {
              if (!around.isHealed()) throw new Permanent('poison')
            })
            results.push('healed')
            break
          case 'crash':
            await ctx.step(op.name, async () => {
              if (nextTry(`${evt.data.id}/${op.name}`) >= op.times || around.isHealed()) return null
              around.crash()
              return new Promise<null>(() => {})
            })
            results.push('survived')
        }
      }
      ctx.emit(Finished, { id: evt.data.id, results })
    },
  )

  const filing = agent(
    'filing',
    { on: [Finished, Noted], concurrency, retry, priority: 'low', ...exclusive('filing') },
    async (evt, ctx) => {
      entered('filing', evt.sequence, ctx.deadline)
      await ctx.step('file', ({ idempotencyKey }) => tool('effect', 'filing', evt.sequence, 'file', idempotencyKey), {
        effect: true,
      })
    },
  )

  const answerer = agent('answerer', { on: Asked, emits: [Answered], retry }, async (evt, ctx) => {
    entered('answerer', evt.sequence, ctx.deadline)
    if (evt.data.answerMs > 0) await ctx.sleep(evt.data.answerMs)
    ctx.emit(Answered, { id: evt.data.id })
  })

  // A join: what the two have in common is the request.
  const pairing = agent(
    'pairing',
    { on: join([Finished, Answered], { per: 'request', within: 300 }), retry },
    async (evt, ctx) => {
      entered('pairing', evt.sequence, ctx.deadline)
      const events = Object.values(evt.data).filter((each) => each !== undefined)
      await ctx.step('pair', () => around.work())
      history.joins.push({
        source: evt.sequence,
        events: events.map(({ sequence }) => sequence),
        missing: [...evt.missing],
      })
    },
  )

  const greeter = agent(
    'greeter',
    { on: Ordered, after: [Ordered], dedupe: (evt) => greetingOf(evt.data.id), retry, ...exclusive('greeter') },
    async (evt, ctx) => {
      entered('greeter', evt.sequence, ctx.deadline)
      await ctx.step('greet', () => visit('greeter', evt.sequence))
    },
  )

  // Advice on an order is worth nothing once the customer has placed another one.
  const advising = agent(
    'advising',
    {
      on: Finished,
      emits: [Advised],
      retry,
      preempt,
      freshness: { newer: [Ordered], then: policies.freshness },
      ...exclusive('advising'),
    },
    async (evt, ctx) => {
      entered('advising', evt.sequence, ctx.deadline)
      await ctx.step('look', ({ idempotencyKey }) => tool('step', 'advising', evt.sequence, 'look', idempotencyKey))
      await ctx.step('send', ({ idempotencyKey }) => tool('effect', 'advising', evt.sequence, 'send', idempotencyKey), {
        effect: true,
      })
      ctx.emit(Advised, { id: evt.data.id })
    },
  )

  // What it relies on is down at times.
  const billing = agent(
    'billing',
    { on: Finished, breaker: { failures: 2, within: '1h', cooldown: 500 }, retry, ...exclusive('billing') },
    async (evt, ctx) => {
      entered('billing', evt.sequence, ctx.deadline)
      await ctx.step('bill', async () => {
        await visit('billing', evt.sequence)
        if (Math.floor(around.now() / 2_000) % 2 === 0 && !around.isHealed()) throw new Error('down')
      })
    },
  )

  const printing = agent(
    'printing',
    { on: Finished, rate: { limit: RATE.limit, per: RATE.perMs, key: (evt) => `printer ${evt.data.id % 2}` }, retry },
    async (evt, ctx) => {
      entered('printing', evt.sequence, ctx.deadline)
      await ctx.step('print', () => around.work())
    },
  )

  // It comes later than the others, and begins with what was there before it.
  const historian = agent('historian', { on: [Finished, Noted], from: 'beginning', retry }, async (evt, ctx) => {
    entered('historian', evt.sequence, ctx.deadline)
    // From the budget of the order, which may have been spent long ago.
    const written = ctx.step('write', () => around.work(), { cost: { estimate: { usd: 1 } } })
    await written.catch((error: { readonly code?: string }) => {
      if (error.code !== 'SPINE_BUDGET_EXHAUSTED') throw error
    })
  })

  const watcher = agent('watcher', { on: '*', observes: true, retry }, async (_evt, ctx) => {
    await ctx.step('look', () => null)
  })

  const early = [expert, senior, clerk, filing, answerer, pairing, greeter, advising, billing, printing, watcher]
  return process > 1 ? [...early, historian] : early
}

export const RATE = { limit: 2, perMs: 150 } as const

/** Where the bands of a route begin. */
export const BANDS = { expert: 0.8, senior: 0.4 } as const

export function greetingOf(order: number): string {
  return `greeting ${order % 5}`
}

export const AGENTS = [
  'expert',
  'senior',
  'clerk',
  'filing',
  'answerer',
  'pairing',
  'greeter',
  'advising',
  'billing',
  'printing',
  'watcher',
] as const

/** What an order's results have to be, whatever happens on the way. */
export function expectedResults(ops: readonly Op[]): readonly string[] {
  return ops.map((op) => {
    if (op.do === 'step' || op.do === 'effect') return op.name
    if (op.do === 'both') return op.names.join('+')
    return RESULTS[op.do]
  })
}

const RESULTS = {
  pay: 'paid',
  flaky: 'flaky done',
  caught: 'caught',
  sleep: 'slept',
  race: 'raced',
  call: 'called',
  set: 'set',
  publish: 'published',
  patched: 'patched',
  gather: 'gathered',
  wait: 'waited',
  route: 'routed',
  remind: 'reminded',
  poison: 'healed',
  crash: 'survived',
} as const

export const SESSIONS = ['s1', 's2', 's3'] as const

export function randomOps(chance: Chance): readonly Op[] {
  return Array.from({ length: 1 + chance.below(5) }, (_, index) => randomOp(chance, index))
}

function randomOp(chance: Chance, index: number): Op {
  const name = `op ${index}`
  const draw = chance.below(100)
  if (draw < 18) return { do: 'step', name }
  if (draw < 34) return { do: 'effect', name }
  if (draw < 40) return { do: 'flaky', name, failures: 1 + chance.below(3) }
  if (draw < 42) return { do: 'caught', name }
  if (draw < 50) return { do: 'sleep', ms: chance.pick([0, 5, 50, 5_000]) }
  if (draw < 53) return { do: 'pay', names: [`paid ${name} a`, `paid ${name} b`, `paid ${name} c`] }
  if (draw < 58) return { do: 'both', names: [`${name} left`, `${name} right`] }
  if (draw < 64) return { do: 'race', names: [`${name} left`, `${name} right`] }
  if (draw < 68) {
    const branches = Array.from({ length: 1 + chance.below(4) }, () => chance.pick(BRANCHES))
    const until = chance.pick(['settled', 'first', 1 + chance.below(branches.length)] as const)
    const withinMs = chance.pick([20, 200, 10_000])
    return { do: 'gather', name, branches, until, withinMs, onLate: chance.pick(['cancel', 'finish']) }
  }
  if (draw < 71)
    return { do: 'wait', name, answerMs: chance.pick([0, 0, 30, 2_000]), withinMs: chance.pick([50, 600_000]) }
  if (draw < 74) return { do: 'route', score: chance.pick([0.9, 0.8, 0.5, 0.1]) }
  if (draw < 76) return { do: 'remind', delayMs: chance.pick([1, 50, 3_000]) }
  if (draw < 82) {
    const sessions = Array.from({ length: chance.below(3) }, () => chance.pick(SESSIONS))
    return { do: 'call', sessions, hands: chance.percent(40), fails: chance.percent(10) }
  }
  if (draw < 87) return { do: 'set', value: chance.below(100) }
  if (draw < 91) return { do: 'publish' }
  if (draw < 95) return { do: 'patched', id: name }
  if (draw < 98) return { do: 'poison' }
  return { do: 'crash', name, times: 1 + chance.below(7) }
}
