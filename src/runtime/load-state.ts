import { decodeState, STATE_VERSION } from '../coordination/decode-state.ts'
import { initialState, type SpineState } from '../coordination/state.ts'
import type { Engine } from '../engine/engine.ts'

/** Under this name a snapshot of the spine's own state lies in the engine. Another version of the fold has another name. */
export const KERNEL_SNAPSHOT = `kernel-${STATE_VERSION}`

/** The newest saved state, or an empty one: what is left to fold begins above `at`. */
export async function loadState(engine: Engine): Promise<SpineState> {
  const saved = await engine.readSnapshot(KERNEL_SNAPSHOT)
  if (saved === undefined || saved.at > (await engine.head())) return initialState()
  try {
    const state = decodeState(new TextDecoder().decode(saved.state))
    return state.at === saved.at ? state : initialState()
  } catch {
    // It only saves time: a log that can be folded from its start needs none.
    return initialState()
  }
}
