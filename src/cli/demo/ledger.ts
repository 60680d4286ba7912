/**
 * The services' own book of what they were asked to change: append-only, one JSON line per attempt.
 *
 * Job: put a line on the disk before anyone is told that it is there.
 * Not its job: judging an attempt (`service-desk.ts` when it happens, `check-ledger.ts` at the end).
 *
 * L1  `append` resolves after an fsync that came after the write of its line.
 * L2  Lines that arrive while an fsync is under way share the next one.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { Effect } from './dialogue.ts'

/** One attempt to change the world. */
export interface Attempt extends Effect {
  readonly dialogue: string
  /** The customer's turn that it was ordered for. */
  readonly turn?: number
  /** What the caller promises to be the same for every try of the same effect. */
  readonly idempotencyKey?: string
  /** What the service made of it: done, answered from its memory, or refused because the key stands for another effect. */
  readonly outcome: 'done' | 'repeated' | 'wrong'
}

export class Ledger {
  readonly #file: FileHandle
  #lines: string[] = []
  /** Ends when the batch that is being written is durable. */
  #current: Promise<void> = Promise.resolve()
  /** The batch that forms meanwhile. */
  #next: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Opens it for writing. A last line that a crash tore was never vouched for, and is cut off. */
  static async open(path: string): Promise<{ ledger: Ledger; attempts: readonly Attempt[] }> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND)
    const text = await file.readFile('utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    if (whole.length < text.length) await file.truncate(Buffer.byteLength(whole))
    return { ledger: new Ledger(file), attempts: parseAttempts(whole) }
  }

  /** Resolves when the line is durable (L1). After a failed write nothing is vouched for any more. */
  append(attempt: Attempt): Promise<void> {
    this.#lines.push(`${JSON.stringify(attempt)}\n`)
    this.#next ??= this.#current.then(() => this.#write())
    return this.#next
  }

  async #write(): Promise<void> {
    this.#current = this.#next as Promise<void>
    this.#next = undefined
    await this.#file.appendFile(this.#lines.splice(0).join(''))
    await this.#file.datasync()
  }
}

/** What stands in the book; nothing when there is none yet. */
export async function readAttempts(path: string): Promise<readonly Attempt[]> {
  try {
    return parseAttempts(await readFile(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function parseAttempts(text: string): readonly Attempt[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Attempt)
}
