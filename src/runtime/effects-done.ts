import type { Clock, Timer } from '../kernel/clock.ts'

/** Effects are finished, but not waited for without end: false when the agent's timeout has passed once more. */
export async function effectsDone(
  effects: Set<Promise<unknown>> | undefined,
  clock: Clock,
  timeoutMs: number,
): Promise<boolean> {
  if (effects === undefined || effects.size === 0) return true
  let timer: Timer | undefined
  const late = new Promise<false>((resolve) => {
    timer = clock.setTimer(clock.now() + timeoutMs, () => resolve(false))
  })
  const inTime = await Promise.race([allDone(effects), late])
  timer?.cancel()
  return inTime
}

async function allDone(effects: Set<Promise<unknown>>): Promise<true> {
  while (effects.size > 0) await Promise.allSettled([...effects])
  return true
}
