import type { Engine } from '../engine.ts'
import { MemoryEngine } from './memory-engine.ts'

/**
 * A log in the memory of this process: for tests and simulations. It is lost with the process, and says so
 * (`durability().level` is `'none'`). The same object can be closed and opened again; the log stays in it.
 *
 * @example const spine = await createSpine({ engine: memory(), agents })
 */
export function memory(): Engine {
  return new MemoryEngine()
}
