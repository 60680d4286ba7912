/** The program as a user runs it: the built file in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const PACKAGE = dirname(createRequire(import.meta.url).resolve('event-spine/package.json'))

/** A file of the built package that is a program of its own. */
export function builtFile(path: string): string {
  return join(PACKAGE, 'dist', path)
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** Where the program puts its temporary files. */
  readonly temporary?: string
  /** Called with all of stderr so far, whenever there is more. */
  onStderr?(stderr: string, child: ChildProcess): void
}

export function runSpine(args: readonly string[], { temporary, onStderr }: RunOptions = {}): Promise<Ended> {
  const env = { ...process.env, ...(temporary === undefined ? {} : { TMPDIR: temporary }) }
  const child = spawn(process.execPath, [builtFile('cli/main.js'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    onStderr?.(stderr, child)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** The object on the last line. */
export function resultOf({ stdout }: Ended): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}
