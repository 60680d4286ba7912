/**
 * Tells people what waits when their process ends: nothing keeps a process alive for a spine, so a script that publishes
 * and runs to its end leaves work behind, which is fine and should not be a surprise.
 */
import type { Runtime } from './runtime.ts'

const open = new Set<Runtime>()

/** From now on, until it is closed. */
export function watchExit(runtime: Runtime): void {
  if (open.size === 0) process.once('exit', tellAll)
  open.add(runtime)
}

export function unwatchExit(runtime: Runtime): void {
  open.delete(runtime)
  if (open.size === 0) process.removeListener('exit', tellAll)
}

function tellAll(): void {
  for (const runtime of open) {
    const waiting = describeOpenWork(runtime)
    if (waiting !== undefined) runtime.logger.warn(`the process ends without spine.close(); ${waiting}`)
  }
}

/** `2 deliveries of 'inquiry' stay open and go on when this log is opened again`; `undefined` when nothing hosted is open. */
export function describeOpenWork(runtime: Runtime): string | undefined {
  const waiting = runtime.state.agents
    .filter(({ name, open: count }) => count > 0 && runtime.hosted.has(name))
    .map(({ name, open: count }) => `${count} ${count === 1 ? 'delivery' : 'deliveries'} of '${name}'`)
  if (waiting.length === 0) return undefined
  return `${waiting.join(', ')}: open, to go on when this log is opened again`
}
