import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engineConformance } from 'event-spine/conformance'
import { sqlite } from 'event-spine/sqlite'

engineConformance('sqlite', {
  create() {
    const directory = mkdtempSync(join(tmpdir(), 'event-spine-engine-'))
    const engine = () => sqlite(join(directory, 'log.db'), { lockWait: '100ms' })
    return { engine, remove: () => rmSync(directory, { recursive: true, force: true }) }
  },
})
