/** What people watch while the demo runs: on stderr, so that stdout holds the result alone. */
const REWRITE_MS = 80
const LINE_MS = 2_000

export class Display {
  readonly #stream: NodeJS.WriteStream
  #shownAt = performance.now()
  #progress = ''

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  /** Something that stays. */
  line(text: string): void {
    this.#clear()
    this.#stream.write(`${text}\n`)
  }

  /** How far it is: rewritten in place on a terminal, else a line now and then. */
  progress(text: () => string): void {
    const isTerminal = this.#stream.isTTY === true
    if (performance.now() - this.#shownAt < (isTerminal ? REWRITE_MS : LINE_MS)) return
    this.#shownAt = performance.now()
    if (isTerminal) this.#rewrite(text())
    else this.line(text())
  }

  end(): void {
    this.#clear()
  }

  #rewrite(text: string): void {
    this.#clear()
    this.#progress = text.slice(0, Math.max(20, this.#stream.columns - 1))
    this.#stream.write(this.#progress)
  }

  #clear(): void {
    if (this.#progress !== '') this.#stream.write('\r\u001b[2K')
    this.#progress = ''
  }
}
