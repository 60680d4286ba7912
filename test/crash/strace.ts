/** Runs a program whose system calls fail, or kill it, where the test wants them to. */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'vitest'

/** Why strace cannot be used here; `undefined` when it can. */
const MISSING = whyMissing()

function whyMissing(): string | undefined {
  const tried = spawnSync('strace', ['-o', '/dev/null', 'true'], { encoding: 'utf8' })
  if (tried.status === 0) return undefined
  const why = tried.error === undefined ? tried.stderr.trim().split('\n')[0] : tried.error.message
  return `strace cannot be used (${why}): install the Debian package strace, and allow ptrace`
}

/** Like `describe`. Without strace its tests are skipped with the reason; in CI, where nothing is skipped, they fail. */
export function describeWithStrace(name: string, tests: () => void): void {
  if (MISSING === undefined) describe(name, tests)
  else if (process.env['CI'] === undefined) describe.skip(`${name} (skipped: ${MISSING})`, tests)
  else {
    describe(name, () =>
      it('has strace', () => {
        throw new Error(MISSING)
      }),
    )
  }
}

/** Which calls, on which files. Calls on other files are neither counted nor disturbed. */
export interface Calls {
  readonly name: 'read' | 'write' | 'sync'
  readonly files: readonly string[]
}

export interface Fault extends Calls {
  /** In the words of strace: `error=EIO`, `signal=SIGKILL`. */
  readonly effect: string
  /** The n-th such call of a thread, counted from 1; `7+`: that one and all behind it. */
  readonly when: string
}

export interface Disturbed {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
  /** The calls in question, one line each. */
  readonly calls: readonly string[]
  /** Whether it came to the fault at all. */
  readonly hit: boolean
}

/** SQLite syncs with either of the two, by how it was compiled. */
const SYSTEM_CALLS = { read: 'pread64', write: 'pwrite64', sync: 'fsync,fdatasync' } as const
/** Far more than a run takes. Whoever is still alive then hangs. */
const HANG_MS = 60_000

export function runUnderStrace(trace: string, watched: Calls | Fault, args: readonly string[]): Promise<Disturbed> {
  const calls = SYSTEM_CALLS[watched.name]
  const injection = 'effect' in watched ? ['-e', `inject=${calls}:${watched.effect}:when=${watched.when}`] : []
  const paths = watched.files.flatMap((file) => ['-P', file])
  // Stopping at the calls in question alone is faster, but strace 6.1 loses the injected signals with it.
  const quickly = 'effect' in watched && watched.effect.startsWith('signal=') ? [] : ['--seccomp-bpf']
  const options = ['-f', ...quickly, '-qq', '-o', trace, ...paths, '-e', `trace=${calls}`, ...injection]
  const child = spawn('strace', [...options, process.execPath, ...args], {
    stdio: ['ignore', 'inherit', 'pipe'],
    // A group of its own: what strace traces does not die with it.
    detached: true,
  })
  const timer = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), HANG_MS)
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      const lines = readFileSync(trace, 'utf8').split('\n')
      const hit = lines.some((line) => line.includes('(INJECTED)') || line.includes('killed by SIGKILL'))
      resolve({
        code,
        signal,
        stderr,
        calls: lines.filter((line) => /\b(?:p(?:read|write)64|f(?:data)?sync)\(/.test(line)),
        hit,
      })
    })
  })
}
