/**
 * What a bare file takes for the same durable bytes: the yardstick beside every figure.
 *
 * Two floors: one `append + fdatasync` at a time, and a load in flight that shares its syncs (group commit). No index,
 * no order to keep, nothing to decide: no log with promises can be faster on this disk.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { PAYLOAD_BYTES } from './payload.ts'
import type { FloorWork } from './scenario.ts'
import { measureForSeconds } from './sliding-window.ts'
import { median } from './statistics.ts'

const WARM_UP_APPENDS = 50
const APPENDS = 400

/**
 * Milliseconds, p50, of appending one record to a growing file and waiting for `fdatasync`.
 * Measured in the folder of the log, because another file system may have another idea of durable.
 */
export function measureFdatasyncMs(directory: string): number {
  const path = join(directory, 'floor')
  const file = openSync(path, 'a')
  const record = Buffer.alloc(PAYLOAD_BYTES, 'x')
  const append = () => {
    const start = performance.now()
    writeSync(file, record)
    fdatasyncSync(file)
    return performance.now() - start
  }
  try {
    for (let count = 0; count < WARM_UP_APPENDS; count++) append()
    return median(Array.from({ length: APPENDS }, append))
  } finally {
    closeSync(file)
    rmSync(path)
  }
}

/** Units a second that a bare file with group commit does of `work`, in the same window as the scenario. */
export async function measureGroupCommit(
  directory: string,
  work: FloorWork,
  inFlight: number,
  seconds: number,
): Promise<number> {
  const path = join(directory, 'floor')
  const handle = await open(path, 'a')
  const file = new GroupCommitFile(handle)
  const record = Buffer.alloc(work.bytesEach, 'x')
  try {
    const { perSecond } = await measureForSeconds({
      inFlight,
      seconds,
      durability: null,
      one: async () => {
        const startedAt = performance.now()
        for (let count = 0; count < work.awaited; count++) await file.append(record)
        const latencyMs = performance.now() - startedAt
        for (let count = 0; count < work.trailing; count++) void file.append(record)
        return latencyMs
      },
    })
    await file.append(record)
    const { size } = await handle.stat()
    if (size !== file.bytes) throw new Error(`The floor wrote ${file.bytes} bytes; its file has ${size}.`)
    return perSecond as number
  } finally {
    await handle.close()
    rmSync(path)
  }
}

/** The next batch is what has gathered while the last one was synced. */
class GroupCommitFile {
  bytes = 0
  readonly #handle: FileHandle
  #waiting: { readonly record: Buffer; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = []
  #isSyncing = false

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  append(record: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject })
      if (!this.#isSyncing) void this.#sync()
    })
  }

  async #sync(): Promise<void> {
    this.#isSyncing = true
    // So that all of this turn of the event loop share the first sync too.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        const { bytesWritten } = await this.#handle.write(Buffer.concat(batch.map(({ record }) => record)))
        await this.#handle.datasync()
        this.bytes += bytesWritten
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isSyncing = false
  }
}
