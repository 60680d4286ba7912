/**
 * The observer thread: folds the log for itself, from the last snapshot on, and gives back the state it came to.
 *
 * It reads the log as any other process could, so a snapshot that it makes owes nothing to the process that decides.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { encodeState } from '../coordination/encode-state.ts'
import type { Engine } from '../engine/engine.ts'
import { foldLog } from './fold-log.ts'
import { loadState } from './load-state.ts'
import type { SnapshotOrder } from './snapshots.ts'

const { module, options } = workerData as SnapshotOrder
const { openObserver } = (await import(module)) as { openObserver(options: unknown): Engine }
const engine = openObserver(options)
await engine.open()
try {
  const state = await loadState(engine)
  await foldLog(engine, state)
  parentPort?.postMessage({ at: state.at, state: encodeState(state) })
} finally {
  await engine.close()
}
