import { expect, it } from 'vitest'
import { KillMoments } from './kill-moments.ts'

/** Of processes that get on. */
const all = (moments: KillMoments) =>
  Array.from({ length: 200 }, () => {
    moments.progressed()
    return moments.take()
  })

it('gives so many moments in both phases, the same for the same seed, and others for another', () => {
  const moments = all(new KillMoments(150, 'a'))
  expect(moments.filter((moment) => moment !== undefined)).toHaveLength(150)
  const phases = new Set(moments.slice(0, 150).map((moment) => moment?.phase))
  expect([...phases].sort()).toEqual(['starting', 'working'])
  expect(all(new KillMoments(150, 'a'))).toEqual(moments)
  expect(all(new KillMoments(150, 'b'))).not.toEqual(moments)
})

it('spreads those of the start over the time that starting takes here', () => {
  const moments = new KillMoments(200, 'a')
  moments.started(10_000)
  const delays = all(moments).map((moment) => (moment?.phase === 'starting' ? moment.delayMs : 0))
  expect(Math.max(...delays)).toBeGreaterThan(9_000)
  expect(Math.max(...delays)).toBeLessThan(10_000)
})

it('lets the third process in a row get on first', () => {
  const moments = new KillMoments(200, 'a')
  for (let round = 0; round < 20; round++) {
    const phases = [moments.take(), moments.take(), moments.take(), moments.take()].map((moment) => moment?.phase)
    expect(phases.slice(2)).toEqual(['progressing', 'progressing'])
    expect(phases.slice(0, 2)).not.toContain('progressing')
    moments.progressed()
  }
})
