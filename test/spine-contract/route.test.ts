import { agent, event, type SpineError } from 'event-spine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { Answer, deferred, Inquiry, Question, quickly } from '../support/vocabulary.ts'
import { describeOnEachEngine } from '../support/world.ts'

const Scored = event('draft.scored', z.object({ score: z.number().nullable() }))
const Auto = agent('auto', { input: Question, output: Answer })
const Expert = agent('expert', { input: Question, output: Answer })
const Human = agent('human', { input: Question, output: Answer })
const Reacting = agent('reacting', { on: Inquiry })

const answering = (target: typeof Auto | typeof Expert | typeof Human) =>
  (target as typeof Auto).handle(async () => ({ answer: target.name }))

/** What comes at once on an idle machine. */
const PATIENT = { timeout: 10_000 }

describeOnEachEngine('ctx.route', (world) => {
  const deskBy = (answers: string[], scoreOf = (score: number | null): number | null | undefined => score) =>
    agent('desk', { on: Scored, retry: quickly(1) }, async (evt, ctx) => {
      const target = await ctx.route(scoreOf(evt.data.score), [
        { atLeast: 0.9, to: Auto },
        { atLeast: 0.5, to: Expert },
        { else: Human },
      ])
      const { answer } = await ctx.call(target, { question: 'q' })
      await ctx.step('note', () => void answers.push(answer))
    })

  it('chooses by band, and records value, rule, target and why the others were rejected', async () => {
    const answers: string[] = []
    const spine = await world.open({
      agents: [deskBy(answers), answering(Auto), answering(Expert), answering(Human)],
    })
    for (const score of [0.95, 0.7, 0.2, null]) {
      const { request } = await spine.publish(Scored, { score })
      expect((await spine.settled(request)).status).toBe('done')
    }
    expect(answers).toEqual(['auto', 'expert', 'human', 'human'])
    const decided = (await world.records(spine)).filter(({ type }) => type === 'spine.route.decided')
    expect(decided.map(({ data }) => data)).toMatchObject([
      { command: '@route#0', value: 0.95, rule: 0, target: 'auto', rejected: [] },
      { value: 0.7, rule: 1, target: 'expert', rejected: [{ rule: 0, target: 'auto', why: 'below' }] },
      { value: 0.2, rule: 2, target: 'human' },
      { value: null, rule: 2, target: 'human', rejected: [{ why: 'no number' }, { why: 'no number' }] },
    ])
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, undefined])('%s goes to else and is stored as null', async (value) => {
    const answers: string[] = []
    const spine = await world.open({
      agents: [deskBy(answers, () => value), answering(Auto), answering(Expert), answering(Human)],
    })
    const { request } = await spine.publish(Scored, { score: 1 })
    expect((await spine.settled(request)).status).toBe('done')
    const [decided] = (await world.records(spine)).filter(({ type }) => type === 'spine.route.decided')
    expect([answers, decided?.data]).toMatchObject([['human'], { value: null, rule: 2 }])
  })

  it('passes over what is absent, unknown, paused or full, and takes else in any case', async () => {
    const answers: string[] = []
    const gate = deferred()
    const Full = agent('full', { input: Question, output: Answer, maxPending: 1 })
    const full = Full.handle(async (_evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => null))
      return { answer: 'full' }
    })
    const Gone = agent('gone', { input: Question, output: Answer })
    const before = await world.open({ agents: [Gone.handle(async () => ({ answer: 'gone' }))] })
    await before.close()
    const desk = agent('desk', { on: Scored }, async (_evt, ctx) => {
      const target = await ctx.route(1, [
        { atLeast: 0.9, to: Gone },
        { atLeast: 0.8, to: agent('never-heard-of', { input: Question, output: Answer }) },
        { when: () => true, to: Auto },
        { when: (value) => value === 1, to: Full },
        { else: Human },
      ])
      return ctx.handoff(target, { question: 'q' })
    })
    const human = Human.handle(async (_evt, ctx) => {
      await ctx.step('note', () => void answers.push('human'))
      return { answer: 'human' }
    })
    const spine = await world.open({ agents: [desk, answering(Auto), full, human] })
    await spine.agents.pause('auto')
    await spine.agents.pause('human')
    const busy = await spine.start(Full, { question: 'x' })
    const { request } = await spine.publish(Scored, { score: 1 })
    await expect
      .poll(() => spine.settled(request, { within: 30 }), PATIENT)
      .toMatchObject({ status: 'open', waiting: [{ agent: 'human', why: 'agent paused' }] })
    const [decided] = (await world.records(spine)).filter(({ type }) => type === 'spine.route.decided')
    expect(decided?.data).toHaveProperty('rejected', [
      { rule: 0, target: 'gone', why: 'absent' },
      { rule: 1, target: 'never-heard-of', why: 'unknown' },
      { rule: 2, target: 'auto', why: 'paused' },
      { rule: 3, target: 'full', why: 'queue full' },
    ])
    gate.resolve()
    await busy.result()
    await spine.agents.resume('human')
    expect((await spine.settled(request)).status).toBe('done')
    expect(answers).toEqual(['human'])
  })

  it('decides once: predicates do not run again, and a later state of the targets changes nothing', async () => {
    let asked = 0
    const answers: string[] = []
    const desk = agent('desk', { on: Scored, retry: quickly(3) }, async (_evt, ctx) => {
      const target = await ctx.route({ vip: true }, [
        { when: (value) => value.vip && ++asked > 0, to: Expert },
        { else: Human },
      ])
      await ctx.sleep(40)
      const { answer } = await ctx.call(target, { question: 'q' })
      await ctx.step('note', () => void answers.push(answer))
    })
    const one = await world.open({ agents: [desk, answering(Expert), answering(Human)] })
    const { request } = await one.publish(Scored, { score: 1 })
    expect((await one.settled(request, { within: 15 })).waiting).toMatchObject([{ why: 'suspended' }])
    await one.agents.pause('expert')
    await one.close()
    const two = await world.open({ agents: [desk, answering(Expert), answering(Human)] })
    await two.agents.resume('expert')
    expect((await two.settled(request)).status).toBe('done')
    expect([answers, asked]).toEqual([['expert'], 1])
  })

  it('pauses with a diff when changed code names the recorded target no more', async () => {
    const version = (Target: typeof Auto) =>
      agent('desk', { on: Scored }, async (_evt, ctx) => {
        const target = await ctx.route(1, [{ atLeast: 0.9, to: Target }, { else: Human }])
        await ctx.sleep(30)
        await ctx.call(target, { question: 'q' })
      })
    const one = await world.open({ agents: [version(Auto), answering(Auto), answering(Human)] })
    const { request } = await one.publish(Scored, { score: 1 })
    await one.settled(request, { within: 10 })
    await one.close()
    const two = await world.open({
      agents: [version(Expert as never), answering(Auto), answering(Expert), answering(Human)],
    })
    expect(await two.settled(request, { within: 200 })).toMatchObject({ waiting: [{ agent: 'desk', why: 'paused' }] })
    expect(world.warnings.join('\n')).toContain('SPINE_REPLAY_MISMATCH')
    expect(world.warnings.join('\n')).toContain("routes to 'auto' no more")
  })

  it('a predicate that throws, or gives no boolean, rejects like a step: journaled, catchable, tried again when it ends the attempt', async () => {
    let asked = 0
    const caught: string[] = []
    const desk = agent('desk', { on: Scored, retry: quickly(2) }, async (_evt, ctx) => {
      const promised = (async () => true) as never
      try {
        await ctx.route(1, [{ when: promised, to: Auto }, { else: Human }])
      } catch (error) {
        await ctx.step('note', () => void caught.push((error as SpineError).code))
      }
      await ctx.route(1, [
        {
          when: () => {
            asked++
            throw new Error('a broken predicate')
          },
          to: Auto,
        },
        { else: Human },
      ])
    })
    const spine = await world.open({ agents: [desk, answering(Auto), answering(Human)] })
    const { request } = await spine.publish(Scored, { score: 1 })
    expect((await spine.settled(request)).status).toBe('failed')
    expect((await spine.deadLetters.list())[0]?.error.message).toContain('a broken predicate')
    expect([caught, asked]).toEqual([['SPINE_OPTION_INVALID'], 2])
  })

  it('refuses rules that cannot work, before anything is recorded', async () => {
    const band = (atLeast: unknown) => ({ atLeast, to: Auto })
    const bad: readonly (readonly [rules: unknown, code: string, said: string])[] = [
      [undefined, 'SPINE_OPTION_INVALID', 'has no rules'],
      [[], 'SPINE_OPTION_INVALID', 'has no rules'],
      [[band(0.9)], 'SPINE_OPTION_INVALID', "has no rule 'else'"],
      [[{ else: Auto }, band(0.9)], 'SPINE_OPTION_INVALID', "has its 'else' as rule 0 of 2"],
      [[{ else: Auto }, { else: Human }], 'SPINE_OPTION_INVALID', "has its 'else' as rule 0 of 2"],
      [[band(0.5), band(0.9), { else: Human }], 'SPINE_OPTION_INVALID', 'a band of 0.9 behind one of 0.5'],
      [[band(0.5), band(0.5), { else: Human }], 'SPINE_OPTION_INVALID', 'a band of 0.5 behind one of 0.5'],
      [[band(Number.NaN), { else: Human }], 'SPINE_OPTION_INVALID', 'a rule 0 that cannot be read'],
      [[band('0.5'), { else: Human }], 'SPINE_OPTION_INVALID', 'a rule 0 that cannot be read'],
      [[{ atMost: 0.5, to: Auto }, { else: Human }], 'SPINE_OPTION_INVALID', 'a rule 0 that cannot be read'],
      [[null, { else: Human }], 'SPINE_OPTION_INVALID', 'a rule 0 that cannot be read'],
      [[{ when: true, to: Auto }, { else: Human }], 'SPINE_OPTION_INVALID', 'a rule 0 that cannot be read'],
      [[{ else: Reacting }], 'SPINE_AGENT_INVALID', 'reacts to events'],
      [[{ else: undefined }], 'SPINE_AGENT_INVALID', 'was given undefined for an agent'],
      [
        [...Array.from({ length: 64 }, (_, n) => band(1 - n / 100)), { else: Human }],
        'SPINE_OPTION_INVALID',
        'has 65 rules',
      ],
    ]
    let n = 0
    const said: string[] = []
    const desk = agent('desk', { on: Scored, retry: quickly(1) }, async (evt, ctx) => {
      const [rules] = bad[evt.data.score as number] as (typeof bad)[number]
      await ctx.route(evt.data.score, rules as never)
    })
    const spine = await world.open({ agents: [desk] })
    for (const [, code, words] of bad) {
      const { request } = await spine.publish(Scored, { score: n++ })
      const { deadLetters } = await spine.settled(request)
      const { error } = await spine.deadLetters.get(deadLetters[0] as string)
      if (error.code !== code || !error.message.includes(words)) said.push(`${n}: ${error.code} ${error.message}`)
    }
    expect(said).toEqual([])
    const types = new Set((await world.records(spine)).map(({ type }) => type))
    expect([...types]).not.toContain('spine.route.decided')
    expect([...types]).not.toContain('spine.step.recorded')
  })
})

describeOnEachEngine('maxPending', (world) => {
  it('refuses calls beyond it with a recorded, catchable error, exactly, also when all are asked for at once', async () => {
    const gate = deferred()
    const codes: string[] = []
    const Small = agent('small', { input: Question, output: Answer, maxPending: 3 })
    const small = Small.handle(async (_evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => null))
      return { answer: 'done' }
    })
    const caller = agent('caller', { on: Inquiry }, async (_evt, ctx) => {
      const calls = Array.from({ length: 5 }, (_, n) =>
        ctx.call(Small, { question: `${n}` }).then(
          () => 'done',
          (error) => error.code,
        ),
      )
      const outcomes = await Promise.all(calls)
      await ctx.step('note', () => void codes.push(...outcomes))
    })
    const spine = await world.open({ agents: [small, caller] })
    const { request } = await spine.publish(Inquiry, { text: 'x' })
    const atSmall = async () => {
      const { waiting } = await spine.settled(request, { within: 30 })
      return waiting.filter(({ agent: name }) => name === 'small')
    }
    await expect.poll(atSmall, PATIENT).toHaveLength(3)
    await expect(spine.start(Small, { question: 'x' })).rejects.toMatchObject({
      code: 'SPINE_QUEUE_FULL',
      value: 3,
      limit: 3,
      agent: 'small',
    })
    gate.resolve()
    expect((await spine.settled(request)).status).toBe('done')
    expect(codes).toEqual(['done', 'done', 'done', 'SPINE_QUEUE_FULL', 'SPINE_QUEUE_FULL'])
    expect(await (await spine.start(Small, { question: 'x' })).result()).toEqual({ answer: 'done' })
  })

  it('a start that is repeated with its idempotency key is recognised though the queue is full', async () => {
    const gate = deferred()
    const Small = agent('small', { input: Question, output: Answer, maxPending: 1 })
    const small = Small.handle(async (_evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => null))
      return { answer: 'done' }
    })
    const spine = await world.open({ agents: [small] })
    const first = await spine.start(Small, { question: 'x' }, { idempotencyKey: 'k' })
    const again = await spine.start(Small, { question: 'x' }, { idempotencyKey: 'k' })
    expect(again).toMatchObject({ duplicate: true, request: first.request })
    await expect(spine.start(Small, { question: 'x' }, { idempotencyKey: 'other' })).rejects.toMatchObject({
      code: 'SPINE_QUEUE_FULL',
    })
    gate.resolve()
    expect(await again.result()).toEqual({ answer: 'done' })
  })

  it('events and handoffs never block; a wrong bound is refused', async () => {
    const gate = deferred()
    const done: string[] = []
    const Small = agent('small', { input: Question, output: Answer, maxPending: 1 })
    const small = Small.handle(async (evt, ctx) => {
      await ctx.step('wait', () => gate.promise.then(() => void done.push(evt.data.question)))
      return { answer: 'done' }
    })
    const handing = agent('handing', { on: Inquiry, maxPending: 1 }, async (evt, ctx) =>
      ctx.handoff(Small, { question: evt.data.text }),
    )
    const spine = await world.open({ agents: [small, handing] })
    const all = await Promise.all(['a', 'b', 'c'].map((text) => spine.publish(Inquiry, { text })))
    gate.resolve()
    for (const { request } of all) expect((await spine.settled(request)).status).toBe('done')
    expect(done.sort()).toEqual(['a', 'b', 'c'])
    for (const maxPending of [0, 1_000_001, 1.5])
      expect(() => agent('x', { input: Question, output: Answer, maxPending })).toThrow(
        expect.objectContaining({ code: 'SPINE_OPTION_INVALID' }),
      )
  })
})
