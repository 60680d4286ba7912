import { expect, it } from 'vitest'
import { Scoreboard } from './scoreboard.ts'

const turn = (number: number, failure?: string) => ({
  dialogue: 'a',
  turn: number,
  request: 'r',
  latencyMs: 5,
  isUrgent: false,
  failure,
})

it('counts a turn once, however often it is told', () => {
  const board = new Scoreboard(3)
  board.settled(turn(0))
  board.settled(turn(0, 'too late to fail'))
  expect([board.settledTurns, board.played, board.latenciesMs, board.failures]).toEqual([1, 1, [5], []])
})

it('knows turns of an earlier life as settled, but not as played', () => {
  const board = new Scoreboard(3)
  board.resumed('a', 2)
  board.settled(turn(1))
  board.settled(turn(2))
  expect([board.settledTurns, board.played]).toEqual([3, 1])
})

it('tells once how long it took from a kill to the next turn', () => {
  const board = new Scoreboard(3)
  expect(board.settled(turn(0))).toBeUndefined()
  board.killed(performance.now() - 50)
  expect(board.settled(turn(0))).toBeUndefined()
  expect(board.settled(turn(1))).toBeGreaterThanOrEqual(50)
  expect(board.settled(turn(2))).toBeUndefined()
  expect([board.kills, board.recoveriesMs.length]).toEqual([1, 1])
})

it('keeps what failed, in words', () => {
  const board = new Scoreboard(1)
  board.settled(turn(0, "settled as 'failed'"))
  expect(board.failures).toEqual(["a, turn 1: settled as 'failed'"])
})

it('keeps the latencies of those in a hurry apart', () => {
  const board = new Scoreboard(2)
  board.settled(turn(0))
  board.settled({ ...turn(1), latencyMs: 1, isUrgent: true })
  expect([board.latenciesMs, board.urgentLatenciesMs]).toEqual([[5], [1]])
})
