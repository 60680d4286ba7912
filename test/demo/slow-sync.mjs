// Loaded into the services' process before its own code: every fsync takes a third of a second.
import { open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const handle = await open(fileURLToPath(import.meta.url))
const prototype = Object.getPrototypeOf(handle)
await handle.close()
const { datasync } = prototype
prototype.datasync = async function slowDatasync() {
  await pause(300)
  return datasync.call(this)
}
