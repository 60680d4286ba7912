/**
 * An open spine keeps its process alive, whatever its engine: agents that wait for work are the reason why it runs. When
 * it ends all the same (`process.exit`, an error that nobody caught), people are told what waits.
 */
import type { Runtime } from './runtime.ts'
import { systemKeepAlive } from './system-keep-alive.ts'

/** Open spines, and how to let their process go. */
const held = new Map<Runtime, () => void>()

export function holdProcess(runtime: Runtime): void {
  if (held.size === 0) process.once('exit', tellAll)
  held.set(runtime, systemKeepAlive())
}

/** Twice is fine. */
export function releaseProcess(runtime: Runtime): void {
  held.get(runtime)?.()
  if (held.delete(runtime) && held.size === 0) process.removeListener('exit', tellAll)
}

function tellAll(): void {
  for (const runtime of held.keys()) {
    const waiting = describeOpenWork(runtime)
    if (waiting !== undefined) runtime.logger.warn(`the process ends without spine.close(); ${waiting}`)
  }
}

/** `2 deliveries of 'inquiry': open, to go on when this log is opened again`; `undefined` when nothing hosted is open. */
function describeOpenWork(runtime: Runtime): string | undefined {
  const waiting = runtime.state.agents
    .filter(({ name, open: count }) => count > 0 && runtime.hosted.has(name))
    .map(({ name, open: count }) => `${count} ${count === 1 ? 'delivery' : 'deliveries'} of '${name}'`)
  if (waiting.length === 0) return undefined
  return `${waiting.join(', ')}: open, to go on when this log is opened again`
}
