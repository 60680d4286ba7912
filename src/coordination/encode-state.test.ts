/** S1 to S3, and what must hold after every record of any log. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldedLog } from '../../test/support/folded-log.ts'
import { LogBuilder } from '../../test/support/log-builder.ts'
import { randomChoices, writeHistory } from '../../test/support/random-history.ts'
import { flawInSystemData, isCatalogued } from '../event/catalogue.ts'
import { isSystemType, type LogRecord } from '../event/record.ts'
import { takeOver } from './decide.ts'
import { type Row, STATUS } from './delivery-table.ts'
import { encodeState } from './encode-state.ts'
import { evolve, FOLDED_TYPES } from './evolve.ts'
import { isDecided, tallyOf } from './gather.ts'
import { blockersOf } from './blockers-of.ts'
import { type AgentState, agentNamed, deliveryId, initialState, type SpineState } from './state.ts'

const world = () => foldedLog({ initialState, takeOver, evolve, encodeState })

function foldAll(records: readonly LogRecord[], takeOverAt?: number): SpineState {
  const state = initialState()
  for (const record of records) {
    if (record.sequence === takeOverAt) takeOver(state)
    evolve(state, record)
  }
  return state
}

const agentOf = (state: SpineState, row: Row) => state.agents[state.deliveries.agent[row] as number] as AgentState
const idOf = (state: SpineState, row: Row) =>
  deliveryId(state.deliveries.source[row] as number, agentOf(state, row).name)

/** Everything that is wrong with a state, in words. */
function flawsOf(state: SpineState): readonly string[] {
  const flaws: string[] = []
  const must = (holds: boolean, rule: string) => void (holds || flaws.push(rule))
  const { deliveries, requests, agents, runs } = state
  const rows = [...deliveries.rows()]
  must(deliveries.openCount === rows.length, 'D the open count is the number of rows')
  must(new Set(rows.map((row) => idOf(state, row))).size === rows.length, 'L1 one open delivery per source and agent')

  const running = new Map<string, number>()
  for (const row of rows) {
    const key = deliveries.key[row] as string
    const head = agentOf(state, row).keys.get(key)
    must(
      deliveries.find(deliveries.source[row] as number, deliveries.agent[row] as number) === row,
      'D is found by its name',
    )
    const isBlocked = agentOf(state, row).holds.get(key)?.mode === 'block'
    must(
      (deliveries.status[row] === STATUS.queued) === (key !== '' && (head !== row || isBlocked)),
      `D1 queued is what is not the head, or blocked: ${idOf(state, row)}`,
    )
    if (key !== '' && (deliveries.status[row] !== STATUS.queued || (isBlocked && head === row))) {
      const line = `${deliveries.agent[row]} ${key}`
      running.set(line, (running.get(line) ?? 0) + 1)
    }
  }
  must(
    [...running.values()].every((count) => count === 1),
    'D1 one head per agent and key',
  )
  const lines = agents.flatMap((agent) =>
    [...agent.keys].map(([key, head]) => deliveries.key[head] === key && agentOf(state, head) === agent),
  )
  must(lines.every(Boolean) && lines.length === running.size, 'D1 every line has its own head, and none is left behind')

  for (const row of rows) {
    const urgency = deliveries.urgency[row] as number
    const id = idOf(state, row)
    const behind = deliveries.key[row] === '' ? 0 : deliveries.nextOfKey(row)
    must(behind === 0 || urgency <= (deliveries.urgency[behind] as number), `B2 as urgent as what waits behind ${id}`)
    const caller = deliveries.caller[row] as Row
    must(caller === 0 || urgency <= (deliveries.urgency[caller] as number), `B2 as urgent as the caller of ${id}`)
  }

  let placed = 0
  for (const row of rows) {
    const place = state.exclusives.placeOf(row)
    if (place === undefined) continue
    placed++
    const id = idOf(state, row)
    must(place.holders.has(row) !== place.waiting.has(row), `E ${id} holds its place, or waits for it`)
    must(place.session === deliveries.session[row], `E the place of ${id} is in its session`)
    const blockers = deliveries.status[row] === STATUS.ready ? blockersOf(state, row) : []
    for (const holder of blockers)
      must(
        (deliveries.urgency[holder] as number) <= (deliveries.urgency[row] as number),
        `E4 ${idOf(state, holder)} is as urgent as ${id}`,
      )
  }
  must(placed === state.exclusives.size, 'E whoever has a place is open')

  const byRequest = new Map<string, number>()
  const byAgent = new Map<string, number>()
  const count = (counts: Map<string, number>, name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)
  const watched = new Set<string>()
  for (const row of rows) {
    const request = requests.id[deliveries.request[row] as number] as string
    if (deliveries.observes[row] === 1) watched.add(request)
    else count(byRequest, request)
    count(byAgent, agentOf(state, row).name)
  }
  const slots = [...requests.slots()].filter((slot) => requests.atRest[slot] === 0)
  const resting = [...requests.slots()].filter((slot) => requests.atRest[slot] === 1)
  must(
    resting.every((slot) => requests.open[slot] === 0 && watched.has(requests.id[slot] as string)),
    'Q2 only what looks on keeps the slot of a request at rest',
  )
  const owed = new Set(agents.flatMap(({ behind }) => [...(behind?.owed.values() ?? [])].map(({ request }) => request)))
  must(
    slots.length === new Set([...byRequest.keys(), ...owed]).size,
    'Q1 a slot for each request with open work, or owed some, and no other',
  )
  must([...owed].sort().join() === [...state.owings.keys()].sort().join(), 'OW1 what is owed is known by request')
  for (const slot of slots) {
    must(
      requests.open[slot] === (byRequest.get(requests.id[slot] as string) ?? 0),
      `Q1 the count of ${requests.id[slot]}`,
    )
    let linked = 0
    for (let row = requests.firstRow(slot); row !== 0; row = deliveries.nextOfRequest(row))
      linked += deliveries.request[row] === slot ? 1 : Number.NaN
    must(linked === requests.open[slot], `Q1 the rows linked to ${requests.id[slot]}`)
  }
  for (const row of rows) {
    const isJoining = deliveries.status[row] === STATUS.joining
    const place = {
      session: deliveries.session[row] as string,
      request: requests.id[deliveries.request[row] as number] as string,
    }
    const types = [...(state.joins.of(row)?.seen.keys() ?? [])]
    must(!isJoining || deliveries.key[row] === '', `G2 what gathers is in no queue: ${idOf(state, row)}`)
    must(
      !isJoining || state.joins.find(deliveries.agent[row] as number, place, types[0] as string) !== 0,
      `G2 what gathers is found: ${idOf(state, row)}`,
    )
    const isHeld = state.held.has(row)
    must(deliveries.status[row] !== STATUS.ready || !isHeld, `B what is held is not ready: ${idOf(state, row)}`)
    must(deliveries.status[row] !== STATUS.held || isHeld, `B something holds what is held: ${idOf(state, row)}`)
  }
  for (const [row] of state.joins.entries()) must(rows.includes(row), 'G1 a round belongs to an open delivery')
  for (const row of state.held.rows()) must(rows.includes(row), 'B what is held is open')

  for (const agent of agents) must(agent.open === (byAgent.get(agent.name) ?? 0), `the count of ${agent.name}`)

  for (const [row, run] of runs) {
    must(deliveries.status[row] !== STATUS.free, 'a journal belongs to an open delivery')
    for (const [call, name] of run.calls) {
      const callee = run.commands.get(name)?.row ?? 0
      const owes =
        deliveries.status[callee] !== STATUS.free &&
        deliveries.call[callee] === call &&
        deliveries.caller[callee] === row
      must(owes, `L2 someone owes the reply to ${idOf(state, row)} ${name}`)
    }
  }
  for (const [row, run] of runs) {
    const open = run.gathers?.open ?? []
    const all = [...(run.gathers?.all ?? [])]
    const unended = all.filter(([name]) => run.commands.get(name)?.ended === 0).map(([name]) => name)
    must(unended.join() === open.join(), `G1 what has not ended is open, in order: ${idOf(state, row)}`)
    const missed = all.filter(
      ([name, gather]) => open.includes(name) && isDecided(gather, tallyOf(gather, run.commands)),
    )
    must(missed.length === 0, `G1 nothing open is decided: ${idOf(state, row)}`)
  }
  must(state.touched === undefined, 'nothing is left to look at between records')
  for (const row of rows) {
    const caller = deliveries.caller[row] as Row
    const awaited = caller === 0 || state.runs.get(caller)?.calls.has(deliveries.call[row] as number) === true
    must(awaited, `L3 the caller of ${idOf(state, row)} waits for it`)
  }
  const indexed = [...state.lettersOfRequest].flatMap(([request, ids]) => [...ids].map((id) => `${request} ${id}`))
  const lying = [...state.deadLetters].map(([id, { request }]) => `${request} ${id}`)
  must(
    JSON.stringify(indexed.sort()) === JSON.stringify(lying.sort()),
    'the dead letters of each request are found by it',
  )
  const letters = [...state.deadLetters.values()].flatMap(({ run }) => [...(run?.commands.values() ?? [])])
  must(
    letters.every(({ kind, ended }) => kind !== 'call' || ended !== 0),
    'P7 a dead letter waits for nobody',
  )
  return flaws
}

/** A dead letter comes back alone, or with all that its key holds. */
function redriven(state: SpineState, id: string): number {
  const letter = state.deadLetters.get(id)
  if (letter === undefined) return 0
  const agent = state.agents[letter.agent] as AgentState
  const held = agent.holds.get(letter.orderKey)?.letters ?? []
  const all = held.includes(letter.source) ? held : [letter.source]
  return all.filter(
    (source) =>
      state.deadLetters.has(deliveryId(source, agent.name)) && state.deliveries.find(source, letter.agent) === 0,
  ).length
}

/** Events above the place of the agent that it still hears, and has not been given. */
function admitted(state: SpineState, record: LogRecord): number {
  const { name, upTo, events, places } = record.data as unknown as {
    readonly name: string
    readonly upTo: number
    readonly events: readonly number[]
    readonly places: readonly { readonly type: string }[]
  }
  const { behind, registration } = agentNamed(state, name) ?? {}
  if (behind === undefined || registration === undefined || upTo <= behind.cursor) return 0
  const index = state.agentIndex.get(name) as number
  const hears = (type: string) => registration.on.includes(type) || registration.on.includes('*')
  return events.filter(
    (event, at) =>
      event > behind.cursor && hears(places[at]?.type as string) && state.deliveries.find(event, index) === 0,
  ).length
}

/** How many deliveries a record opens, by the words of the design alone. */
function opens(state: SpineState, record: LogRecord): number {
  const open = (name: string | undefined) => {
    const index = state.agentIndex.get(name ?? '')
    return index !== undefined && state.deliveries.find(record.cause, index) !== 0
  }
  const data = record.data as { command?: string; handoff?: object }
  if (!isSystemType(record.type)) {
    return state.agents.filter(({ name, registration, behind }, index) => {
      if (behind !== undefined || registration === undefined || state.joins.find(index, record, record.type) !== 0)
        return false
      if (registration.on.includes('*')) return record.agent !== name
      const { per } = (registration.join ?? {}) as { per?: string }
      return (
        registration.on.includes(record.type) && !(per === 'request' && state.joins.hasFired(index, record.request))
      )
    }).length
  }
  if (record.type === 'spine.call.requested') return data.command === undefined || open(record.agent) ? 1 : 0
  if (record.type === 'spine.delivery.completed') return data.handoff !== undefined && open(record.agent) ? 1 : 0
  if (record.type === 'spine.agent.admitted') return admitted(state, record)
  if (record.type === 'spine.delivery.redriven') return redriven(state, deliveryId(record.cause, record.agent ?? ''))
  return 0
}

describe('after every record of any log', () => {
  it('D1 Q1 L1 L2 L3 hold, and conservation: what was opened has ended or is open', () => {
    fc.assert(
      fc.property(randomChoices(), (choices) => {
        const state = initialState()
        takeOver(state)
        let balance = 0
        const log = new LogBuilder((record) => {
          balance += opens(state, record)
          evolve(state, record)
          const marks = state.marks?.splice(0) ?? []
          balance -= marks.filter(({ kind }) => kind === 'ended').length
          expect([record.type, ...flawsOf(state)]).toEqual([record.type])
          expect(`${record.type}: ${state.deliveries.openCount} open`).toBe(`${record.type}: ${balance} open`)
          const rested = marks.flatMap((mark) => (mark.kind === 'rest' ? [mark.request] : []))
          expect(
            rested.filter(
              (request, index) =>
                state.requests.open[state.requests.find(request)] !== 0 || rested.indexOf(request) !== index,
            ),
          ).toEqual([])
        })
        writeHistory(log, () => JSON.parse(encodeState(state)), choices)
      }),
      { numRuns: 60 },
    )
  })

  it('F3 a record about a delivery that has ended changes nothing, whatever it says', () => {
    fc.assert(
      fc.property(randomChoices(), (choices) => {
        const { log, state, view } = world()
        writeHistory(log, view, choices)
        const ended = log.records.filter((record) => {
          const index = state.agentIndex.get(record.agent ?? '')
          return (
            index !== undefined &&
            record.type.startsWith('spine.delivery.') &&
            state.deliveries.find(record.cause, index) === 0
          )
        })
        const { at: _, ...before } = view()
        for (const { cause, agent } of ended) {
          const run = log.delivery(cause, agent as string)
          run.step('late#0')
          run.startEffect('late#1')
          run.call('@late#0', 'ann')
          run.retry(1, 5)
          run.pause()
          run.complete()
          run.handOff('ann')
        }
        const { at: __, ...after } = view()
        expect(after).toEqual(before)
      }),
      { numRuns: 60 },
    )
  })
})

describe('encodeState', () => {
  it('S1 S3 is the same for whoever folds the log, deciding from the start, from the middle, or never', () => {
    fc.assert(
      fc.property(randomChoices(), fc.nat(60), (choices, middle) => {
        const { log, view, encoded } = world()
        writeHistory(log, view, choices)
        expect(encodeState(foldAll(log.records))).toBe(encoded())
        expect(encodeState(foldAll(log.records, 1 + (middle % log.head)))).toBe(encoded())
      }),
      { numRuns: 20 },
    )
  })

  it('F1 says nothing of the data of a user, nor of the time of a record save where a round, a rate or a breaker counts from it', () => {
    const counted = new Set(['rate', 'breaker'])
    const untimed = (encoded: string) =>
      JSON.parse(encoded, (name, value) =>
        counted.has(name) ? null : name === 'deliveries' ? value.map(withoutTime) : value,
      )
    const withoutTime = (delivery: { status: string }) =>
      delivery.status === 'joining' ? { ...delivery, due: 0 } : delivery
    fc.assert(
      fc.property(randomChoices(), (choices) => {
        const { log, view, encoded } = world()
        writeHistory(log, view, choices)
        const other = log.records.map((record) => ({
          ...record,
          time: 7,
          data: isSystemType(record.type) ? record.data : null,
        }))
        expect(untimed(encodeState(foldAll(other)))).toEqual(untimed(encoded()))
      }),
      { numRuns: 10 },
    )
  })

  it('shows every record that changed anything: no two states of one log look alike but for their position', () => {
    const { log, view } = world()
    const seen = new Set<string>()
    const look = () => {
      const { at: _, ...rest } = view()
      seen.add(JSON.stringify(rest))
    }
    const steps: (() => void)[] = []
    const run = (write: () => void) => steps.push(write)
    run(() => log.register('ann', { on: ['a.happened'] }))
    run(() => log.register('ann', { on: ['a.happened'], version: '2' }))
    run(() => log.register('expert'))
    run(() => log.event('a.happened', { session: 's', deadline: 90 }))
    run(() => log.delivery(4, 'ann').step('one#0', { basis: 2, version: '2' }))
    run(() => log.delivery(4, 'ann').startEffect('two#0'))
    run(() => log.delivery(4, 'ann').step('two#0', { failed: true }))
    run(() => log.delivery(4, 'ann').sleep('@sleep#0', 50))
    run(() => log.delivery(4, 'ann').fire('@sleep#0'))
    run(() => log.delivery(4, 'ann').call('@call#0', 'expert'))
    run(() => log.delivery(10, 'expert').handOff('expert'))
    run(() => log.delivery(11, 'expert').retry(1, 60))
    run(() => log.delivery(11, 'expert').complete())
    run(() => log.delivery(4, 'ann').gather('@gather#0', ['two#0', 'other#0'], { until: 'settled', due: 70 }))
    run(() => log.delivery(4, 'ann').pause())
    run(() => log.claim('one'))
    run(() => log.release())
    run(() => log.delivery(4, 'ann').die())
    run(() => log.delivery(4, 'ann').redrive())
    run(() =>
      log.register('joint', { on: ['a.happened', 'b.happened'], join: { per: 'session' }, after: ['c.happened'] }),
    )
    run(() => log.event('a.happened', { session: 'j' }))
    run(() => log.event('b.happened', { session: 'j' }))
    run(() => log.event('c.happened', { session: 'j' }))
    run(() => log.rename('ann', 'bea'))
    run(() => log.remove('bea'))
    for (const write of steps) {
      write()
      look()
    }
    expect(seen.size).toBe(steps.length)
  })

  it('has a generator of histories that reaches every folded type, and writes what the catalogue allows', () => {
    const types = new Set<string>()
    const statuses = new Set<string>()
    fc.assert(
      fc.property(randomChoices(), (choices) => {
        const { log, view } = world()
        writeHistory(log, view, choices)
        for (const { type, data } of log.records) {
          types.add(type)
          if (isCatalogued(type)) expect(flawInSystemData(type, data)).toBeUndefined()
        }
        for (const { status } of view().deliveries) statuses.add(status)
      }),
      { numRuns: 80, seed: 1 },
    )
    const never = ['spine.session.patched', 'spine.lane.released']
    expect(FOLDED_TYPES.filter((type) => !types.has(type) && !never.includes(type))).toEqual([])
    expect([...statuses].sort()).toEqual(['backoff', 'delayed', 'held', 'joining', 'paused', 'queued', 'ready'])
  })

  it('tells an agent that is only named from one that is registered', () => {
    const state = foldAll(new LogBuilder().records)
    expect(agentNamed(state, 'ann')).toBeUndefined()
    const { log, view } = world()
    log.start('ann')
    expect(view().agents).toEqual([{ holds: [], name: 'ann', registration: null, since: 0, subscribed: [], open: 1 }])
  })
})
