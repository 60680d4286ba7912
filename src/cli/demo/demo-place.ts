/**
 * Where a run of the demo keeps its files: the log, and beside it the services' ledger and the conversations.
 *
 * All three belong together. A log that was left behind by Ctrl-C can be given again, and the run goes on; a log that
 * belongs to other conversations is refused, because no check could tell what it should hold.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseEngineUrl } from '../engine-from-url.ts'
import { UsageError } from '../usage-error.ts'
import type { Dialogue } from './dialogue.ts'

export interface DemoPlace {
  readonly engineUrl: string
  /** The file of the log; `undefined` for a log in memory. */
  readonly logPath: string | undefined
  readonly ledgerPath: string
  readonly dialoguesPath: string
  /** Whether the log was there before. */
  readonly resumed: boolean
  /** Made for this run, and to be removed after it. */
  readonly temporary: string | undefined
}

/** Without an engine: a new file in a temporary directory. @throws UsageError */
export function openDemoPlace(engineUrl: string | undefined, dialogues: readonly Dialogue[]): DemoPlace {
  const engine = engineUrl === undefined ? undefined : parseEngineUrl(engineUrl)
  const temporary = engine?.kind === 'sqlite' ? undefined : mkdtempSync(join(tmpdir(), 'event-spine-demo-'))
  const base = engine?.kind === 'sqlite' ? engine.path : join(temporary ?? '', 'spine.db')
  const inMemory = engine?.kind === 'memory'
  const place = {
    engineUrl: inMemory ? 'memory' : `sqlite:${base}`,
    logPath: inMemory ? undefined : base,
    ledgerPath: `${base}.ledger.jsonl`,
    dialoguesPath: `${base}.dialogues.jsonl`,
    resumed: existsSync(base),
    temporary,
  }
  layOut(place, dialogues)
  return place
}

export function removeDemoPlace({ temporary }: DemoPlace): void {
  if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true })
}

function layOut({ logPath, dialoguesPath, resumed }: DemoPlace, dialogues: readonly Dialogue[]): void {
  const text = dialogues.map((dialogue) => `${JSON.stringify(dialogue)}\n`).join('')
  if (resumed) {
    const before = existsSync(dialoguesPath) ? readFileSync(dialoguesPath, 'utf8') : undefined
    if (before === text) return
    const what = before === undefined ? 'is no log of the demo' : 'was begun with other conversations'
    throw new UsageError(`${logPath} ${what}. Name another file for --engine, one that is not there yet.`)
  }
  try {
    mkdirSync(dirname(dialoguesPath), { recursive: true })
    writeFileSync(dialoguesPath, text)
  } catch (error) {
    throw new UsageError(`Cannot write ${dialoguesPath}: ${(error as Error).message}.`, { cause: error })
  }
}
