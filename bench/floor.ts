/** What the machine itself takes to make one record durable: the yardstick beside every figure. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { PAYLOAD_BYTES } from './payload.ts'
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
