import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeliveryTable, type Row, STATUS } from './delivery-table.ts'

interface Entry {
  readonly row: Row
  readonly source: number
  readonly agent: number
  readonly key: string
  readonly request: number
}

const AGENTS = 3
const KEYS = ['', 'a', 'b']
/** Columns that the table only keeps. */
const NUMBERS = ['type', 'attempt', 'hops', 'due', 'deadline', 'caller', 'call'] as const

/** The table as its users drive it, beside the same thing in plain arrays. */
class Pair {
  readonly table = new DeliveryTable()
  readonly heads = Array.from({ length: AGENTS }, () => new Map<string, Row>())
  readonly requestFirst = [0, 0]
  readonly open: Entry[] = []
  readonly queues = new Map<string, Entry[]>()

  queueOf({ agent, key }: Pick<Entry, 'agent' | 'key'>): Entry[] {
    const name = `${agent}/${key}`
    const queue = this.queues.get(name) ?? []
    this.queues.set(name, queue)
    return queue
  }

  add(source: number, agent: number, key: string, request: number): void {
    if (this.open.some((entry) => entry.source === source && entry.agent === agent)) return
    const { table } = this
    const row = table.add(source, agent)
    table.status[row] = STATUS.ready
    table.key[row] = key
    table.session[row] = `session ${source}`
    table.partition[row] = `partition ${source}`
    table.request[row] = request
    NUMBERS.forEach((column, place) => {
      table[column][row] = source + place
    })
    table.linkRequest(this.requestFirst[request] as Row, row)
    this.requestFirst[request] = row
    const entry = { row, source, agent, key, request }
    this.open.push(entry)
    if (key === '') return
    const queue = this.queueOf(entry)
    expect(table.enqueue(this.heads[agent] as Map<string, Row>, row)).toBe(queue.length === 0)
    const behind = queue.findLastIndex((other, index) => index === 0 || other.source <= source)
    queue.splice(behind + 1, 0, entry)
  }

  end(at: number): void {
    const [entry] = this.open.splice(at % Math.max(1, this.open.length), 1)
    if (entry === undefined) return
    const { table } = this
    if (entry.key !== '') this.leave(entry)
    this.requestFirst[entry.request] = table.unlinkRequest(this.requestFirst[entry.request] as Row, entry.row)
    table.drop(entry.row)
  }

  leave(entry: Entry): void {
    const queue = this.queueOf(entry)
    const place = queue.indexOf(entry)
    queue.splice(place, 1)
    const successor = place === 0 ? (queue[0]?.row ?? 0) : 0
    expect(this.table.dequeue(this.heads[entry.agent] as Map<string, Row>, entry.row)).toBe(successor)
  }

  check(): void {
    const { table, open } = this
    expect(table.openCount).toBe(open.length)
    expect([...table.rows()].sort(byNumber)).toEqual(open.map(({ row }) => row).sort(byNumber))
    const texts = (row: Row) => [table.key[row], table.session[row], table.partition[row]]
    const numbers = (row: Row) => [table.source, table.agent, table.request, table.status].map((column) => column[row])
    expect(open.map(({ source, agent }) => table.find(source, agent))).toEqual(open.map(({ row }) => row))
    expect(
      open.map(({ row }) => [...numbers(row), ...NUMBERS.map((column) => table[column][row]), ...texts(row)]),
    ).toEqual(
      open.map(({ source, agent, request, key }) => {
        const filled = NUMBERS.map((_, place) => source + place)
        return [source, agent, request, STATUS.ready, ...filled, key, `session ${source}`, `partition ${source}`]
      }),
    )
    this.requestFirst.forEach((first, request) => {
      const linked: Row[] = []
      for (let row = first; row !== 0; row = table.nextOfRequest(row)) linked.push(row)
      const expected = open.filter((entry) => entry.request === request).map(({ row }) => row)
      expect(linked.sort(byNumber)).toEqual(expected.sort(byNumber))
    })
    this.heads.forEach((heads, agent) => {
      const expected = [...this.queues.values()].flatMap(([head]) =>
        head?.agent === agent ? [[head.key, head.row]] : [],
      )
      expect(Object.fromEntries(heads)).toEqual(Object.fromEntries(expected))
    })
  }
}

const byNumber = (left: number, right: number) => left - right

const adding = fc.record({
  source: fc.nat(400),
  agent: fc.nat(AGENTS - 1),
  key: fc.constantFrom(...KEYS),
  request: fc.nat(1),
})
const commands = fc.array(fc.oneof({ weight: 3, arbitrary: adding }, { weight: 2, arbitrary: fc.nat(1_000) }), {
  maxLength: 120,
})
/** Filled at first so that most runs pass the size at which the columns grow. */
const filled = fc.integer({ min: 200, max: 600 })

function play(
  fill: number,
  list: readonly ({ source: number; agent: number; key: string; request: number } | number)[],
): Pair {
  const pair = new Pair()
  for (let index = 0; index < fill; index++)
    pair.add(401 + Math.floor(index / AGENTS), index % AGENTS, KEYS[(index >> 1) % KEYS.length] as string, index % 2)
  for (const command of list) {
    if (typeof command === 'number') pair.end(command)
    else pair.add(command.source, command.agent, command.key, command.request)
  }
  return pair
}

describe('DeliveryTable', () => {
  it('finds, counts, links and keeps every column like a list of objects would, also after it has grown', () => {
    fc.assert(
      fc.property(filled, commands, (fill, list) => play(fill, list).check()),
      { numRuns: 12 },
    )
  })

  it('D1 D2 gives the rows of a key back one by one, in the order of sources behind the one that was at the head', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), commands, (fill, list) => {
        const pair = play(fill, list)
        for (const queue of [...pair.queues.values()]) while (queue[0] !== undefined) pair.leave(queue[0])
        expect(pair.heads.every((heads) => heads.size === 0)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  it('D2 never displaces the head, whatever comes later with a lower source', () => {
    const pair = new Pair()
    for (const source of [30, 10, 20, 25, 5]) pair.add(source, 0, 'a', 0)
    expect(pair.queueOf({ agent: 0, key: 'a' }).map(({ source }) => source)).toEqual([30, 5, 10, 20, 25])
    pair.end(0)
    pair.check()
    pair.add(1, 0, 'a', 0)
    expect(pair.heads[0]?.get('a')).toBe(pair.table.find(5, 0))
  })

  it('D3 never gives row 0 away, and finds nobody there', () => {
    const pair = play(600, [])
    expect([...pair.table.rows()]).not.toContain(0)
    expect(pair.table.find(9_999, 0)).toBe(0)
    expect(pair.table.find(401, AGENTS)).toBe(0)
  })

  it('gives a freed row away again, clean', () => {
    const { table } = new Pair()
    const row = table.add(7, 0)
    table.attempt[row] = 3
    table.due[row] = 99
    table.key[row] = 'a'
    table.drop(row)
    expect([table.find(7, 0), table.openCount, table.key[row]]).toEqual([0, 0, ''])
    expect(table.add(8, 1)).toBe(row)
    expect([table.attempt[row], table.due[row]]).toEqual([0, 0])
  })

  it('D4 never gives a row to a second delivery of a source, nor to an earlier one', () => {
    const table = new DeliveryTable()
    const first = table.add(5, 1)
    table.drop(first)
    const second = table.add(5, 2)
    expect(second).not.toBe(first)
    const live = table.add(9, 1)
    expect(live).toBe(first)
    table.drop(live)
    table.drop(second)
    // What opens late takes up the rows of its agent, in its order, and grows no further.
    for (let source = 6; source < 9; source++) {
      const late = table.add(source, 2)
      expect(late).toBe(second)
      table.drop(late)
    }
    expect([table.openCount, table.add(10, 3)]).toEqual([0, first])
  })
})
