import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Commit, Engine, LogRecord, NewRecord } from 'event-spine'
import { type SqliteOptions, sqlite } from 'event-spine/sqlite'
import { type Database, openDatabase } from '../support/open-database.ts'

/** A log in a directory of its own; what the test opens and starts ends with it. */
export class LogFile {
  readonly directory = mkdtempSync(join(tmpdir(), 'event-spine-log-'))
  readonly path = join(this.directory, 'log.db')
  readonly #engines: Engine[] = []
  readonly #processes: LogProcess[] = []

  async open(options: SqliteOptions = {}): Promise<Engine> {
    const engine = sqlite(this.path, { lockWait: 0, ...options })
    this.#engines.push(engine)
    await engine.open()
    return engine
  }

  /** What an open fails with. */
  async refusal(options: SqliteOptions = {}): Promise<unknown> {
    return await this.open(options).then(
      () => 'it was opened',
      (error: unknown) => error,
    )
  }

  /** Looks into the file the way a person would. Nobody in this process may have it open: closing drops its locks. */
  change<Result>(work: (database: Database) => Result): Result {
    const database = openDatabase(this.path)
    try {
      return work(database)
    } finally {
      database.close()
    }
  }

  /** A process that runs `script`, with `sqlite` imported and `path` and `record` defined. */
  start(script: string, ...command: readonly string[]): LogProcess {
    const started = new LogProcess(this.path, script, command)
    this.#processes.push(started)
    return started
  }

  async remove(): Promise<void> {
    for (const started of this.#processes) await started.kill()
    await Promise.allSettled(this.#engines.map((engine) => engine.close()))
    rmSync(this.directory, { recursive: true, force: true })
  }
}

const PREAMBLE = `
  import { sqlite } from 'event-spine/sqlite'
  const path = process.argv[1]
  const record = (value) => ({ time: 0, type: 'thing.happened', session: 's', request: 'r', key: 's', cause: 0, hops: 0, data: { json: JSON.stringify(value), value } })
  const say = (line) => process.stdout.write(line + '\\n')
`

export class LogProcess {
  readonly lines: string[] = []
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  #heard: () => void = () => {}

  constructor(path: string, script: string, command: readonly string[]) {
    const [program, ...args] = [...command, process.execPath, '--input-type=module', '-e', PREAMBLE + script, path]
    this.#child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#collect(this.#child.stdout)
    this.#collect(this.#child.stderr)
    this.ended = new Promise((resolve) =>
      this.#child.once('close', (code) => {
        resolve(code)
        this.#heard()
      }),
    )
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves once it has said so many lines. */
  async said(count: number): Promise<readonly string[]> {
    while (this.lines.length < count) {
      if (this.#child.exitCode !== null) throw new Error(`it ended early: ${this.lines.join('\n')}`)
      await new Promise<void>((resolve) => {
        this.#heard = resolve
      })
    }
    return this.lines
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    if (stream === null) return
    createInterface({ input: stream }).on('line', (line) => {
      this.lines.push(line)
      this.#heard()
    })
  }
}

export function record(value: unknown, header: Partial<NewRecord> = {}): NewRecord {
  return {
    time: 1,
    type: 'thing.happened',
    session: 's',
    request: 'r',
    key: 's',
    cause: 0,
    hops: 0,
    ...header,
    data: { json: JSON.stringify(value), value: value as LogRecord['data'] },
  }
}

export function commit(id: string, value: unknown = id, count = 1): Commit {
  return { id, records: Array.from({ length: count }, () => record(value)) }
}

export async function everything(engine: Engine): Promise<readonly LogRecord[]> {
  const all: LogRecord[] = []
  for (;;) {
    const page = await engine.read({ after: all.at(-1)?.sequence ?? 0, limit: 1_000 })
    if (page.length === 0) return all
    all.push(...page)
  }
}

export function dense(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/** Waits for another process or thread, hence real time. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within 10 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
