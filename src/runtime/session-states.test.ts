import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Engine, ReadQuery } from '../engine/engine.ts'
import type { LogRecord } from '../event/record.ts'
import type { Json } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { mergePatch } from '../kernel/merge-patch.ts'
import { SessionStates } from './session-states.ts'

const patch = (sequence: number, session: string, data: Json): LogRecord => {
  return {
    sequence,
    type: 'spine.session.patched',
    time: 1,
    session,
    request: 'r',
    key: session,
    cause: 0,
    hops: 0,
    data: { patch: data },
  }
}

/** A log that answers reads by hand: `held` reads wait until they are let go, with what they had seen. */
class Log {
  readonly records: LogRecord[] = []
  reads = 0
  hold = false
  #held: (() => void)[] = []

  get engine(): Engine {
    return { read: (query: ReadQuery) => this.#read(query) } as unknown as Engine
  }

  #read({ session, types, after = 0, limit = Number.POSITIVE_INFINITY }: ReadQuery): Promise<readonly LogRecord[]> {
    this.reads++
    const found = this.records
      .filter(
        (record) => record.session === session && record.sequence > after && types?.includes(record.type) === true,
      )
      .slice(0, limit)
    if (!this.hold) return Promise.resolve(found)
    return new Promise((resolve) => this.#held.push(() => resolve(found)))
  }

  async letGo(index = 0): Promise<void> {
    this.#held.splice(index, 1)[0]?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function world() {
  const log = new Log()
  const states = new SessionStates(log.engine)
  const write = (session: string, data: Json) => {
    const record = patch(log.records.length + 1, session, data)
    log.records.push(record)
    states.remember(record)
  }
  /** So many other sessions that all earlier ones leave the memory. */
  const crowd = () => {
    for (let index = 0; index <= limits.sessionCacheSessions; index++)
      states.remember(patch(1, `crowd ${index}`, { n: index }))
  }
  return { log, states, write, crowd }
}

const patches = fc.array(
  fc.record({
    session: fc.constantFrom('s', 't'),
    patch: fc.dictionary(
      fc.constantFrom('a', 'b'),
      fc.oneof(fc.constant(null), fc.nat(3), fc.record({ x: fc.option(fc.nat(3)) })),
      { maxKeys: 2 },
    ),
  }),
  { maxLength: 20 },
)

describe('N1: a state is the merge of the patches up to there, in order', () => {
  it('from memory, from the log, and at any sequence', async () => {
    await fc.assert(
      fc.asyncProperty(patches, fc.nat(20), async (list, at) => {
        const { log, states, write } = world()
        for (const { session, patch } of list) write(session, patch as Json)
        const expected = (upTo: number) =>
          list
            .slice(0, upTo)
            .reduce<Json>(
              (state, { session, patch }) => (session === 's' ? mergePatch(state, patch as Json) : state),
              {},
            )
        expect(states.recent('s')).toEqual(expected(list.length))
        expect(log.reads).toBe(0)
        expect(await states.at('s', at)).toEqual(expected(at))
        expect(await new SessionStates(log.engine).at('s', Number.MAX_SAFE_INTEGER)).toEqual(expected(list.length))
      }),
      { numRuns: 40 },
    )
  })

  it('ignores what is no patch', () => {
    const { states, write } = world()
    write('s', { a: 1 })
    states.remember({ ...patch(2, 's', { a: 2 }), type: 'inquiry.received' })
    expect(states.recent('s')).toEqual({ a: 1 })
  })

  it('reads a long history page by page', async () => {
    const { log, states } = world()
    for (let sequence = 1; sequence <= limits.readRecordsMax * 2; sequence++)
      log.records.push(patch(sequence, 's', { [`k${sequence % 3}`]: sequence }))
    const all = limits.readRecordsMax * 2
    expect(await states.at('s', all)).toEqual({
      [`k${all % 3}`]: all,
      [`k${(all - 1) % 3}`]: all - 1,
      [`k${(all - 2) % 3}`]: all - 2,
    })
    expect(log.reads).toBe(3)
    expect(await states.at('s', limits.readRecordsMax)).toMatchObject({
      [`k${limits.readRecordsMax % 3}`]: limits.readRecordsMax,
    })
  })
})

describe('N3: the past of a session is read once for all runs that stand between the same two patches', () => {
  it('at once or one after the other; before, between and after the patches, and again for another stretch', async () => {
    const { log, states, write } = world()
    write('t', { x: 1 })
    write('s', { a: 1 })
    write('t', { x: 2 })
    write('s', { a: 2 })
    write('t', { x: 3 })
    const at = (...places: readonly number[]) => Promise.all(places.map((place) => states.at('s', place)))
    expect([await at(2, 3, 2), log.reads]).toEqual([[{ a: 1 }, { a: 1 }, { a: 1 }], 1])
    expect([await at(3), log.reads]).toEqual([[{ a: 1 }], 1])
    expect([await at(4, 5), log.reads]).toEqual([[{ a: 2 }, { a: 2 }], 2])
    expect([await at(1, 0), log.reads]).toEqual([[{}, {}], 3])
  })

  it('each of many that ask at once for different stretches is given its own', async () => {
    const { states, write } = world()
    for (let n = 1; n <= 20; n++) write('s', { n })
    const places = Array.from({ length: 60 }, (_, index) => (index * 7) % 21)
    const given = await Promise.all(places.map((place) => states.at('s', place)))
    expect(given).toEqual(places.map((n) => (n === 0 ? {} : { n })))
  })

  it('what is not folded yet is nobody else to be told of: a patch that comes later is not overlooked', async () => {
    const { states, write } = world()
    write('s', { a: 1 })
    expect(await states.at('s', 2)).toEqual({ a: 1 })
    write('s', { a: 2 })
    expect(await states.at('s', 2)).toEqual({ a: 2 })
  })

  it('a reading that failed fails whoever asked for it, and is tried again by the next', async () => {
    let failures = 1
    const { log } = world()
    log.records.push(patch(1, 's', { a: 1 }))
    const { read } = log.engine
    const engine = {
      read: (query: ReadQuery) => (failures-- > 0 ? Promise.reject(new Error('no disk')) : read(query)),
    } as unknown as Engine
    const states = new SessionStates(engine)
    const [first, second] = await Promise.allSettled([states.at('s', 1), states.at('s', 1)])
    expect([first, second]).toMatchObject([
      { status: 'rejected', reason: { message: 'no disk' } },
      { status: 'fulfilled', value: { a: 1 } },
    ])
  })
})

describe('N2: a state is never changed in place', () => {
  it('whoever holds one keeps it', () => {
    const { states, write } = world()
    write('s', { a: { x: 1 } })
    const before = states.recent('s')
    write('s', { a: { x: 2, y: 3 }, b: 1 })
    expect(before).toEqual({ a: { x: 1 } })
    expect(Object.isFrozen(before)).toBe(true)
    expect(states.recent('s')).toEqual({ a: { x: 2, y: 3 }, b: 1 })
  })
})

describe('what has left the memory', () => {
  it('is not taken for empty, but read from the log, once', async () => {
    const { log, states, write, crowd } = world()
    write('s', { a: 1 })
    expect(states.recent('never seen')).toEqual({})
    crowd()
    expect([states.recent('s'), states.recent('never seen')]).toEqual([undefined, undefined])
    expect(await states.current('s')).toEqual({ a: 1 })
    expect([states.recent('s'), log.reads]).toEqual([{ a: 1 }, 1])
  })

  it('a patch to it alone does not pass for the whole state', async () => {
    const { states, write, crowd } = world()
    write('s', { a: 1 })
    crowd()
    write('s', { b: 2 })
    expect(states.recent('s')).toBeUndefined()
    expect(await states.current('s')).toEqual({ a: 1, b: 2 })
  })

  it('a patch that comes while it is read is neither lost nor applied twice', async () => {
    const { log, states, write, crowd } = world()
    write('s', { a: 1 })
    crowd()
    log.hold = true
    const before = states.current('s')
    write('s', { b: 2 })
    await log.letGo()
    expect(await before).toEqual({ a: 1, b: 2 })
    expect(states.recent('s')).toEqual({ a: 1, b: 2 })
  })

  it('nor is it when two read it at once, and one of them is late', async () => {
    const { log, states, write, crowd } = world()
    write('s', { a: 1 })
    crowd()
    log.hold = true
    const [first, second] = [states.current('s'), states.current('s')]
    await log.letGo()
    expect(await first).toEqual({ a: 1 })
    write('s', { b: 2 })
    await log.letGo()
    await second
    expect(states.recent('s')).toEqual({ a: 1, b: 2 })
  })
})
